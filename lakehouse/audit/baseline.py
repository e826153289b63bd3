"""Baselines: the metrics of an audit that later ones are held against, and how far a value is from its own.

Belongs here: the document, the comparison. Not here: where it is kept (see lakehouse/adapters/audit_baselines.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import orjson

from lakehouse.audit.results import Better
from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.errors import BadInput
from lakehouse.storage.format_version import require_exactly

FORMAT_VERSION = 1
Change: TypeAlias = Literal["new", "same", "better", "worse", "other"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The metrics of one audit.

    Attributes:
        version: Counts from 1.
        audit_id: The audit.
        set_at: When it was made the baseline, UTC.
        by: Who did so.
        metrics: Values by `<phase>.<name>`, such as `score.accepted_share`.
    """

    version: int
    audit_id: str
    set_at: datetime
    by: str
    metrics: Mapping[str, float]

    def to_json(self) -> bytes:
        """The stored bytes."""
        document = {
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "audit_id": self.audit_id,
            "set_at": format_utc(self.set_at),
            "by": self.by,
            "metrics": dict(sorted(self.metrics.items())),
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, body: bytes, *, key: str) -> Baseline:
        """A stored baseline.

        Args:
            body: Its bytes.
            key: Where they lie, for the message.

        Raises:
            BadInput: It is damaged, or of a version that this program does not know.
        """
        try:
            document = orjson.loads(body)
            require_exactly(document, FORMAT_VERSION, key=key)
            metrics = {str(name): float(value) for name, value in document["metrics"].items()}
            return cls(
                int(document["version"]), str(document["audit_id"]), parse_utc(document["set_at"]),
                str(document["by"]), metrics,
            )  # fmt: skip
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            remedy = "restore it from audits/baselines/versions/, or set another: lakehouse audit full --set-baseline"
            raise BadInput(f"{key} is not a baseline; {remedy}") from None


def change_of(value: float, before: float | None, better: Better) -> Change:
    """What a value is against its baseline.

    Args:
        value: Now.
        before: In the baseline; None: it has none.
        better: Which way is better.
    """
    if before is None:
        return "new"
    if value == before:
        return "same"
    if better == "neither":
        return "other"
    return "better" if (value > before) == (better == "higher") else "worse"
