"""Vector searches that came in one turn of the event loop: those that ask the same of the same rows are one search.

Nobody waits for company: what a busy loop has read when its turn ends is there already.

Belongs here: who comes together. Not here: the search (see hot_search_together.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import Hit, HotIndex, hits_of
from lakehouse.adapters.hot_search_together import is_gatherable
from lakehouse.retrieval.selection import Selection

_MOST = 64
_Near: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
_Waiting: TypeAlias = list[tuple[NDArray[np.float32], asyncio.Future[_Near]]]


class GatheredSearches:
    """Searches of one event loop."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, int], _Waiting] = {}

    async def search(self, index: HotIndex, vector: NDArray[np.float32], k: int, selection: Selection) -> Sequence[Hit]:
        """The same as `index.search_vector`, together with the others of this turn.

        Raises:
            BadInput: As there.
        """
        return hits_of(selection, *await self.nearest_rows(index, vector, k, selection))

    async def nearest_rows(self, index: HotIndex, vector: NDArray[np.float32], k: int, selection: Selection) -> _Near:
        """The same as `index.nearest_rows`, together with the others of this turn.

        Raises:
            BadInput: As there.
        """
        if not is_gatherable(selection):
            return index.nearest_rows(vector, k, selection)
        query = index.read_query(vector)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Near] = loop.create_future()
        key = (id(selection), k)  # a selection is alive for as long as somebody waits for it
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = []
            loop.call_soon(self._answer, key, index, selection)
        group.append((query, done))
        return await done

    def _answer(self, key: tuple[int, int], index: HotIndex, selection: Selection) -> None:
        group = self._groups.pop(key)
        for start in range(0, len(group), _MOST):
            part = [(query, done) for query, done in group[start : start + _MOST] if not done.done()]
            if not part:
                continue
            try:
                found = index.nearest_rows_of_each([query for query, _ in part], key[1], selection)
            except Exception as error:  # each caller hears of it
                for _, done in part:
                    done.set_exception(error)
            else:
                for (_, done), near in zip(part, found, strict=True):
                    done.set_result(near)
