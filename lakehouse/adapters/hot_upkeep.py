"""Background work of a hot index: codes for rows that have none, and compaction when many rows are dead.

One thread at a time, started by a write when there is something to do, and gone when there is nothing left.

Belongs here: what is due, doing it, the swap. Not here: codes (see faiss_codes.py), rows (see hot_rows.py).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sized
from typing import Any, Literal, Protocol

import structlog

from lakehouse.adapters.background_turn import background_turn
from lakehouse.adapters.codes_probe import measure
from lakehouse.adapters.faiss_codes import Codes, train
from lakehouse.adapters.giving_way import lower_own_priority
from lakehouse.adapters.hot_rows import RowsView
from lakehouse.adapters.spare_memory import give_back
from lakehouse.retrieval.growing import GrowingArray
from lakehouse.retrieval.row_batch import Distance

Task = Literal["train", "extend", "compact"]
MIN_CODED_ROWS = 5_000
_TAIL_VALUES = 1 << 18  # values without codes that are compared one by one in about a tenth of a millisecond
_GROWTH = 2
_DEAD_SHARE = 0.3
_FEW_DEAD = 1_000
_SMALLEST_DIMENSION = 16
# Training waits for the end of a load; otherwise it would be repeated as the rows come.
_QUIET_S = 1.0
_PATIENCE_S = 8.0
_log = structlog.get_logger("lakehouse.hot_index")


class KeptRows(Protocol):
    """One generation of rows that are kept up."""

    dimension: int
    view: RowsView
    codes: Codes | None

    @property
    def ids(self) -> Sized: ...

    @property
    def vectors(self) -> GrowingArray: ...

    def copy_living(self, view: RowsView) -> Any: ...


def due(rows: KeptRows, *, expected_rows: int = 0) -> Task | None:
    """What is to be done to these rows.

    Args:
        rows: A generation.
        expected_rows: A load is on its way to so many; training waits for them.
    """
    view, codes = rows.view, rows.codes
    dead = view.end - view.live
    if dead > _FEW_DEAD and dead > _DEAD_SHARE * view.end:
        return "compact"
    if view.end < max(MIN_CODED_ROWS, expected_rows) or rows.dimension < _SMALLEST_DIMENSION:
        return None
    if codes is None or view.end >= _GROWTH * codes.trained_rows:
        return "train"
    tail = view.end - codes.end
    return "extend" if tail > max(1, _TAIL_VALUES // rows.dimension) else None


class Kept(Protocol):
    """An index that is kept up."""

    distance: Distance

    @property
    def generation(self) -> KeptRows: ...

    def swap(self, copy: Any, old: Any, copied: RowsView) -> None: ...


class Upkeep:
    """Does the upkeep of one index; it keeps a reference only while at work, so that a dropped index is freed at once.

    Args:
        index: Whose rows.
    """

    def __init__(self, index: Kept) -> None:
        self._index = weakref.ref(index)
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_failed = False
        self._kicked_s = 0.0
        self.expected_rows = 0

    def kick(self) -> None:
        """Start the thread when something is due and it does not run."""
        self._kicked_s = time.monotonic()
        with self._lock:
            if self._thread is None and self._due() is not None:
                self._thread = threading.Thread(target=self._run, name="hot-index-upkeep", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Do all that is due here and now, after what another thread is doing."""
        self.expected_rows = 0
        while True:
            with self._working:
                task = self._due()
                if task is None:
                    return
                self._do(task)

    def _run(self) -> None:
        lower_own_priority()
        while True:
            with self._lock:
                if (task := self._due()) is None:
                    self._thread = None
                    return
            if task == "train":
                self._wait_for_quiet()
            with self._working:
                if (task := self._due()) is not None:
                    self._do(task)

    def _wait_for_quiet(self) -> None:
        begun_s = time.monotonic()
        while (left_s := min(self._kicked_s + _QUIET_S, begun_s + _PATIENCE_S) - time.monotonic()) > 0:
            time.sleep(left_s)

    def _due(self) -> Task | None:
        index = self._index()
        if index is None or self._has_failed:
            return None
        return due(index.generation, expected_rows=self.expected_rows)

    def _do(self, task: Task) -> None:
        index = self._index()
        if index is None:
            return
        try:
            with background_turn():
                _perform(task, index)
        except (MemoryError, RuntimeError) as error:
            # The index goes on without codes, exact and slower; trying again at every write would make it only slower.
            self._has_failed = True
            _log.error("upkeep of a hot index failed", task=task, error=repr(error), rows=len(index.generation.ids))


def _perform(task: Task, index: Kept) -> None:
    rows = index.generation
    view, codes = rows.view, rows.codes
    if task == "compact":
        copy = rows.copy_living(view)
        if codes is not None and copy.view.end >= MIN_CODED_ROWS:
            copy.codes = codes.recoded(copy.vectors.view())
        index.swap(copy, rows, view)
        return
    vectors = rows.vectors.view(0, view.end)
    if task == "extend" and codes is not None:
        rows.codes = codes.extended(vectors)
    else:
        rows.codes = measure(train(vectors, index.distance), vectors)
        give_back()
