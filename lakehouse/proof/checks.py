"""Checks: whether an expectation holds of an answer, and in words why not.

Belongs here: paths into answers, the operations. Not here: which are asked for (see cases.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.counted import counted
from lakehouse.proof.cases import Expectation
from lakehouse.proof.rankings import Rankings, compare

_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the last answer, and the milliseconds of all where one was asked repeatedly.

    `body` is decoded JSON, or the text of another kind of body.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    times_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class Missing:
    """What a path leads to when it leads nowhere; `at` is the part that is not there."""

    at: str


def find(body: Any, path: str) -> Any:
    """What lies at a path of member names and list places; `*` gathers what lies beyond of each member of a list."""
    if not path:
        return body
    head, _, rest = path.partition(".")
    if isinstance(body, list) and head == "*":
        return [find(one, rest) for one in body]
    if isinstance(body, Mapping) and head in body:
        return find(body[head], rest)
    if isinstance(body, list) and re.fullmatch(r"-?\d+", head) and -len(body) <= int(head) < len(body):
        return find(body[int(head)], rest)
    return Missing(head)


def check(expectation: Expectation, answer: Answer, rankings: Rankings) -> str | None:
    """What is wrong, None when it holds.

    Args:
        expectation: With everything filled in.
        answer: What came.
        rankings: Golden ones.
    """
    operation, wanted = expectation.operation, expectation.wanted
    if operation == "status":
        return None if answer.status == wanted else f"status {answer.status}, wanted {wanted}: {_shown(answer.body)}"
    if operation in {"p50_ms", "p99_ms"}:
        return _slow(answer.times_ms, 0.5 if operation == "p50_ms" else 0.99, float(wanted))
    if operation == "header":
        return _unlike_header(answer.headers, expectation)
    found = find(answer.body, expectation.at)
    if isinstance(found, Missing):
        return f"there is no {found.at!r} on the way to {expectation.at!r}: {_shown(answer.body)}"
    if operation == "ranking":
        return compare(rankings, str(wanted), found)
    return None if _holds(operation, found, wanted) else f"it is {_shown(found)}"


def _holds(operation: str, found: Any, wanted: Any) -> bool:
    try:
        match operation:
            case "is":
                return _same(found, wanted)
            case "is_not":
                return not _same(found, wanted)
            case "has":
                return bool(wanted in found)
            case "lacks":
                return bool(wanted not in found)
            case "at_least":
                return not isinstance(found, bool) and bool(found >= wanted)
            case "at_most":
                return not isinstance(found, bool) and bool(found <= wanted)
            case "length":
                return bool(len(found) == wanted)
            case "matches":
                return re.search(str(wanted), found) is not None
    except TypeError:  # a value of another kind
        return False
    return False


def _same(found: Any, wanted: Any) -> bool:
    """Equal, and a truth is no number."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _slow(times_ms: Sequence[float], share: float, most_ms: float) -> str | None:
    if not times_ms:
        return "nothing was timed"
    ordered = sorted(times_ms)
    measured = ordered[max(0, math.ceil(share * len(ordered)) - 1)]
    return (
        None
        if measured <= most_ms
        else f"{measured:.2f} ms of {counted(len(ordered), 'answer')}, at most {most_ms:g} ms"
    )


def _unlike_header(headers: Mapping[str, str], expectation: Expectation) -> str | None:
    found = {name.lower(): value for name, value in headers.items()}.get(expectation.at.lower())
    if found is None:
        return f"there is no header {expectation.at!r}"
    return None if re.search(str(expectation.wanted), found) else f"it is {found!r}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"
