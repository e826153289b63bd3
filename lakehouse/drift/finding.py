"""Findings: one number now against the same number at the baseline, the test behind it and what came of it.

Belongs here: the form of a finding, the names of the kinds. Not here: tests (see two_samples.py), judging (see
judging.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from lakehouse.errors import BadInput

Kind: TypeAlias = Literal["scorer", "playbook", "embedding", "audit", "outcome"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FindingVerdict: TypeAlias = Literal["stable", "drift", "label_correction", "notice", "insufficient"]
Effect: TypeAlias = Literal[
    "cohens_h", "cliffs_delta", "psi", "moved_share", "revectored_share", "lost_neighbours", "worse_by",
    "failed_phase", "series_score",
]  # fmt: skip
EFFECTS: tuple[Effect, ...] = get_args(Effect)


def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises:
        BadInput: There is none of that name.
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise BadInput(f"there is no drift of kind {name[:60]!r}; kinds are {', '.join(KINDS)}", kind=name[:60])


@dataclass(frozen=True, slots=True)
class Finding:
    """One number, then and now.

    Attributes:
        group: What it is of: a model version, a corpus; empty where there is one only.
        name: What is measured.
        effect_name: The measure of the effect, which has its floor in the rules.
        baseline: The value at the baseline; None: it cannot be said.
        now: The value now.
        baseline_samples: How many it rests on there.
        samples: How many it rests on now.
        effect: How large the change is, signed; its unit is that of `effect_name`.
        test: The test, in words; empty: the effect alone decides, for nothing was sampled.
        p_value: Of the test, alone.
        p_adjusted: The same among all tests of the report (Holm).
        first_p_value: Of the same test on labels as they were first given; None: labels play no part.
        first_effect: The effect on labels as they were first given.
        verdict: What came of it.
        note: What a reader should know.
    """

    group: str
    name: str
    effect_name: Effect
    baseline: float | None = None
    now: float | None = None
    baseline_samples: int = 0
    samples: int = 0
    effect: float | None = None
    test: str = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    first_p_value: float | None = None
    first_effect: float | None = None
    verdict: FindingVerdict = "stable"
    note: str = ""

    @property
    def key(self) -> str:
        """What it is and where it went; the same on two days means the same drift."""
        way = "" if not self.effect else ("up" if self.effect > 0 else "down")
        return f"{self.group}/{self.name}/{way}"

    def to_document(self) -> dict[str, Any]:
        """The JSON object."""
        return {**asdict(self), "key": self.key}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Finding:
        """A stored finding; members that this program does not know are left."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known})
