"""Heavy background work is done within the one turn of its process: what trains codes, what folds a portion."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.adapters import background_turn, hot_upkeep, memory_folder
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.hot_upkeep import MIN_CODED_ROWS
from tests.fakes.objects import MemoryObjects
from tests.memory_logs import running


class Watched:
    """A turn that notes how things stand when it is taken and when it is given back."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.seen: list[tuple[object, object]] = []
        self._look = look
        self._before: object = None

    def __enter__(self) -> None:
        self._before = self._look()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seen.append((self._before, self._look()))


def test_codes_are_trained_within_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    index = HotIndex(dimension=32, has_text=False)
    turn = Watched(lambda: index.stats()["kind"])
    monkeypatch.setattr(hot_upkeep, "background_turn", lambda: turn)
    vectors = np.random.default_rng(3).standard_normal((MIN_CODED_ROWS, 32)).astype(np.float32)
    ids = pa.array([str(row) for row in range(len(vectors))])
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 32)
    index.upsert(pa.record_batch([ids, column], names=["id", "vector"]))
    index.settle()
    assert turn.seen == [("exact", "ivf")]


def test_a_portion_is_folded_within_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(MemoryObjects()) as process:
        turn = Watched(lambda: sum(process.folded.folded_through.values()))
        monkeypatch.setattr(memory_folder, "background_turn", lambda: turn)
        process.log.append_sync("record", {"n": 1}, actor="ann")
        assert process.log.fold() == 1
    assert turn.seen == [(0, 1)]


def test_work_that_has_waited_long_begins_beside_what_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_turn, "PATIENCE_S", 0.01)
    order = []
    with background_turn.background_turn():
        with background_turn.background_turn():
            order.append("beside")
        order.append("stuck")
    with background_turn.background_turn():
        order.append("after")
    assert order == ["beside", "stuck", "after"]
