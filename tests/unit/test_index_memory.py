"""Memory for indexes: the estimate is near what an index takes, and no two corpora get the same memory."""

from __future__ import annotations

import pytest

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.retrieval.index_memory import IndexMemory, hot_index_bytes
from tests.hot_rows import batch_of, clustered

WORDS = tuple("welding night shift crew badge forklift toledo dental nurse crane mason certified".split())  # noqa: SIM905


def text_of(n: int, words: int) -> str:
    return " ".join(f"{WORDS[(n * 7 + w * w) % len(WORDS)]}{(n * w) % 50}" for w in range(words))


@pytest.mark.parametrize(("dimension", "words"), [(64, 0), (256, 5), (384, 60), (768, 60)])
def test_estimate_is_near_what_an_index_takes(dimension: int, words: int) -> None:
    count = 4_000
    texts = [text_of(n, words) for n in range(count)]
    metadata = [{"state": "OH", "number": n, "role": WORDS[n % 12]} for n in range(count)]
    batch = batch_of(clustered(count, dimension), texts=texts, metadata=metadata)
    index = HotIndex(dimension=dimension)
    index.upsert(batch)
    taken = index.stats()["bytes"]
    estimate = hot_index_bytes(count, dimension, stored_bytes=batch.nbytes)
    assert 0.7 * taken < estimate < 1.6 * taken
    assert hot_index_bytes(0, dimension) == 0


def test_memory_is_held_until_it_is_released() -> None:
    memory = IndexMemory(100)
    assert memory.claim("a", 60)
    assert not memory.claim("b", 60)
    assert memory.claim("b", 40)
    memory.measure("b", 50)
    assert (memory.held_bytes, memory.is_over) == (110, True)
    memory.release("a")
    memory.measure("a", 1_000)  # it holds nothing any more
    assert (memory.held_bytes, memory.is_over) == (50, False)
    assert memory.claim("b", 100)  # in place of what it held
    assert not memory.claim("b", 101)
    assert memory.held_bytes == 0


def test_without_a_limit_everything_fits() -> None:
    memory = IndexMemory(None)
    assert memory.claim("a", 1 << 60)
    assert not memory.is_over
