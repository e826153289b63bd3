"""Memory tables as they were at a time: their logs read anew from the bucket, up to there.

Every operation that was ever acknowledged is a row of its table or an entry of the log after it. Old versions of a
Lance table are removed, but operations are not, so the past is the same fold over fewer operations. Vectors are left
out, as SQL does not show them. What was erased is in no past.

Belongs here: the fold up to a time. Not here: the present (see memory_log.py), views (see memory_views.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.replay_pins import StateAsOf, read_log
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.memory.entry import Order
from lakehouse.memory.hybrid_clock import first_after
from lakehouse.pathway import trace as pathway
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.table import pathway_table
from lakehouse.retrieval import playbook
from lakehouse.retrieval.playbook import PlaybookBook
from lakehouse.retrieval.playbook_table import playbook_table

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.memory.rows import RowRules
    from lakehouse.memory.state import MemoryState
    from lakehouse.retrieval.playbook_index import EntryIndex

Vectors = NDArray[np.float32]


class MemoryPast:
    """The past of one bucket's memory tables. Reading it takes as long as a start takes: one at a time.

    Args:
        objects: The bucket.
    """

    def __init__(self, objects: S3ObjectStore) -> None:
        self._objects = objects
        self._reading = threading.Lock()

    def playbooks(self, moment: datetime) -> pa.Table:
        """The rows of the view `playbooks` as of a time.

        Raises:
            StoreUnavailable: The log cannot be read whole.
        """
        book = PlaybookBook(cast("EntryIndex", _NoVectors()), embedder="", embed=_nothing)
        return self._read(playbook.TABLE, book, playbook.ROW_RULES, moment, lambda: playbook_table(book))

    def pathways(self, moment: datetime) -> pa.Table:
        """The rows of the view `pathways` as of a time; raises as `playbooks`."""
        book = PathwayBook(_NoVectors(), embedder="", embed=_nothing)
        return self._read(pathway.TABLE, book, pathway.ROW_RULES, moment, lambda: pathway_table(book))

    def _read(
        self, name: str, state: MemoryState, rules: RowRules, moment: datetime, table: Callable[[], pa.Table]
    ) -> pa.Table:
        with self._reading:
            pinned = StateAsOf(state, Order(first_after(moment), "", 0, 0))
            tables = LanceTables(self._objects.location, self._objects)
            folded = LanceFoldedRows(tables, self._objects, name, rules)
            read_log(MemoryLog(open_objects(self._objects.location), name, pinned, folded), pinned, None)
            return table()


class _NoVectors:
    """An index that keeps nothing, as far as states use theirs while nobody searches."""

    dimension = 1

    def put(self, *_: Any) -> None:
        """Nothing to keep."""

    def delete(self, _: Sequence[str]) -> int:
        return 0

    def vector_of(self, _: str) -> Vectors | None:
        return None


def _nothing(texts: Sequence[str]) -> Vectors:
    return np.zeros((len(texts), _NoVectors.dimension), np.float32)
