"""Which rows of a corpus are chunks of which row of its source, in arrays that answer for many sources at once.

A chunk's id is `<source id>#<n>` (see corpus_rows.py), so the id alone tells the source. A row whose id has no `#` was
added by a client and has no source.

Belongs here: sources of ids, rows by source in memory. Not here: how ids of chunks are made (see corpus_rows.py), the
same for rows in Lance (see lakehouse/adapters/lance_fragments.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.retrieval.growing import GrowingArray, GrowingStrings
from lakehouse.retrieval.id_table import IdTable

Mask = NDArray[np.bool_]
_NONE = 0


class SourceTable:
    """The sources of rows that only grow, for any number of threads; made when it is first asked for.

    Args:
        ids: Of the rows.
    """

    def __init__(self, ids: GrowingStrings) -> None:
        self._ids = ids
        self._lock = threading.Lock()
        self._number_of = IdTable()
        self._numbers = GrowingArray(np.int32)

    def mask(self, sources: Collection[str], end: int) -> Mask:
        """Which of the first `end` rows are chunks of these sources.

        Args:
            sources: Ids of the source; unknown ones are passed over.
            end: How many rows; no more than there are.
        """
        with self._lock:
            self._read(end)
            found = self._number_of.rows_of(sources)
            is_wanted = np.zeros(len(self._number_of) + 1, np.bool_)
        is_wanted[found[found > _NONE]] = True
        mask: Mask = is_wanted[self._numbers.view(0, end)]
        return mask

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        return self._number_of.bytes + self._numbers.bytes

    def _read(self, end: int) -> None:
        """Read the rows that were added since the last call."""
        start = len(self._numbers)
        if start >= end:
            return
        encoded = sources_of(self._ids.view(start, end)).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        numbers = self._number_of.rows_of(names)
        fresh = np.flatnonzero(numbers < 0)
        numbers[fresh] = len(self._number_of) + 1 + np.arange(len(fresh))
        self._number_of.put([names[n] for n in fresh], numbers[fresh])
        at = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        self._numbers.append(np.append(numbers, _NONE)[at])


def sources_of(ids: pa.Array) -> pa.Array:
    """The source of each chunk by its id; null for an id that is none of a chunk's."""
    parts = pc.split_pattern(ids, "#", max_splits=1, reverse=True)
    has_source = pc.equal(pc.list_value_length(parts), 2)
    return pc.if_else(has_source, pc.list_element(parts, 0), None)
