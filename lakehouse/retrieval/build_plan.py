"""What a build has to do: which rows of a source are new, changed or as they were, and which rows are gone.

Rows are remembered as 16 bytes of their id and 32 of their content, so that a million take about 60 MB.

Belongs here: the comparison. Not here: hashes of rows (see corpus_rows.py), who embeds and writes (see
lakehouse/adapters/corpus_builder.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.corpus_rows import DIGEST_BYTES, MadeRows, id_digest, part_of, source_id_of

_DIGEST = f"S{DIGEST_BYTES}"
_HASH_CHARACTERS = 4 * DIGEST_BYTES
NEW, CHANGED, UNCHANGED = 0, 1, 2
NOWHERE = -1
Digests = NDArray[np.bytes_]


class KnownRows:
    """The rows that a table has, by position in its scan; filled first, then asked.

    Args:
        parts: In how many parts the corpus is built.
        part: Only rows of this part are known.
        is_chunked: Ids are those of chunks.
    """

    def __init__(self, *, parts: int = 1, part: int = 0, is_chunked: bool = False) -> None:
        self._rule = (parts, part, is_chunked)
        self._scanned = 0
        self._batches: list[tuple[Digests, Digests, Digests, NDArray[np.int64]]] = []
        self._keys: Digests = np.empty(0, _DIGEST)
        self._text_digests: Digests = np.empty(0, _DIGEST)
        self._digests: Digests = np.empty(0, _DIGEST)
        self._positions: NDArray[np.int64] = np.empty(0, np.int64)
        self._is_seen: NDArray[np.bool_] = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, ids: Sequence[str], hashes: Sequence[str | None]) -> None:
        """Add the next rows of the scan, in its order; a row without a hash was made by no build and is passed over."""
        parts, part, is_chunked = self._rule
        keys, contents, positions = [], [], []
        for offset, (row_id, content) in enumerate(zip(ids, hashes, strict=True)):
            if content is None or len(content) != _HASH_CHARACTERS:
                continue
            if parts > 1 and part_of(id_digest(source_id_of(row_id, is_chunked=is_chunked)), parts) != part:
                continue
            keys.append(id_digest(row_id))
            contents.append(bytes.fromhex(content))
            positions.append(self._scanned + offset)
        self._scanned += len(ids)
        if keys:
            both = np.array(contents, f"S{2 * DIGEST_BYTES}").view(_DIGEST).reshape(-1, 2)
            self._batches.append((np.array(keys, _DIGEST), both[:, 0], both[:, 1], np.array(positions, np.int64)))

    def settle(self) -> None:
        """Sort what was added, so that it can be asked; call it once, after the last `add`."""
        if not self._batches:
            return
        keys, text_digests, digests, positions = (np.concatenate(column) for column in zip(*self._batches, strict=True))
        order = np.argsort(keys, kind="stable")
        self._keys, self._text_digests, self._digests = keys[order], text_digests[order], digests[order]
        self._positions = positions[order]
        self._is_seen = np.zeros(len(keys), np.bool_)
        self._batches = []

    def judge(self, rows: MadeRows) -> NDArray[np.int8]:
        """NEW, CHANGED or UNCHANGED for each row; marks the rows' ids as seen, for `gone`."""
        kinds = np.full(len(rows.ids), NEW, np.int8)
        places, is_known = self._find(rows)
        if len(places):
            self._is_seen[places[is_known]] = True
            kinds[is_known] = CHANGED
            kinds[is_known & (self._digests[places] == np.array(rows.digests, _DIGEST))] = UNCHANGED
        return kinds

    def same_text(self, rows: MadeRows) -> NDArray[np.int64]:
        """For each row the position of the known row with the same id and text; NOWHERE when there is none."""
        positions = np.full(len(rows.ids), NOWHERE, np.int64)
        places, is_known = self._find(rows)
        if len(places):
            has_text = is_known & (self._text_digests[places] == np.array(rows.text_digests, _DIGEST))
            positions[has_text] = self._positions[places[has_text]]
        return positions

    def _find(self, rows: MadeRows) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each row where its id sorts in, and whether it is known; both are empty when no rows are known."""
        if not rows.ids or not len(self._keys):
            return np.empty(0, np.int64), np.empty(0, np.bool_)
        keys = np.array([id_digest(i) for i in rows.ids], _DIGEST)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return places, self._keys[places] == keys

    def gone(self) -> NDArray[np.int64]:
        """Positions of the known rows whose ids `judge` has not seen, ascending."""
        return np.sort(self._positions[~self._is_seen])
