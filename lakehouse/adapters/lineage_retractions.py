"""Why a run serves no more, and since when: the entries of the list of retractions that it fell under.

Belongs here: from a run to entries. Not here: the list (see lakehouse/catalog/retractions.py), which runs fall under a
subject (see retracted_runs.py), who may read the reasons (see lakehouse/lineage/answer.py).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lakehouse.adapters import lineage_sql as sql
from lakehouse.adapters.evidence_lake import CURRENT
from lakehouse.adapters.retracted_runs import RUNS, TABLE, digest_of
from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.catalog.retractions import Retraction, RetractionList
from lakehouse.lineage.answer import RetractedBy

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.cached_tables import CachedTables
    from lakehouse.storage.objects import ObjectStore


class LineageRetractions:
    """Finds them for one bucket.

    Args:
        store: The bucket.
        tables: Its manifests.
        root: What stands before a key in an engine's paths.
    """

    def __init__(self, store: ObjectStore, tables: CachedTables, *, root: str) -> None:
        self._list = RetractionList(store)
        self._tables = tables
        self._root = root

    def of(self, cursor: duckdb.DuckDBPyConnection, run_id: str) -> tuple[RetractedBy, ...]:
        """The entries that a retracted run fell under, in the order in which they came; a subject's text is not told.

        Args:
            cursor: Of the engine.
            run_id: The run.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        entries: tuple[Retraction, ...] = ()
        with suppress(BrokenManifest):  # what makes the index stops at it and says so; lineage goes on
            entries = self._list.read()
        subjects = self._subjects(cursor, run_id) if any(one.kind == "subject" for one in entries) else frozenset[str]()
        return tuple(
            RetractedBy(one.kind, one.at, one.by, one.reason)
            for one in entries
            if (one.kind == "run" and one.value == run_id)
            or (one.kind == "subject" and digest_of(one.value) in subjects)
        )

    def _subjects(self, cursor: duckdb.DuckDBPyConnection, run_id: str) -> frozenset[str]:
        partition = self._tables.get(TABLE).partitions.get(CURRENT)
        file = None if partition is None else partition.file(RUNS)
        return frozenset() if file is None else frozenset(sql.subjects_of_run(cursor, self._root + file.key, run_id))
