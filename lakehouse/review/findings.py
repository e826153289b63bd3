"""Findings: what a reviewer says is wrong, read from its answer, each with its place in the diff.

An answer holds blocks of `SEVERITY:`, `WHERE:` and `WHY:`, or is JSON: `{"findings": [{severity, where, why}]}`. What a
reviewer takes back itself, by `WITHDRAWN: path:line` or in the last sentence of its own reason, is dropped, and so is
what lies outside of the diff; both are counted.

Belongs here: the form of findings, reading them. Not here: whether the answer is worth hearing (see answers.py), the
prompt that asks for this form (see prompt.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import orjson

from lakehouse.review.places import Place, PlacesOf

Severity = Literal["BLOCK", "WARN", "INFO"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Worst first."""
_KEY = re.compile(
    r"[\s>#*\-_\d.)`]*(?P<key>SEVERITY|WHERE|WHY|REASON|WITHDRAWN|VERDICT)[*_`]*\s*:[*_`\s]*(?P<value>.*)",
    re.IGNORECASE,
)
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(?P<inner>.*)\n\s*```\s*\Z", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_TAKEN_BACK = re.compile(
    r"(?:(?:on (?:second thought|reflection)|actually|wait|so|hmm|no|but)\W+)*"
    r"(?:i (?:withdraw|retract|take)\b.*|withdrawn|retracted|never ?mind|false alarm"
    r"|(?:please )?(?:disregard|ignore) (?:this|that|it)(?: finding)?"
    r"|(?:this|that|it) is (?:actually |in fact )?(?:not (?:actually )?an? (?:issue|problem|bug)|fine|correct)"
    r"(?: after all)?)\W*",
    re.IGNORECASE,
)
_MOST_REASON = 4000
_STATED = ("accept", "cycle", "reject")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one reviewer.

    Attributes:
        severity: BLOCK, WARN or INFO.
        place: Where, in the diff.
        reason: Why.
        reviewer: The model, as it was asked.
        bundle: Number of the bundle.
    """

    severity: Severity
    place: Place
    reason: str
    reviewer: str
    bundle: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many findings of an answer do not count: `outside` the diff, `withdrawn`, `malformed`, `duplicate`."""

    outside: int = 0
    withdrawn: int = 0
    malformed: int = 0
    duplicate: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(
            self.outside + other.outside, self.withdrawn + other.withdrawn, self.malformed + other.malformed,
            self.duplicate + other.duplicate,
        )  # fmt: skip


NOTHING_DROPPED = Dropped()


@dataclass(frozen=True, slots=True)
class Read:
    """What an answer says: findings that count, the verdict as it was stated (None: none), what was dropped."""

    findings: tuple[Finding, ...]
    stated: str | None
    dropped: Dropped


@dataclass(slots=True)
class _Said:
    """The parts of one finding as they were written."""

    severity: str = ""
    where: str = ""
    why: list[str] = field(default_factory=list)
    is_withdrawn: bool = False

    @property
    def reason(self) -> str:
        return " ".join(" ".join(self.why).split())[:_MOST_REASON]


def read_answer(text: str, places: PlacesOf, *, reviewer: str, bundle: int) -> Read:
    """Read an answer.

    Args:
        text: The answer, whole.
        places: Of what was shown.
        reviewer: The model, as it was asked.
        bundle: Number of the bundle.
    """
    said, withdrawn, stated = _read_json(text) or _read_blocks(text)
    taken_back = [place for place in map(places.read, withdrawn) if place is not None]
    found: list[Finding] = []
    outside = malformed = dropped = 0
    for one in said:
        severity = next((name for name in SEVERITIES if re.match(rf"\W*{name}\b", one.severity, re.IGNORECASE)), None)
        if severity is None or not one.where.strip() or not one.reason:
            malformed += 1
            continue
        place = places.read(one.where)
        if place is None:
            outside += 1
        elif one.is_withdrawn or _takes_back(one.reason) or any(place.overlaps(other) for other in taken_back):
            dropped += 1
        else:
            found.append(Finding(severity, place, one.reason, reviewer, bundle))
    return Read(tuple(found), stated, Dropped(outside, dropped, malformed))


def _takes_back(reason: str) -> bool:
    """Whether the last sentence says that it is none after all."""
    return _TAKEN_BACK.fullmatch(_SENTENCE.split(reason)[-1]) is not None


def _read_blocks(text: str) -> tuple[list[_Said], list[str], str | None]:
    said: list[_Said] = []
    withdrawn: list[str] = []
    stated: str | None = None
    current: _Said | None = None
    is_in_reason = False
    for line in text.splitlines():
        found = _KEY.match(line)
        if found is None:
            if current is not None and is_in_reason:
                if line.strip():
                    current.why.append(line.strip())
                else:
                    is_in_reason = False  # prose behind an empty line is the answer's own
            continue
        key, value = found["key"].upper(), found["value"].strip()
        is_in_reason = key in ("WHY", "REASON")
        if key == "VERDICT":
            stated = _worse(stated, value)
            current = None
        elif key == "WITHDRAWN":
            withdrawn.append(value)
        else:
            if current is None or _has(current, key):
                current = _Said()
                said.append(current)
            _put(current, key, value)
    return said, withdrawn, stated


def _worse(stated: str | None, value: str) -> str:
    """Of two verdicts that an answer states, the worse one: it may not take its own no for a yes."""
    ranks = [
        next((rank for rank, name in enumerate(_STATED) if name in one.lower()), -1) for one in (stated or "", value)
    ]
    return value if stated is None or ranks[1] < 0 or ranks[1] >= ranks[0] else stated


def _has(said: _Said, key: str) -> bool:
    """Whether a part is there, or the reason that ends a finding is: what follows is of the next one."""
    return bool(said.why) or (key == "SEVERITY" and bool(said.severity)) or (key == "WHERE" and bool(said.where))


def _put(said: _Said, key: str, value: str) -> None:
    if key == "SEVERITY":
        said.severity = value
    elif key == "WHERE":
        said.where = value
    else:
        said.why.append(value)


def _read_json(text: str) -> tuple[list[_Said], list[str], str | None] | None:
    fenced = _FENCED.match(text)
    try:
        document = orjson.loads(fenced["inner"] if fenced is not None else text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("findings"), list):
        return None
    stated = document.get("verdict")
    return list(map(_of_json, document["findings"])), list(_texts(document.get("withdrawn"))), _text(stated) or None


def _of_json(entry: Any) -> _Said:
    if not isinstance(entry, dict):
        return _Said()
    why = _text(entry.get("why")) or _text(entry.get("reason"))
    return _Said(
        _text(entry.get("severity")), _text(entry.get("where")), [why] if why else [], entry.get("withdrawn") is True
    )


def _texts(value: Any) -> Iterator[str]:
    yield from (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
