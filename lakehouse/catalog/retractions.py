"""Retractions: which runs, and which subjects wherever they occur, serve no more.

One list in the bucket (`catalog/retractions.json`), which only grows, by compare-and-swap. What makes evidence serve
reads it each time, so that no replay of the pipeline brings back what was retracted.

Belongs here: the list. Not here: which runs a subject occurs in (see lakehouse/adapters/retracted_runs.py), what else
happens to what is retracted (see lakehouse/adapters/retraction.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import orjson

from lakehouse.catalog.manifest import BrokenManifest, format_utc, parse_utc
from lakehouse.errors import BadInput, NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.format_version import require_not_newer
from lakehouse.storage.objects import ObjectStore, StoredObject

KEY = "catalog/retractions.json"
FORMAT_VERSION = 1
LEAST_CHARACTERS, MOST_CHARACTERS = 3, 512
Kind: TypeAlias = Literal["run", "subject"]
_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Retraction:
    """One entry.

    Attributes:
        kind: A run by its id, or a subject: a task, an actor, or words in what was asked, answered or noted.
        value: The id, or the text.
        reason: Why.
        by: Who says so.
        at: When, UTC.
    """

    kind: Kind
    value: str
    reason: str
    by: str
    at: datetime

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise BadInput("a retraction needs a reason", field="reason")
        least = LEAST_CHARACTERS if self.kind == "subject" else 1
        if not least <= len(self.value) <= MOST_CHARACTERS or self.value != self.value.strip():
            raise BadInput(
                f"a {self.kind} to retract has {least} to {MOST_CHARACTERS} characters and no space around them",
                field="value",
            )


class RetractionList:
    """The list of one bucket.

    Args:
        store: The bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self) -> tuple[Retraction, ...]:
        """The entries, in the order in which they came.

        Raises:
            BrokenManifest: The list is damaged: nothing may serve until it is mended.
            StoreUnavailable: The store does not answer.
        """
        return self._read()[0]

    def add(self, retraction: Retraction) -> bool:
        """Put an entry on the list; False where its kind and value are on it.

        Raises:
            BrokenManifest: The list is damaged.
            Unavailable: Others kept writing it.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            entries, stored = self._read()
            known = next((one for one in entries if (one.kind, one.value) == (retraction.kind, retraction.value)), None)
            if known is not None:
                # A PUT that is sent again after its answer was lost meets itself.
                return known == retraction
            if self._swap([*entries, retraction], stored):
                return True
        raise Unavailable("others kept writing the list of retractions; try again", retry_after_s=5)

    def _swap(self, entries: Sequence[Retraction], stored: StoredObject | None) -> bool:
        said = [{**asdict(one), "at": format_utc(one.at)} for one in entries]
        body = orjson.dumps({"format_version": FORMAT_VERSION, "retractions": said}, option=orjson.OPT_SORT_KEYS)
        etag = None if stored is None else stored.info.etag
        try:
            self._store.put(KEY, body, if_match=etag, if_absent=stored is None, content_type="application/json")
        except PreconditionFailed:
            return False
        return True

    def _read(self) -> tuple[tuple[Retraction, ...], StoredObject | None]:
        try:
            stored = self._store.get(KEY)
        except NotFound:
            return (), None
        try:
            document = orjson.loads(stored.body)
            require_not_newer(document, FORMAT_VERSION)
            return tuple(_entry(said) for said in document["retractions"]), stored
        except (ValueError, KeyError, TypeError, BadInput) as error:
            raise BrokenManifest(
                f"{KEY!r} is not a list of retractions ({error}): restore it from a backup;"
                " until then no index is made",
                key=KEY,
            ) from None


def _entry(said: dict[str, Any]) -> Retraction:
    if said["kind"] not in ("run", "subject"):
        raise ValueError(f"kind {said['kind']!r}")
    return Retraction(said["kind"], said["value"], said["reason"], said["by"], parse_utc(said["at"]))
