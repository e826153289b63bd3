"""A sample that a gate has refused: which sample, which gate, and why, without any of its text.

Belongs here: the gates' names, the refusal, a line of the quarantine. Not here: the gates (a module each).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import orjson

from lakehouse.validation.personal_spans import personal_spans

Gate: TypeAlias = Literal[
    "shape", "licence", "personal", "length", "exact_duplicate", "near_duplicate", "task_limit", "leakage"
]
GATES: tuple[Gate, ...] = get_args(Gate)
"""In the order in which a sample meets them."""


class Refused(Exception):
    """A gate lets a sample go no further; caught where samples are made."""

    def __init__(self, gate: Gate, reason: str) -> None:
        super().__init__(reason)
        self.gate: Gate = gate
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RefusedSample:
    """A line of `quarantine.jsonl`; `reason` never holds a text of the sample."""

    sample_id: str
    run_id: str
    gate: Gate
    reason: str

    def to_line(self) -> bytes:
        """The line, with its line feed."""
        row = {
            "sample_id": self.sample_id,
            "run_id": shown_id(self.run_id),
            "gate": self.gate,
            "reason": self.reason,
        }
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def shown_id(run_id: str) -> str:
    """A run's id as files beside a corpus show it: itself, or `sha256:<hex>` where it holds personal data."""
    if not personal_spans(run_id):
        return run_id
    return "sha256:" + hashlib.sha256(run_id.encode()).hexdigest()
