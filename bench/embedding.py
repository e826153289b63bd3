"""Embedders against the bare libraries on the same texts, in turn, in one run.

Bare MiniLM is what one writes from onnxruntime's manual: tokens, batches of 16 by length, one session with as many
threads. Bare static is WordLlama's own way: tokens of the whole text, the mean of their rows.

Limits: MiniLM at least 90 % of bare, a single query at most 1.1 times bare; static at least bare, at least 15,000 short
texts a second, a single query at most 0.05 ms.

    python bench/embedding.py [--short 512] [--resumes 128] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _verdict import judge, tell_ratio

from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.minilm_embedder import MAX_TOKENS, MODEL_FILE, MiniLmEmbedder
from lakehouse.adapters.minilm_embedder import TOKENIZER_FILE as MINILM_TOKENIZER
from lakehouse.adapters.package_files import package_file
from lakehouse.adapters.static_embedder import TOKENIZER_FILE, WEIGHTS_FILE, StaticEmbedder
from lakehouse.sample.workers import COLUMNS, worker_batches
from lakehouse.settings import load_settings

Embed = Callable[[Sequence[str]], np.ndarray]
THREADS = 2
BATCH = 16
STATIC_TIMES = 20  # static takes so many times more texts, to be measured as long


def sample_texts(count: int) -> tuple[list[str], list[str]]:
    """Short descriptions of workers, and their résumés; all of them different."""
    rows = [dict(zip(COLUMNS, row, strict=True)) for batch in worker_batches(count) for row in batch]
    short = [f"{r['name']}: {r['role']} in {r['city']}, {r['state']}. Skills: {r['skills']}." for r in rows]
    # White space is one border between words to ours and a token each to the bare tokenizer: none to differ in.
    return short, [" ".join(str(r["resume_text"]).split()) for r in rows]


def bare_minilm() -> Embed:
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(package_file(*MODEL_FILE)), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(package_file(*MINILM_TOKENIZER)))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()

    def run(encodings: list[Any]) -> np.ndarray:
        longest = max(len(e.ids) for e in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, given)[0]
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def embed(texts: Sequence[str]) -> np.ndarray:
        encodings = tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            vectors[part] = run([encodings[i] for i in part])
        return vectors

    return embed


def bare_static() -> Embed:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    (rows,) = load_file(package_file(*WEIGHTS_FILE)).values()
    table = np.ascontiguousarray(rows.astype(np.float32))
    tokenizer = Tokenizer.from_file(str(package_file(*TOKENIZER_FILE)))
    tokenizer.no_padding()

    def embed(texts: Sequence[str]) -> np.ndarray:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        lengths = np.array([len(e.ids) for e in encodings])
        ids = np.concatenate([np.asarray(e.ids) for e in encodings])
        means = np.add.reduceat(table[ids], np.r_[0, np.cumsum(lengths)[:-1]], axis=0) / lengths[:, None]
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    return embed


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rates(ours: Embed, bare: Embed, texts: Sequence[str], rounds: int) -> tuple[float, float, float]:
    """Texts a second of both, and the median of the rounds' ratios; one round before does not count."""
    pairs = []
    for number in range(rounds + 1):
        # Who begins changes: what else runs on the machine hits both alike.
        first, second = (ours, bare) if number % 2 else (bare, ours)
        times = {id(f): seconds(lambda: f(texts)) for f in (first, second)}  # noqa: B023
        if number:
            pairs.append((len(texts) / times[id(ours)], len(texts) / times[id(bare)]))
    return (
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        statistics.median(p[0] / p[1] for p in pairs),
    )


def latencies_ms(ours: Embed, bare: Embed, texts: Sequence[str]) -> tuple[float, float]:
    """Medians of single queries, in turn, each with a text that it has not had before."""
    times: tuple[list[float], list[float]] = ([], [])
    for text in texts:
        times[0].append(seconds(lambda: ours([text])) * 1000)  # noqa: B023
        times[1].append(seconds(lambda: bare([text])) * 1000)  # noqa: B023
    return statistics.median(times[0]), statistics.median(times[1])


def compare(name: str, ours: Embed, bare: Embed, texts: Sequence[str], rounds: int) -> tuple[float, float]:
    """Texts a second, and over what bare does."""
    np.testing.assert_allclose(ours(texts[:64]), bare(texts[:64]), atol=1e-4)
    mine, theirs, ratio = rates(ours, bare, texts, rounds)
    print(f"{name:<28}{theirs:>11,.0f}/s{mine:>11,.0f}/s{ratio:9.2f}x")
    return mine, ratio


def compare_latency(name: str, ours: Embed, bare: Embed, texts: Sequence[str]) -> tuple[float, float]:
    mine, theirs = latencies_ms(ours, bare, texts)
    print(f"{name:<28}{theirs:>10.3f} ms{mine:>10.3f} ms{mine / theirs:9.2f}x")
    return mine, mine / theirs


async def serve(name: str, queries: Sequence[str]) -> tuple[float, float]:
    """Queries a second of 50 callers at a time, and the median of a cached one in ms."""
    service = EmbeddingService(load_settings({}, env_file=None))
    await service.embed_query(name, "warm")
    waiting = list(queries)

    async def caller() -> None:
        while waiting:
            await service.embed_query(name, waiting.pop())

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(50)))
    rate = len(queries) / (time.perf_counter() - begun)
    times = []
    for query in queries:
        begun = time.perf_counter()
        await service.embed_query(name, query)
        times.append((time.perf_counter() - begun) * 1000)
    service.close()
    return rate, statistics.median(times)


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--short", type=int, default=512)
    arguments.add_argument("--resumes", type=int, default=128)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    short, resumes = sample_texts(max(given.short, given.resumes) * STATIC_TIMES)
    print(f"{given.short} short texts, {given.resumes} résumés ({STATIC_TIMES} times as many for static), "
          f"{given.rounds} rounds in turn, {THREADS} threads")  # fmt: skip
    print(f"{'':<28}{'bare':>13}{'ours':>13}{'ratio':>10}")

    ours, bare = MiniLmEmbedder(threads=THREADS).embed, bare_minilm()
    _, minilm_short = compare("MiniLM, short", ours, bare, short[: given.short], given.rounds)
    _, minilm_long = compare("MiniLM, résumés", ours, bare, resumes[: given.resumes], given.rounds)
    _, minilm_one = compare_latency("MiniLM, one query", ours, bare, short[-100:])

    ours, bare = StaticEmbedder().embed, bare_static()
    rate, static_short = compare("static, short", ours, bare, short[: given.short * STATIC_TIMES], given.rounds)
    _, static_long = compare("static, résumés", ours, bare, resumes[: given.resumes * STATIC_TIMES], given.rounds)
    one_ms, static_one = compare_latency("static, one query", ours, bare, short[-1000:])

    for name, count in (("minilm", 400), ("static", 5000)):
        rate, cached_ms = asyncio.run(serve(name, short[:count]))
        print(f"service, {name}, 50 callers: {rate:,.0f} queries/s; a cached one {cached_ms * 1000:.0f} µs")
    tell_ratio("static, one query, time over bare", static_one, more_is_better=False)
    verdicts = [
        judge("MiniLM, short, texts/s over bare", minilm_short, 0.9, "x", at_least=True),
        judge("MiniLM, résumés, texts/s over bare", minilm_long, 0.9, "x", at_least=True),
        judge("MiniLM, one query, time over bare", minilm_one, 1.1, "x"),
        judge("static, short, texts/s over bare", static_short, 1, "x", at_least=True),
        judge("static, résumés, texts/s over bare", static_long, 1, "x", at_least=True),
        judge("static, short", rate, 15_000, " texts/s", at_least=True),
        judge("static, one query", one_ms, 0.05, " ms"),
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
