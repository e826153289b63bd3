"""Pathway memory on LoCoMo: which turns of a long conversation hold the evidence for a question? No model answers.

    python bench/memory.py [--data ../shared/data/locomo/locomo10.json]

Each conversation is a memory of its own: every turn is a trace (`speaker: text`), every question that has evidence is a
search. Beside it, over the same texts: plain BM25 (bm25s, stop words and stemmer, its defaults) and plain vector search
(the same embedder, exact). Macro is the mean over the five kinds of questions. The weight of words was chosen on the
first five conversations; the limit holds on the other five and on all.

Source: Maharana et al. 2024, Evaluating Very Long-Term Conversational Memory of LLM Agents (CC BY-NC: evaluation only).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _verdict import judge  # noqa: E402

from lakehouse.adapters.minilm_embedder import MiniLmEmbedder  # noqa: E402
from lakehouse.adapters.trace_index import HotTraceIndex  # noqa: E402
from lakehouse.clock import new_id, utc_now  # noqa: E402
from lakehouse.memory.entry import Entry, Order  # noqa: E402
from lakehouse.pathway.book import PathwayBook  # noqa: E402
from lakehouse.pathway.content import read_content  # noqa: E402
from lakehouse.pathway.search import PathwaySearch, PathwaySearcher  # noqa: E402
from lakehouse.pathway.trace import ADD  # noqa: E402
from lakehouse.retrieval.playbook_codec import encode_vector  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "locomo" / "locomo10.json"
KINDS = {1: "multi-hop", 2: "temporal", 3: "open domain", 4: "single-hop", 5: "adversarial"}
K = 10
LIMIT = 0.02
RESAMPLES = 10_000
Vectors = NDArray[np.float32]


@dataclass
class Conversation:
    """Its turns, and its questions with the turns that answer them."""

    name: str
    turns: dict[str, str] = field(default_factory=dict)
    questions: list[tuple[str, int, list[str]]] = field(default_factory=list)


def read(path: Path) -> list[Conversation]:
    found = []
    for sample in json.loads(path.read_text()):
        one, talk = Conversation(sample["sample_id"]), sample["conversation"]
        sessions = sorted((k for k in talk if re.fullmatch(r"session_\d+", k)), key=lambda k: int(k.split("_")[1]))
        for session in sessions:
            one.turns |= {turn["dia_id"]: f"{turn['speaker']}: {turn['text']}" for turn in talk[session]}
        for asked in sample["qa"]:
            named = dict.fromkeys(re.findall(r"D\d+:\d+", " ".join(asked["evidence"])))
            evidence = [turn for turn in named if turn in one.turns]
            if evidence:
                one.questions.append((asked["question"], asked["category"], evidence))
        found.append(one)
    return found


def by_words(talk: Conversation, *_: Any) -> list[list[str]]:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    options: dict[str, Any] = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(talk.turns.values()), **options), show_progress=False)
    asked = bm25s.tokenize([question for question, _, _ in talk.questions], **options)
    rows, _ = index.retrieve(asked, k=K, show_progress=False)
    ids = list(talk.turns)
    return [[ids[row] for row in line] for line in rows]


def by_vectors(talk: Conversation, turns: Vectors, questions: Vectors) -> list[list[str]]:
    ids = list(talk.turns)
    best = np.argsort(-(questions @ turns.T), axis=1, kind="stable")[:, :K]
    return [[ids[row] for row in line] for line in best]


def by_pathways(talk: Conversation, turns: Vectors, questions: Vectors) -> list[list[str]]:
    """The product's own book, index and search, fed by entries as the memory log gives them."""
    index = HotTraceIndex(lambda: turns.shape[1])
    book = PathwayBook(index, embedder="minilm", embed=lambda _: turns)
    begun, writer = utc_now(), new_id()
    entries = []
    for n, ((uid, text), vector) in enumerate(zip(talk.turns.items(), turns, strict=True)):
        payload = {
            "uid": uid,
            "content": read_content(json.dumps(text).encode()).json,
            "tags": [],
            "embedder": "minilm",
        }
        payload["vector"] = encode_vector(vector)
        at = begun + timedelta(microseconds=n)
        entries.append(Entry(new_id(), Order(n, writer, n + 1, 0), ADD, payload, at, "bench"))
    book.apply(entries)
    embedded = iter(questions)

    async def embed(_: str) -> Vectors:
        return next(embedded)

    async def ask() -> list[list[str]]:
        searcher = PathwaySearcher(book, index, embed)
        found = [await searcher.search(PathwaySearch(text=q, k=K)) for q, _, _ in talk.questions]
        return [[one.trace.uid for one in line] for line in found]

    return asyncio.run(ask())


Way = Callable[[Conversation, Vectors, Vectors], list[list[str]]]
WAYS: dict[str, Way] = {"BM25": by_words, "vectors": by_vectors, "pathways": by_pathways}


def recalls(found: Sequence[Sequence[str]], talk: Conversation) -> list[float]:
    return [
        len(set(line) & set(evidence)) / len(evidence)
        for line, (_, _, evidence) in zip(found, talk.questions, strict=True)
    ]


def macro(values: NDArray[np.float64], kinds: NDArray[np.int64]) -> float:
    return float(np.mean([values[kinds == kind].mean() for kind in KINDS]))


def interval(gains: NDArray[np.float64], kinds: NDArray[np.int64]) -> tuple[float, float]:
    """95 % of the macro mean of paired differences, questions drawn again within each kind."""
    rng = np.random.default_rng(20240601)
    drawn = np.zeros(RESAMPLES)
    for kind in KINDS:
        of_kind = gains[kinds == kind]
        for start in range(0, RESAMPLES, 1000):
            drawn[start : start + 1000] += rng.choice(of_kind, (1000, len(of_kind))).mean(axis=1) / len(KINDS)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def compare(name: str, scores: dict[str, NDArray[np.float64]], kinds: NDArray[np.int64]) -> bool:
    whole = {way: macro(values, kinds) for way, values in scores.items()}
    better = max(("BM25", "vectors"), key=whole.__getitem__)
    gain = whole["pathways"] - whole[better]
    low, high = interval(scores["pathways"] - scores[better], kinds)
    print(f"{name}: macro R@{K} over {better}'s {gain:+.4f}, 95 % {low:+.4f} to {high:+.4f}")
    verdicts = [
        judge(f"{name}: macro R@{K} over the better one's", gain, LIMIT, at_least=True),
        judge(f"{name}: the same, low end", low, 0, at_least=True),
    ]
    return all(verdicts)


def table(scores: dict[str, NDArray[np.float64]], kinds: NDArray[np.int64], seconds: dict[str, float]) -> None:
    print(
        f"{'':<12}"
        + "".join(f"{name:>13}" for name in KINDS.values())
        + f"{'macro':>9}{'mean':>9}{'ms a question':>15}"
    )
    for way, values in scores.items():
        parts = "".join(f"{values[kinds == kind].mean():13.3f}" for kind in KINDS)
        ms = seconds[way] / len(values) * 1000
        print(f"{way:<12}{parts}{macro(values, kinds):9.4f}{values.mean():9.4f}{ms:15.2f}")
    print(f"{'questions':<12}" + "".join(f"{np.sum(kinds == kind):13,}" for kind in KINDS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    talks = read(parser.parse_args().data)
    embedder = MiniLmEmbedder(threads=2)
    seconds: dict[str, float] = defaultdict(float)
    values: dict[str, list[float]] = defaultdict(list)
    for talk in talks:
        turns = embedder.embed(list(talk.turns.values()))
        questions = embedder.embed([question for question, _, _ in talk.questions])
        for way, search in WAYS.items():
            begun = time.perf_counter()
            found = search(talk, turns, questions)
            seconds[way] += time.perf_counter() - begun
            values[way] += recalls(found, talk)
    kinds = np.array([kind for talk in talks for _, kind, _ in talk.questions])
    held_out = np.array([n >= len(talks) // 2 for n, talk in enumerate(talks) for _ in talk.questions])
    scores = {way: np.array(one) for way, one in values.items()}
    turns_count = sum(len(talk.turns) for talk in talks)
    print(
        f"LoCoMo: {len(talks)} conversations, {turns_count:,} turns, {len(kinds):,} questions with evidence, recall@{K}"
    )
    table(scores, kinds, seconds)
    verdicts = [
        compare("all conversations", scores, kinds),
        compare("those that chose nothing", {w: s[held_out] for w, s in scores.items()}, kinds[held_out]),
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
