"""Vector searches that came in one turn of the event loop: those over the same rows become one search.

No search waits for others: only those that the loop has read by the end of its turn are joined.

Belongs here: who comes together. Not here: the search (see hot_search_together.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import Hit, HotIndex, hits_of
from lakehouse.adapters.hot_search import without_left_out
from lakehouse.adapters.hot_search_together import is_gatherable
from lakehouse.retrieval.selection import Selection

_MOST = 64
Near: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


class _Asked(msgspec.Struct):
    """A query as it is compared, how many rows are wanted of what is meant, who waits."""

    query: NDArray[np.float32]
    k: int
    selection: Selection
    done: asyncio.Future[Near]

    def meant_of(self, near: Near) -> Near:
        """The rows found for a search whose left-out rows were searched with the others, without these."""
        left_out = self.selection.left_out
        if not len(left_out):
            return near
        rows, distances = without_left_out((near[0] - self.selection.first, near[1]), left_out, self.k)
        return rows + self.selection.first, distances


class GatheredSearches:
    """Searches of one event loop."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, int], list[_Asked]] = {}

    async def search(self, index: HotIndex, vector: NDArray[np.float32], k: int, selection: Selection) -> Sequence[Hit]:
        """The same as `index.search_vector`, together with the others of this turn.

        Raises:
            BadInput: As there.
        """
        return hits_of(selection, *await self.nearest_rows(index, vector, k, selection))

    async def nearest_rows(self, index: HotIndex, vector: NDArray[np.float32], k: int, selection: Selection) -> Near:
        """The same as `index.nearest_rows`, together with the others of this turn.

        Raises:
            BadInput: As there.
        """
        return await self.look(index, vector, k, selection)

    def look(self, index: HotIndex, vector: NDArray[np.float32], k: int, selection: Selection) -> asyncio.Future[Near]:
        """The same, begun at once: whoever looks in several places looks in all of them in one turn.

        Raises:
            BadInput: As there.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Near] = loop.create_future()
        meant = selection if selection.base is None else selection.base
        if not is_gatherable(meant):
            done.set_result(index.nearest_rows(vector, k, selection))
            return done
        asked = _Asked(index.read_query(vector), k, selection, done)
        # Searches that differ only in the rows they leave out are joined. `id` is a safe key, as waiting searches keep
        # the selection alive.
        key = (id(meant), min(k, len(selection)) + len(selection.left_out))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = []
            loop.call_soon(self._answer, key, index, meant)
        group.append(asked)
        return done

    def _answer(self, key: tuple[int, int], index: HotIndex, selection: Selection) -> None:
        group = self._groups.pop(key)
        for start in range(0, len(group), _MOST):
            part = [asked for asked in group[start : start + _MOST] if not asked.done.done()]
            if not part:
                continue
            try:
                found = index.nearest_rows_of_each([asked.query for asked in part], key[1], selection)
            except Exception as error:  # raised to each caller
                for asked in part:
                    asked.done.set_exception(error)
            else:
                for asked, near in zip(part, found, strict=True):
                    asked.done.set_result(asked.meant_of(near))
