"""The API's embeddings: what is cached, what shares a batch, who suffers for whom (nobody)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.errors import BadInput, Unavailable
from lakehouse.retrieval.embedding import Embedder
from lakehouse.settings import Settings, load_settings
from tests.fakes.embedders import FakeEmbedder, InlineEmbedder, opener

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def service(*embedders: FakeEmbedder, cache_entries: int = 100, cache_bytes: int = 1 << 20) -> EmbeddingService:
    given = {
        "LAKEHOUSE_EMBEDDING_CACHE_ENTRIES": str(cache_entries),
        "LAKEHOUSE_EMBEDDING_CACHE_BYTES": str(cache_bytes),
    }
    settings = load_settings(given, env_file=None)
    return EmbeddingService(settings, opener=opener(*embedders))


async def entered(embedder: FakeEmbedder) -> None:
    """Wait until a call is in the embedder."""
    assert await asyncio.to_thread(embedder.entered.acquire, timeout=30)


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_query_asked_again_comes_from_the_cache() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    first, was_cached = await embedding.embed_query("fake", "welder")
    again, is_cached = await embedding.embed_query("fake", "welder")
    assert (was_cached, is_cached) == (False, True)
    assert_array_equal(first, again)
    assert_array_equal(first, fake.embed(["welder"])[0])
    stats = embedding.stats()
    assert {k: stats[k] for k in ("hits", "misses", "batches", "texts", "cached")} == {
        "hits": 1, "misses": 1, "batches": 1, "texts": 1, "cached": 1,
    }  # fmt: skip


async def test_cached_vector_cannot_be_changed_by_a_caller() -> None:
    embedding = service(FakeEmbedder())
    vector, _ = await embedding.embed_query("fake", "welder")
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 9


async def test_cache_drops_what_was_least_recently_used() -> None:
    embedding = service(FakeEmbedder(), cache_entries=2)
    for text in ("a", "b", "a", "c"):
        await embedding.embed_query("fake", text)
    assert [(await embedding.embed_query("fake", text))[1] for text in ("a", "c", "b")] == [True, True, False]
    assert embedding.stats()["cached"] == 2


async def test_embedders_do_not_share_vectors() -> None:
    embedding = service(FakeEmbedder("one", 8), FakeEmbedder("two", 16))
    assert (await embedding.embed_query("one", "x"))[0].shape == (8,)
    assert (await embedding.embed_query("two", "x"))[0].shape == (16,)


async def test_what_gathers_while_a_batch_runs_is_the_next_batch() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.opened("fake")
    fake.gate.clear()
    first = asyncio.create_task(embedding.embed_query("fake", "first"))
    await entered(fake)
    others = [asyncio.create_task(embedding.embed_query("fake", f"text {n}")) for n in range(20)]
    await settled()
    fake.gate.set()
    vectors = [vector for vector, _ in await asyncio.gather(first, *others)]
    assert fake.calls == [["first"], [f"text {n}" for n in range(20)]]
    assert_array_equal(vectors[7], fake.embed(["text 6"])[0])


async def test_same_text_of_many_callers_is_embedded_once() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    answers = await asyncio.gather(*(embedding.embed_query("fake", "welder") for _ in range(50)))
    assert fake.calls == [["welder"]]
    assert len({id(vector) for vector, _ in answers}) == 1


async def test_cancelled_caller_leaves_the_others_their_answer() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.opened("fake")
    fake.gate.clear()
    leaving = asyncio.create_task(embedding.embed_query("fake", "shared"))
    staying = asyncio.create_task(embedding.embed_query("fake", "shared"))
    await entered(fake)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    fake.gate.set()
    assert (await staying)[0].shape == (32,)


async def test_text_that_nobody_waits_for_any_more_is_not_embedded() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.opened("fake")
    fake.gate.clear()
    running = asyncio.create_task(embedding.embed_query("fake", "running"))
    await entered(fake)
    texts = [f"bulk {n}" for n in range(500)]
    leaving = [
        asyncio.create_task(embedding.embed_many("fake", texts)),
        asyncio.create_task(embedding.embed_query("fake", "q")),
    ]
    staying = asyncio.create_task(embedding.embed_query("fake", "bulk 3"))
    await settled()
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    fake.gate.set()
    await asyncio.gather(running, staying)
    assert fake.calls == [["running"], ["bulk 3"]]
    assert embedding.stats()["waiting"] == 0
    assert (await embedding.embed_query("fake", "q"))[0].shape == (32,)


async def test_queries_go_before_a_long_list() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.opened("fake")
    fake.gate.clear()
    texts = [f"bulk {n}" for n in range(300)]
    bulk = asyncio.create_task(embedding.embed_many("fake", texts))
    await entered(fake)
    query = asyncio.create_task(embedding.embed_query("fake", "urgent"))
    await settled()
    fake.gate.set()
    vectors = await bulk
    await query
    assert fake.calls[1][0] == "urgent"
    assert_array_equal(vectors, fake.embed(texts))


async def test_long_list_is_embedded_in_bounded_batches_and_not_kept() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.embed_many("fake", [f"text {n}" for n in range(200)])
    assert max(map(len, fake.calls)) <= 32
    assert embedding.stats()["cached"] == 0
    fake.calls.clear()
    await embedding.embed_many("fake", ["long " * 1500 + str(n) for n in range(6)])
    assert [len(call) for call in fake.calls] == [1] * 6


async def test_cache_is_bounded_by_what_vectors_and_keys_take() -> None:
    one = service(FakeEmbedder())
    await one.embed_query("fake", "a" * 500)
    each = one.stats()["cached_bytes"]
    assert each > 500 + FakeEmbedder().dimension * 4

    embedding = service(FakeEmbedder(), cache_bytes=3 * each)
    for letter in "abcab":
        await embedding.embed_query("fake", letter * 500)
    assert (embedding.stats()["cached"], embedding.stats()["cached_bytes"]) == (3, 3 * each)
    await embedding.embed_query("fake", "d" * 500)
    assert (embedding.stats()["cached"], embedding.stats()["cached_bytes"]) == (3, 3 * each)
    assert not (await embedding.embed_query("fake", "c" * 500))[1]
    assert (await embedding.embed_query("fake", "b" * 500))[1]


async def test_vector_that_takes_more_than_all_may_is_not_kept() -> None:
    embedding = service(FakeEmbedder(), cache_bytes=1)
    for _ in range(2):
        assert not (await embedding.embed_query("fake", "welder"))[1]
    assert (embedding.stats()["cached"], embedding.stats()["cached_bytes"]) == (0, 0)


async def test_short_list_is_kept_and_takes_from_the_cache() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    await embedding.embed_query("fake", "b")
    fake.calls.clear()
    vectors = await embedding.embed_many("fake", ["a", "b", "c", "a"])
    assert fake.calls == [["a", "c"]]
    assert_array_equal(vectors, fake.embed(["a", "b", "c", "a"]))
    assert (await embedding.embed_query("fake", "c"))[1]


async def test_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    fake = FakeEmbedder()
    embedding = service(fake)
    fake.failure = Unavailable("the model is away")
    answers = await asyncio.gather(
        *(embedding.embed_query("fake", f"t{n % 3}") for n in range(9)),
        embedding.embed_many("fake", ["x", "y"]),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers} == {Unavailable}
    fake.failure = None
    assert (await embedding.embed_query("fake", "t1"))[0].shape == (32,)


async def test_refused_text_fails_alone() -> None:
    fake = FakeEmbedder()
    fake.refuses = ("too long", BadInput("refused"))
    embedding = service(fake)
    good, bad, other = await asyncio.gather(
        *(embedding.embed_query("fake", text) for text in ("good", "too long", "other")), return_exceptions=True
    )
    assert isinstance(bad, BadInput)
    assert not isinstance(good, BaseException)
    assert not isinstance(other, BaseException)


@pytest.mark.parametrize("text", ["", " ", "x" * ((1 << 20) + 1)])
async def test_text_that_nobody_means_is_refused(text: str) -> None:
    embedding = service(FakeEmbedder())
    with pytest.raises(BadInput, match="text 0"):
        await embedding.embed_query("fake", text)
    with pytest.raises(BadInput, match="text 1"):
        await embedding.embed_many("fake", ["good", text])


async def test_short_text_of_a_quick_model_needs_no_thread() -> None:
    fake = InlineEmbedder()
    threads: list[str] = []
    embed: Callable[[list[str]], object] = fake.embed
    fake.embed = lambda texts: (threads.append(threading.current_thread().name), embed(texts))[1]  # type: ignore[method-assign, assignment, arg-type, func-returns-value, return-value]
    embedding = service(fake)
    for text in ("short", "short", "long " * 20):
        await embedding.embed_query("fake", text)
    await embedding.embed_many("fake", ["a", "b", "a"])
    main = threading.main_thread().name
    assert [name == main for name in threads] == [True, False, True]
    assert (await embedding.embed_query("fake", "a"))[1]


async def test_short_texts_of_one_turn_are_embedded_together() -> None:
    fake = InlineEmbedder()
    embedding = service(fake)
    texts = ["welder", "nurse", "welder", "cook"]
    found = await asyncio.gather(*(embedding.embed_query(fake.name, text) for text in texts))
    assert embedding.stats()["batches"] == 1
    for text, (vector, _) in zip(texts, found, strict=True):
        assert_array_equal(vector, fake.embed([text])[0])


async def test_refused_text_of_a_turn_and_one_whose_caller_has_gone_leave_the_others_alone() -> None:
    fake = InlineEmbedder()
    fake.refuses = ("bad", BadInput("refused"))
    embedding = service(fake)
    waiting = [
        asyncio.ensure_future(embedding.embed_query(fake.name, text)) for text in ("welder", "bad", "gone", "cook")
    ]
    await asyncio.sleep(0)
    waiting[2].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[1], BadInput)
    assert isinstance(answers[2], asyncio.CancelledError)
    for text, answer in (("welder", answers[0]), ("cook", answers[3])):
        assert isinstance(answer, tuple)
        assert_array_equal(answer[0], InlineEmbedder().embed([text])[0])


async def test_tokens_are_counted_by_the_model_or_estimated() -> None:
    embedding = service(InlineEmbedder("counting"), FakeEmbedder("other"))
    assert await embedding.count_tokens("counting", ["one two", "three"]) == 3
    assert await embedding.count_tokens("counting", ["word " * 50]) == 50
    assert await embedding.count_tokens("other", ["12345", "é"]) == 3


async def test_embedder_is_opened_once_and_at_its_first_use() -> None:
    opened: list[str] = []

    def slow(name: str, _: Settings) -> Embedder:
        opened.append(name)
        return FakeEmbedder(f"{name}/model")

    embedding = EmbeddingService(load_settings({}, env_file=None), opener=slow)
    assert opened == []
    await asyncio.gather(*(embedding.embed_query("nomic", f"t{n}") for n in range(20)))
    assert opened == ["nomic"]
    embedder = await embedding.opened("nomic/model")
    assert embedder is embedding.get("nomic")
    assert opened == ["nomic"]
    assert (await embedding.embed_query("nomic/model", "t3"))[1]


async def test_model_that_cannot_be_opened_is_told_until_it_can() -> None:
    missing = True

    def open_it(name: str, _: Settings) -> Embedder:
        if missing:
            raise Unavailable("the model file x is missing")
        return FakeEmbedder(name)

    embedding = EmbeddingService(load_settings({}, env_file=None), opener=open_it)
    with pytest.raises(Unavailable, match="the model file x"):
        await embedding.embed_query("fake", "a")
    assert embedding.failures() == {"fake": "the model file x is missing"}
    missing = False
    await embedding.embed_query("fake", "a")
    assert embedding.failures() == {}


async def test_many_callers_with_cancels_and_failures_all_end() -> None:
    fake = FakeEmbedder()
    fake.refuses = ("text 7", BadInput("refused"))
    embedding = service(fake, cache_entries=5)
    rng = np.random.default_rng(1)
    tasks = []
    for number in range(400):
        text = f"text {rng.integers(0, 40)}"
        many = [f"text {n}" for n in rng.integers(0, 40, size=40)]
        asked = embedding.embed_query("fake", text) if number % 3 else embedding.embed_many("fake", many)
        tasks.append((text if number % 3 else many, asyncio.ensure_future(asked)))
        if number % 5 == 0:
            await asyncio.sleep(0)
        if number % 4 == 0:
            tasks[rng.integers(0, len(tasks))][1].cancel()
    answers = await asyncio.wait_for(asyncio.gather(*(t for _, t in tasks), return_exceptions=True), 60)
    for (asked_for, _), answer in zip(tasks, answers, strict=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, BadInput | asyncio.CancelledError)
        elif isinstance(asked_for, list):
            assert_array_equal(answer, fake.embed(list(asked_for)) if "text 7" not in asked_for else answer)
        else:
            assert_array_equal(answer[0], fake.embed([asked_for])[0])
    assert embedding.stats()["waiting"] == 0


async def test_closed_service_lets_go_of_its_threads() -> None:
    embedding = service(FakeEmbedder())
    await embedding.embed_query("fake", "a")
    embedding.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        await embedding.embed_query("fake", "b")
