"""Cases: requests in their order, and what must hold of each answer, as they stand in YAML.

Belongs here: a case as values, reading it, filling in what was kept of earlier answers. Not here: whether an answer is
right (see checks.py), asking (see lakehouse/adapters/proof_http.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lakehouse.errors import BadInput
from lakehouse.proof.claims import Mode

_METHODS = ("GET", "PUT", "POST", "DELETE")
_SEND = re.compile(rf"({'|'.join(_METHODS)}) (/\S*)")
_STEP_KEYS = {"send", "json", "text", "file", "headers", "anonymous", "expect", "keep", "repeat", "within_s"}
_VARIABLE = re.compile(r"\$\{([a-z_]+)\}")
OPERATIONS = ("status", "header", "is", "is_not", "has", "lacks", "at_least", "at_most", "length", "matches", "ranking",
              "p50_ms", "p99_ms")  # fmt: skip
_OF_A_PLACE = OPERATIONS[2:11]
MOST_REPEATS = 10_000


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that must hold: an operation, the place in the answer that it is about, the value wanted.

    `at` is a path of member names and list places joined by dots; empty: the whole body.
    """

    operation: str
    at: str
    wanted: Any

    @property
    def words(self) -> str:
        """As it is printed."""
        place = f"{self.at} " if self.at else ""
        return f"{place}{self.operation.replace('_', ' ')} {self.wanted!r}"


@dataclass(frozen=True, slots=True)
class Step:
    """A request and what must hold of its answer.

    `keep` names places whose values later steps fill in; `repeat` asks so often (times are of all); with `within_s` it
    is asked again until everything holds or the seconds are over.
    """

    method: str
    path: str
    json: Any
    text: str | None
    file: tuple[str, str] | None
    headers: Mapping[str, str]
    is_anonymous: bool
    expects: tuple[Expectation, ...]
    keep: Mapping[str, str]
    repeat: int
    within_s: float | None


@dataclass(frozen=True, slots=True)
class Case:
    """Steps that are taken in turn; the first that is wrong ends it."""

    name: str
    mode: Mode
    steps: tuple[Step, ...]


def read_cases(document: object, mode: Mode) -> tuple[Case, ...]:
    """Read the cases of a mode.

    Args:
        document: A mapping of names to lists of steps.
        mode: Theirs.

    Raises:
        BadInput: A step asks nothing, expects nothing, or says what is unknown; the message says which.
    """
    if not isinstance(document, Mapping) or not document:
        raise BadInput(f"the cases of {mode} are not a mapping of names to steps")
    return tuple(_case(str(name), steps, mode) for name, steps in document.items())


def fill(value: Any, kept: Mapping[str, Any]) -> Any:
    """A value with every `${name}` in its texts replaced; a text that is nothing else becomes the kept value itself.

    Raises:
        BadInput: Nothing of that name was kept.
    """
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        if whole:
            return _kept(whole, kept)
        return _VARIABLE.sub(lambda found: str(_kept(found, kept)), value)
    if isinstance(value, Mapping):
        return {fill(key, kept): fill(one, kept) for key, one in value.items()}
    if isinstance(value, list):
        return [fill(one, kept) for one in value]
    return value


def _kept(found: re.Match[str], kept: Mapping[str, Any]) -> Any:
    if found[1] not in kept:
        raise BadInput(f"nothing was kept as {found[1]!r}; keep it in an earlier step of the case")
    return kept[found[1]]


def _case(name: str, steps: object, mode: Mode) -> Case:
    if not isinstance(steps, list) or not steps:
        raise BadInput(f"the case {name!r} has no steps")
    return Case(name, mode, tuple(_step(s, f"step {n} of the case {name!r}") for n, s in enumerate(steps, start=1)))


def _step(entry: object, where: str) -> Step:
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where} is not a mapping")
    unknown = sorted(str(key) for key in entry.keys() - _STEP_KEYS)
    if unknown:
        raise BadInput(f"{where} has the unknown key {unknown[0]!r}; there are: {', '.join(sorted(_STEP_KEYS))}")
    sent = _SEND.fullmatch(str(entry.get("send", "")))
    if not sent:
        raise BadInput(f"{where}: 'send' must be a method and a path, such as 'GET /health'")
    expects = entry.get("expect")
    if not isinstance(expects, list) or not expects:
        raise BadInput(f"{where} expects nothing; a step that cannot fail shows nothing")
    repeat = entry.get("repeat", 1)
    if not isinstance(repeat, int) or not 1 <= repeat <= MOST_REPEATS:
        raise BadInput(f"{where}: 'repeat' must be a number from 1 to {MOST_REPEATS}")
    file = entry.get("file")
    return Step(
        method=sent[1],
        path=sent[2],
        json=entry.get("json"),
        text=entry.get("text"),
        file=None if file is None else (str(file["name"]), str(file["text"])),
        headers=MappingProxyType({str(k): str(v) for k, v in entry.get("headers", {}).items()}),
        is_anonymous=bool(entry.get("anonymous", False)),
        expects=tuple(_expectation(one, where) for one in expects),
        keep=MappingProxyType(dict(entry.get("keep", {}))),
        repeat=repeat,
        within_s=entry.get("within_s"),
    )


def _expectation(entry: object, where: str) -> Expectation:
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where}: {entry!r} is not an expectation; write such as {{at: rows.0, is: 1}}")
    rest = {key: value for key, value in entry.items() if key != "at"}
    if len(rest) != 1 or (operation := next(iter(rest))) not in OPERATIONS:
        raise BadInput(f"{where}: an expectation needs one of {', '.join(OPERATIONS)}, not {sorted(map(str, rest))}")
    if "at" in entry and operation not in (*_OF_A_PLACE, "header"):
        raise BadInput(f"{where}: {operation!r} is of the whole answer and takes no 'at'")
    return Expectation(str(operation), str(entry.get("at", "")), rest[operation])
