"""The comparison: two answers to one case, the same or not, as expected or not.

Compared are the status and the body's shape (shape.py), an error in the flat form by its tagged form (forms.py). What
is not the validator's (nobody there, a refused token, no such route, a server error) is no answer: two of them prove
nothing, so that such a case is not called the same, whatever they have in common.

Belongs here: verdicts. Not here: asking, printing (see lakehouse_cli/parity_commands.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lakehouse.parity.cases import Case
from lakehouse.parity.forms import Form, NotInForm, error_of, tagged_of
from lakehouse.parity.shape import differences, shown

# What a validator says of a request: it passes, it is malformed, too large, of another media type, refused.
_VALIDATORS_OWN = frozenset({200, 400, 413, 415, 422})
_REFUSED = 422
_FROM_SERVER_ERROR = 500
_NAMES = ("left", "right")
_TAGGED = (Form.TAGGED, Form.TAGGED)


class Verdict(StrEnum):
    """What became of a case; `unexpected` answers are the same on both sides, and other than the case says."""

    SAME = "same"
    DIFFERS = "differs"
    UNEXPECTED = "unexpected"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: status and body, or in `failure` why it did not."""

    status: int = 0
    body: bytes = b""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, what each side said in short, the verdict, and why it is not `same`."""

    case: Case
    left: str
    right: str
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "case": self.case.name,
            "left": self.left,
            "right": self.right,
            "verdict": str(self.verdict),
            "differences": list(self.reasons),
        }


def compare(case: Case, left: Answer, right: Answer, *, forms: tuple[Form, Form] = _TAGGED) -> Outcome:
    """Compare the answers to a case.

    Args:
        case: What was asked.
        left: One service's answer.
        right: The other's.
        forms: In which form each was asked for errors.
    """
    sides = tuple(_Side(name, answer, form) for name, answer, form in zip(_NAMES, (left, right), forms, strict=True))
    verdict, reasons = _judge(case, *sides)
    return Outcome(case, sides[0].told(), sides[1].told(), verdict, tuple(reasons))


def count_verdicts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many cases have each verdict, all verdicts named."""
    found = Counter(outcome.verdict for outcome in outcomes)
    return {str(verdict): found[verdict] for verdict in Verdict}


class _Side:
    """One side's answer, its body decoded and in the tagged form; `problem` says where that failed."""

    def __init__(self, name: str, answer: Answer, form: Form) -> None:
        self.name = name
        self.answer = answer
        self.problem = ""
        self.body: Any = None
        if answer.failure:
            return
        try:
            self.body = json.loads(answer.body)
            if answer.status == _REFUSED:
                self.body = tagged_of(self.body, form)
        except NotInForm as error:
            self.problem = f"the body {error}"
        except (ValueError, RecursionError):
            self.problem = "the body is not JSON"

    def told(self) -> str:
        """In short: `422 Schema "to"`, `200`, or why there is no answer."""
        if self.answer.failure:
            return self.answer.failure
        kind, field = error_of(self.body)
        return " ".join([str(self.answer.status), *([kind] if kind else []), *([shown(field)] if field else [])])

    def is_validators(self, case: Case) -> bool:
        """Whether the validator said this: a server error that the case expects is its word, too."""
        return self.answer.status in _VALIDATORS_OWN or self.answer.status == case.expected.get("status")

    def is_refusal(self) -> bool:
        """Whether something before the validator spoke: the door, a proxy, another service."""
        return not self.answer.failure and self.answer.status < _FROM_SERVER_ERROR


def _judge(case: Case, left: _Side, right: _Side) -> tuple[Verdict, list[str]]:
    silent = [side for side in (left, right) if not side.is_validators(case)]
    if len(silent) == 2 or any(side.answer.failure or side.is_refusal() for side in silent):
        return Verdict.UNANSWERED, [f"{side.name}: {side.told()}" for side in silent]
    found = list(_differences(left, right))
    surprises = [list(_surprises(case, side)) for side in (left, right)]
    if not found and not any(surprises):
        return Verdict.SAME, []
    if surprises[0] == surprises[1]:
        told = [f"both: {text}" for text in surprises[0]]
    else:
        told = [f"{side.name}: {text}" for side, texts in zip((left, right), surprises, strict=True) for text in texts]
    return Verdict.DIFFERS if found else Verdict.UNEXPECTED, [*found, *told]


def _differences(left: _Side, right: _Side) -> Iterator[str]:
    if left.answer.status != right.answer.status:
        yield f"status: {left.answer.status} ≠ {right.answer.status}"
    elif left.problem != right.problem:
        yield "body: only one is as it should be"
    else:
        yield from differences(left.body, right.body)


def _surprises(case: Case, side: _Side) -> Iterator[str]:
    if side.problem:
        yield side.problem
    expected, (kind, field) = case.expected, error_of(side.body)
    if "status" in expected and side.answer.status != expected["status"]:
        yield f"status {side.answer.status}, expected {expected['status']}"
    if "error" in expected and kind != expected["error"]:
        yield f"{kind or 'no error'}, expected {expected['error'] or 'no error'}"
    if "field" in expected and field != expected["field"]:
        told = ["no field" if one is None else f"field {shown(one)}" for one in (field, expected["field"])]
        yield f"{told[0]}, expected {told[1]}"
