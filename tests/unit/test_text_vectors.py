"""The cache of texts' vectors: what is embedded once, what stays, what is told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.text_vectors import TextVectorCache
from lakehouse.errors import Unavailable

pytestmark = pytest.mark.anyio
DIMENSION = 4
ENTRY_BYTES = DIMENSION * 4 + 300


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Model:
    """Embeds a text as its length; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.is_down = False

    async def embed(self, name: str, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.is_down:
            raise Unavailable("the model is away")
        self.asked += [(name, text) for text in texts]
        return np.array([[len(text) + len(name)] * DIMENSION for text in texts], np.float32)


async def test_text_is_embedded_once_for_each_embedder() -> None:
    model = Model()
    cache = TextVectorCache(model.embed, most_bytes=1 << 20)
    first = await cache.of("a", ["x", "yy", "x"])
    assert first[:, 0].tolist() == [2, 3, 2]
    assert (await cache.of("a", ["yy", "zzz"]))[:, 0].tolist() == [3, 4]
    assert (await cache.of("bb", ["x"]))[:, 0].tolist() == [3]
    assert model.asked == [("a", "x"), ("a", "yy"), ("a", "zzz"), ("bb", "x")]
    assert cache.stats() == {"hits": 1, "misses": 4, "cached": 4, "bytes": 4 * ENTRY_BYTES}


async def test_least_recently_used_goes_first_and_the_bound_holds() -> None:
    model = Model()
    cache = TextVectorCache(model.embed, most_bytes=2 * ENTRY_BYTES)
    await cache.of("a", ["x", "yy"])
    await cache.of("a", ["x"])
    await cache.of("a", ["zzz"])
    assert cache.stats()["bytes"] == 2 * ENTRY_BYTES
    await cache.of("a", ["x"])
    assert [text for _, text in model.asked] == ["x", "yy", "zzz"]


async def test_more_texts_than_are_kept_are_answered_all_the_same() -> None:
    cache = TextVectorCache(Model().embed, most_bytes=ENTRY_BYTES)
    assert (await cache.of("a", ["x", "yy", "zzz"]))[:, 0].tolist() == [2, 3, 4]
    assert cache.stats()["cached"] == 1


async def test_model_that_fails_leaves_nothing_behind() -> None:
    model = Model()
    cache = TextVectorCache(model.embed, most_bytes=1 << 20)
    model.is_down = True
    with pytest.raises(Unavailable):
        await cache.of("a", ["x"])
    model.is_down = False
    assert (await cache.of("a", ["x"]))[:, 0].tolist() == [2]
