"""MinHash signatures of many texts in a file, and which of them are alike; memory holds one band at a time.

A signature is made by rensa and kept with 16 bits of each slot: 256 bytes a text. Texts that share a band are
candidates; each is compared with the first and the one before it in the band, so that a thousand copies are two
thousand comparisons.

Belongs here: the file, bands, comparisons. Not here: what is compared and what follows (see
lakehouse/distillation/twins.py, leakage.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from lakehouse.distillation.twins import SLOTS, band_shape

if TYPE_CHECKING:
    import numpy.typing as npt

SEED = 20_260_304
_BLOCK = 1 << 15
_COMPARED_AT_ONCE = 1 << 14
_FACTOR = np.uint64(0x9E37_79B9_7F4A_7C15)


class SignatureFile:
    """Signatures in the order in which they were added.

    Args:
        path: A file that is made here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, shingles: Sequence[Sequence[str]]) -> None:
        """Add a signature for each set of shingles."""
        import rensa

        if not shingles:
            return
        made = rensa.RMinHash.digests_from_token_sets([list(one) for one in shingles], num_perm=SLOTS, seed=SEED)
        self._file.write((np.array(made, dtype=np.uint32) & np.uint32(0xFFFF)).astype("<u2").tobytes())
        self.count += len(shingles)

    def alike(self, likeness: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Pairs (earlier, later) from a likeness on, each once, in order, and how alike they are."""
        known = np.zeros(0, dtype=np.int64)
        for keys in self._bands(likeness):
            order = np.argsort(keys, kind="stable").astype(np.int64)
            first, inner = _groups(keys[order])
            members = order[inner]
            candidates = np.concatenate(
                [np.stack([order[first[inner]], members], axis=1), np.stack([order[inner - 1], members], axis=1)]
            )
            known = self._alike_among(candidates, known, likeness)
        pairs = self._pairs(known)
        return pairs, self._likeness(pairs)

    def alike_held(
        self, likeness: float, is_held: npt.NDArray[np.bool_], is_asked: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Pairs (asked, held) from a likeness on; each that is asked is compared with two that are held in a band."""
        known = np.zeros(0, dtype=np.int64)
        place = np.arange(self.count)
        for keys in self._bands(likeness):
            # In each band the held-out texts come first.
            order = np.lexsort((place, ~is_held, keys)).astype(np.int64)
            first, inner = _groups(keys[order])
            held_before = np.maximum.accumulate(np.where(is_held[order], np.arange(len(order)), -1))
            asked = inner[is_asked[order[inner]] & is_held[order[first[inner]]]]
            members = order[asked]
            candidates = np.concatenate(
                [
                    np.stack([members, order[first[asked]]], axis=1),
                    np.stack([members, order[held_before[asked]]], axis=1),
                ]
            )
            known = self._alike_among(candidates, known, likeness)
        pairs = self._pairs(known)
        return pairs, self._likeness(pairs)

    def _bands(self, likeness: float) -> Iterator[npt.NDArray[np.uint64]]:
        """A key for each signature, band by band."""
        self._file.flush()
        bands, rows = band_shape(likeness)
        for band in range(bands):
            keys = np.empty(self.count, dtype=np.uint64)
            with self._path.open("rb") as file:
                for begin in range(0, self.count, _BLOCK):
                    size = min(_BLOCK, self.count - begin)
                    block = np.fromfile(file, dtype="<u2", count=size * SLOTS).reshape(size, SLOTS)
                    keys[begin : begin + size] = _keys(block[:, band * rows : (band + 1) * rows])
            yield keys

    def _alike_among(
        self, candidates: npt.NDArray[np.int64], known: npt.NDArray[np.int64], likeness: float
    ) -> npt.NDArray[np.int64]:
        """What is known, and those candidates that are alike, as sorted codes of pairs."""
        codes = np.unique(candidates[:, 0] * self.count + candidates[:, 1])
        codes = codes[~np.isin(codes, known, assume_unique=True)]
        pairs = self._pairs(codes)
        is_alike = (pairs[:, 0] != pairs[:, 1]) & (self._likeness(pairs) >= likeness)
        return np.union1d(known, codes[is_alike])

    def _pairs(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.stack([codes // max(1, self.count), codes % max(1, self.count)], axis=1)

    def _likeness(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        if not len(pairs):
            return np.zeros(0)
        shares = [
            self._likeness_of(some) for some in np.split(pairs, range(_COMPARED_AT_ONCE, len(pairs), _COMPARED_AT_ONCE))
        ]
        return np.concatenate(shares)

    def _likeness_of(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        # Mapped anew each time, so that pages read for other pairs no longer count as memory of this process.
        signatures = np.memmap(self._path, dtype="<u2", mode="r", shape=(self.count, SLOTS))
        share: npt.NDArray[np.float64] = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
        return share


def _keys(rows: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """One number for each row of a band; rows that differ seldom share one, and are compared anyway."""
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        keys = (keys ^ column.astype(np.uint64)) * _FACTOR
        keys ^= keys >> np.uint64(29)
    return keys


def _groups(ordered: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of ordered keys: for each place that of the first with its key, and the places that are not the first."""
    if not len(ordered):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    is_start = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first = np.flatnonzero(is_start)[np.cumsum(is_start) - 1]
    return first, np.flatnonzero(~is_start)
