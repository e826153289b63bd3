"""Meters: what takes the baseline of a kind and compares a day with it.

Belongs here: the Protocol and what crosses it. Not here: the meters (see the drift_ modules of lakehouse/adapters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from lakehouse.drift.baseline import Baseline
from lakehouse.drift.finding import Finding


@dataclass(frozen=True, slots=True)
class Taken:
    """What a baseline is made of: JSON for its document, and perhaps a Parquet file. `samples` is how many runs, rows
    or metrics it rests on; a baseline of none is none.
    """

    data: Mapping[str, Any]
    samples: int
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison gave: findings that are not judged yet, numbers for the report.

    `reason` says why nothing could be compared, where there are no findings. `corrected_share` is the part of what was
    compared whose labels were corrected, for kinds that have no other finding of that.
    """

    findings: tuple[Finding, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    corrected_share: float = 0.0


class Meter(Protocol):
    """Measures one kind."""

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """What a baseline of some days is made of; files go into the folder."""
        ...

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the days that end with one against a baseline, whose rows lie in `file` where it has some."""
        ...
