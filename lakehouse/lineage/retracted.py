"""What a retraction did, or would do: every place that held something of its runs, and what became of it.

Belongs here: the report. Not here: doing it (see lakehouse/adapters/retraction.py, erasure.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lakehouse.catalog.retractions import Kind


@dataclass(frozen=True, slots=True)
class Place:
    """A place that holds, or held, something of a run.

    Attributes:
        key: The object, with the line where it is one; or what the operator calls it.
        what: What became of it, or what there is to do.
        sha256: Of the line, or of the object, where it is known.
        is_open: Whether somebody has to do something about it.
    """

    key: str
    what: str
    sha256: str = ""
    is_open: bool = False


@dataclass(slots=True)
class RetractionReport:
    """The whole of it.

    Attributes:
        kind: What was retracted.
        value: Its id or words.
        is_dry: Whether nothing was done.
        is_new: Whether it was not on the list before.
        is_found: Whether anything made of it was there.
        runs: The runs that serve no more by it.
        places: Where something of them lies or lay.
        builds: By the build that was superseded, the one that took its place; None where none could.
        receipt: Key of the receipt, empty when dry.
    """

    kind: Kind
    value: str
    is_dry: bool
    is_new: bool = True
    is_found: bool = True
    runs: tuple[str, ...] = ()
    places: list[Place] = field(default_factory=list)
    builds: dict[str, str | None] = field(default_factory=dict)
    receipt: str = ""

    @property
    def open_places(self) -> list[Place]:
        """What is left to the operator."""
        return [place for place in self.places if place.is_open]

    def to_document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
