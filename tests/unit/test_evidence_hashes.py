"""Hashes of many texts: those of hashlib, one by one."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from lakehouse.adapters.evidence_hashes import hashes_of_slices, hashes_of_texts

TEXTS = ["a", None, "", "naïve 😀", "x" * 5000, None]


def sha256(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def test_texts_give_the_hashes_of_their_utf8_and_null_stays_null() -> None:
    assert hashes_of_texts(pa.chunked_array([pa.array(TEXTS)])).to_pylist() == [sha256(text) for text in TEXTS]


def test_pieces_slices_and_nothing_give_as_many_hashes_as_texts() -> None:
    whole = pa.array(TEXTS)
    pieces = pa.chunked_array(
        [whole[1:4], whole[:0], pa.array([], pa.string()), whole[4:], pa.array([None], pa.string())]
    )
    assert hashes_of_texts(pieces).to_pylist() == [sha256(text) for text in [*TEXTS[1:4], *TEXTS[4:], None]]
    assert hashes_of_texts(pa.chunked_array([], pa.string())).to_pylist() == []
    nulls = pa.array([None, None], pa.string())
    assert hashes_of_texts(pa.chunked_array([nulls])).null_count == 2


def test_a_known_hash_stands_for_that_of_the_slice() -> None:
    starts, ends = np.array([0, 2, 4]), np.array([1, 4, 4])
    made = hashes_of_slices(b"a\nbc", starts, ends, known={2: "f" * 64})
    assert made.to_pylist() == [sha256("a"), sha256("bc"), "f" * 64]


def test_more_than_a_piece_of_slices_keeps_their_order() -> None:
    data = "".join(f"{number:06}" for number in range(20_000)).encode()
    starts = np.arange(0, len(data), 6)
    made = hashes_of_slices(data, starts, starts + 6, known={10_000: "0" * 64}).to_pylist()
    assert len(made) == 20_000
    assert made[10_000] == "0" * 64
    assert [made[0], made[8192], made[-1]] == [sha256("000000"), sha256("008192"), sha256("019999")]
