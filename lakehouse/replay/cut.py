"""A cut: which version of everything a replay reads, so that it is answered from what was known then.

A cut is `{"datasets": {name: version}, "tables": {name: version}, "logs": {name: order}}`: catalog versions of
datasets, revisions of corpora (`000001.000000000012`: generation and Lance's version), and for each memory log the
order of the last entry that counts (empty: none does). It is no time of a clock: versions are what was really read.

Belongs here: the form. Not here: what there is now, and opening it (see lakehouse/adapters/replay_pins.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.memory.entry import Order

_PARTS = ("datasets", "tables", "logs")
_REVISION = re.compile(r"\d{6}\.\d{12}")


@dataclass(frozen=True, slots=True)
class Cut:
    """Versions by name."""

    datasets: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """The JSON document, names in order."""
        return {part: dict(sorted(getattr(self, part).items())) for part in _PARTS}

    def require(self, *, datasets: Collection[str], tables: Collection[str], logs: Collection[str], now: Cut) -> Cut:
        """The cut of what a replay reads; a part that it does not name is refused, never taken from now.

        Args:
            datasets: Names that the replay reads.
            tables: Likewise.
            logs: Likewise.
            now: What there is, to be shown.

        Raises:
            BadInput: Naming what is missing, and what it would be now.
        """
        wanted = {"datasets": datasets, "tables": tables, "logs": logs}
        for part, names in wanted.items():
            for name in sorted(names):
                if name not in getattr(self, part):
                    present = orjson.dumps(getattr(now, part).get(name)).decode()
                    raise BadInput(
                        f"as_of names no version of {name!r} under {part!r}, which this replay reads; now it is"
                        f" {present} (`lakehouse replay cut` prints the whole cut)",
                        field="as_of",
                    )
        kept = {part: {name: getattr(self, part)[name] for name in names} for part, names in wanted.items()}
        return Cut(**kept)


def parse_cut(document: object) -> Cut:
    """Read a cut.

    Raises:
        BadInput: Naming the part that is wrong.
    """
    if not isinstance(document, Mapping) or set(document) - set(_PARTS):
        raise BadInput(
            f"as_of must be an object of {', '.join(_PARTS)}, versions by name; `lakehouse replay cut` prints one",
            field="as_of",
        )
    parts = {part: document.get(part, {}) for part in _PARTS}
    for part, named in parts.items():
        if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
            raise BadInput(f"as_of.{part} must be an object of versions by name", field="as_of")
    datasets = {name: _version(f"datasets.{name}", value) for name, value in parts["datasets"].items()}
    tables = {name: _revision(name, value) for name, value in parts["tables"].items()}
    logs = {name: _order(name, value) for name, value in parts["logs"].items()}
    return Cut(datasets, tables, logs)


def split_revision(revision: str) -> tuple[int | None, int]:
    """Generation and version of a table's revision; the generation is None where only a version was given."""
    generation, dot, version = revision.rpartition(".")
    return (int(generation) if dot else None), int(version)


def _version(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadInput(f"as_of.{name} must be a version, a whole number of 1 or more", field="as_of")
    return value


def _revision(name: str, value: object) -> str:
    if isinstance(value, str) and _REVISION.fullmatch(value):
        return value
    return str(_version(f"tables.{name}", value))


def _order(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadInput(f"as_of.logs.{name} must be an order of the memory log, a text", field="as_of")
    return str(Order.parse(value)) if value else ""
