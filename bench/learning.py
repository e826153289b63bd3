"""Does it learn? Base quality, lift by playbooks run after run, no harm elsewhere, wrong feedback; and the curve.

Nothing is tuned on what is tested. Half of Cranfield's queries (the even ones) and the recorded part of O*NET's titles
chose every constant of lakehouse/retrieval (fusion.py, playbook_scoring.py, playbook_profiles.py), by cross-validation
inside them, and the parameters WIDE below; the other halves and SciFact were searched by this program alone. O*NET's
reported titles are split by occupation and title: a title belongs to the first of its occupations, each occupation's
titles are shuffled by a fixed seed, its last 20 % are the test, and 20, 40, 60, 80 % of them are recorded, from the
first on, each with all its occupations. No test title is ever recorded.

    python bench/learning.py [--cache FOLDER] [--plot docs/learning.png]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _judged import LOADERS, Collection, Embeddings
from _memory_search import Outcome, corpus_of, found_in, playbooks_of
from _memory_search import rank as rank_of
from _text_weight import Judged, learn_weight

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.retrieval.evaluation import Interval, bootstrap, ndcg, paired_bootstrap, recall, top_1
from lakehouse.retrieval.fusion import TEXT_WEIGHT
from lakehouse.retrieval.playbook_influence import Playbooks
from lakehouse.retrieval.search_config import PlaybookConfig

SEED = 20240601
DEFAULT = PlaybookConfig()
WIDE = PlaybookConfig(top_k=50, max_distance=0.7)
STEPS = (0.2, 0.4, 0.6, 0.8)
CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
WRONG = (0.1, 0.3)
SCIFACT_MINILM, SCIFACT_WITHIN, SCIFACT_HYBRID = 0.645, 0.01, 0.72
LIFT, HARM, TOGETHER = 0.13, 0.005, 0.01
MEASURES = ("nDCG@10", "R@10", "top-1")
Rank = Callable[[int], list[str]]
_verdicts: list[bool] = []


@dataclass(frozen=True)
class Titles:
    """O*NET's titles by occupation: who is tested, and who is recorded up to a share."""

    by_occupation: list[list[int]]
    test: list[int]

    @classmethod
    def split(cls, onet: Collection) -> Titles:
        homes: dict[str, list[int]] = {}
        for number, gains in enumerate(onet.gains):
            homes.setdefault(min(gains), []).append(number)
        shuffle = random.Random(SEED)
        groups = [homes[code] for code in sorted(homes)]
        for group in groups:
            shuffle.shuffle(group)
        return cls(groups, sorted(n for group in groups for n in group[round(0.8 * len(group)) :]))

    def recorded(self, share: float) -> list[int]:
        return sorted(n for group in self.by_occupation for n in group[: round(share * len(group))])


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cache", type=Path)
    arguments.add_argument("--plot", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-learning-") as folder:
        cache = given.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        embed = Embeddings(cache)
        collections = {name: load(embed) for name, load in LOADERS.items()}
    titles = Titles.split(collections["onet"])
    cold = base_quality(collections, titles)
    curve = lift(collections["onet"], titles, cold)
    no_harm(collections, titles)
    together(collections, titles)
    if given.plot:
        from _learning_plot import plot

        plot(curve, given.plot)
    print(f"{sum(_verdicts)} of {len(_verdicts)} limits are met")


def base_quality(collections: dict[str, Collection], titles: Titles) -> dict[str, np.ndarray]:
    """Each collection without playbooks; returns the cold arms of O*NET's test titles, (queries, measures) each."""
    parts = {
        "scifact": (range(300), range(0)),
        "cranfield": (range(1, 225, 2), range(0, 225, 2)),
        "onet": (titles.test, titles.recorded(0.8)),
    }
    print(f"1. base quality, nDCG@10; hybrid with the default text weight {TEXT_WEIGHT}")
    print(f"{'collection':<12}{'queries':>8}{'BM25':>9}{'MiniLM':>9}{'hybrid':>9}  over the better one  learned weight")
    arms: dict[str, np.ndarray] = {}
    for name, collection in collections.items():
        test, train = parts[name]
        corpus = corpus_of(name, collection.ids, collection.texts, collection.vectors)
        weights = {"BM25": 1.0, "MiniLM": 0.0, "hybrid": TEXT_WEIGHT}
        if len(train):
            weights["learned"] = learned_weight(corpus, collection, train)
        arms = {arm: measure(collection, test, cold_ranker(collection, corpus, w)) for arm, w in weights.items()}
        report_base(name, arms, weights)
    return arms


def learned_weight(corpus: CorpusReader, collection: Collection, train: Iterable[int]) -> float:
    judged = []
    for n in train:
        query, vector = collection.queries[n], collection.query_vectors[n]
        found = found_in(corpus, query, vector, weight=TEXT_WEIGHT)
        texts = corpus.text_scores(query, found.rows)
        assert found.similarity is not None
        relevant = np.array([i in collection.gains[n] for i in corpus.ids_of(found.rows)])
        judged.append(Judged(found.similarity, texts, relevant))
    return learn_weight(judged)


def report_base(name: str, arms: dict[str, np.ndarray], weights: dict[str, float]) -> None:
    means = {arm: values[:, 0].mean() for arm, values in arms.items()}
    better = max(("BM25", "MiniLM"), key=means.__getitem__)
    gain = paired_bootstrap(arms["hybrid"][:, 0], arms[better][:, 0], seed=SEED)
    learned = f"{means['learned']:.4f} at {weights['learned']:.2f}" if "learned" in means else ""
    print(
        f"{name:<12}{len(arms['hybrid']):>8}{means['BM25']:>9.4f}{means['MiniLM']:>9.4f}{means['hybrid']:>9.4f}"
        f"  {shown(gain)}  {learned}"
    )
    if name == "scifact":
        limit(
            "SciFact: MiniLM off the published 0.645 by at most", abs(means["MiniLM"] - SCIFACT_MINILM), SCIFACT_WITHIN
        )
        limit("SciFact: hybrid", means["hybrid"], SCIFACT_HYBRID, at_least=True)
        limit("SciFact: low end of the paired interval over the better one", gain.low, 0, at_least=True)
    else:
        limit(f"{name}: hybrid over the better one", gain.mean, 0, at_least=True)


def lift(onet: Collection, titles: Titles, cold: dict[str, np.ndarray]) -> dict[str, list[tuple[float, Interval]]]:
    """O*NET's test titles, after more and more of the others were recorded; returns the curves."""
    print(f"\n2. lift: {len(titles.test)} test titles, never recorded; {', '.join(MEASURES)}")
    for arm, values in cold.items():
        print(f"  cold, {arm:<10}{row(values)}")
    best_arm = max(cold, key=lambda arm: cold[arm][:, 0].mean())
    best = cold[best_arm][:, 0]
    corpus = corpus_of("onet", onet.ids, onet.texts, onet.vectors)
    curve = {"without playbooks": [(share, bootstrap(best, seed=SEED)) for share in (0.0, *CURVE)]}
    for name, config in {"wide": WIDE, "default": DEFAULT}.items():
        label = f"{name}: top_k {config.top_k}, max_distance {config.max_distance}, boost {config.boost}"
        print(f"  playbook, {label}")
        runs = {
            share: measure(onet, titles.test, ranker(onet, corpus, record(onet, titles.recorded(share)), config))
            for share in CURVE
        }
        curve[f"playbook, {label}"] = [
            (0.0, bootstrap(cold["hybrid"][:, 0], seed=SEED)),
            *((share, bootstrap(values[:, 0], seed=SEED)) for share, values in runs.items()),
        ]
        for share in STEPS:
            gained = paired_bootstrap(runs[share][:, 0], best, seed=SEED)
            print(f"    {share:>4.0%} recorded {row(runs[share])}  {shown(gained)}")
        steps = np.array([cold["hybrid"].mean(axis=0), *(runs[share].mean(axis=0) for share in STEPS)])
        for number, measured in enumerate(MEASURES):
            limit(f"{measured} rises with every step by at least", np.diff(steps[:, number]).min(), 0, at_least=True)
        gain = runs[0.8][:, 0].mean() - best.mean()
        limit(f"lift at 80 % over the best cold arm ({best_arm})", gain, LIFT if config is WIDE else 0, at_least=True)
        for share in WRONG:
            values = measure(
                onet, titles.test, ranker(onet, corpus, record(onet, titles.recorded(0.8), wrong=share), config)
            )
            wrong = paired_bootstrap(values[:, 0], best, seed=SEED)
            print(f"    {share:>4.0%} wrong    {row(values)}  {shown(wrong)}")
            limit(f"lift with {share:.0%} of the feedback wrong, low end", wrong.low, 0, at_least=True)
            limit(f"lift with {share:.0%} of the feedback wrong shrinks, to at most", wrong.mean, gain)
    return curve


def cold_ranker(collection: Collection, corpus: CorpusReader, weight: float = TEXT_WEIGHT) -> Rank:
    def rank(n: int) -> list[str]:
        return [i for _, i in rank_of([corpus], collection.queries[n], collection.query_vectors[n], weight=weight)]

    return rank


def ranker(collection: Collection, corpus: CorpusReader, playbook: Playbooks, config: PlaybookConfig) -> Rank:
    def rank(n: int) -> list[str]:
        query, vector = collection.queries[n], collection.query_vectors[n]
        found = rank_of([corpus], query, vector, weight=TEXT_WEIGHT, playbooks=playbook, config=config)
        return [i for _, i in found]

    return rank


def record(collection: Collection, recorded: Sequence[int], *, wrong: float = 0.0, prefix: str = "") -> Playbooks:
    """The outcomes of some queries as playbook records; a share of them names some other document."""
    draw = random.Random(SEED)
    outcomes = [
        Outcome(
            collection.queries[n],
            collection.query_vectors[n],
            prefix + (draw.choice(collection.ids) if draw.random() < wrong else answer),
        )
        for n in recorded
        for answer in sorted(collection.gains[n])
    ]
    return playbooks_of("everything" if prefix else collection.name, outcomes)


def no_harm(collections: dict[str, Collection], titles: Titles) -> None:
    """SciFact's and Cranfield's queries in one corpus with O*NET's occupations, whose titles are recorded."""
    print(
        "\n   no harm: one corpus of all documents, 80 % of O*NET's titles recorded; nDCG@10 without and with playbooks"
    )
    ids = [f"{c.name}/{i}" for c in collections.values() for i in c.ids]
    texts = [text for c in collections.values() for text in c.texts]
    vectors = np.concatenate([c.vectors for c in collections.values()])
    everything = corpus_of("everything", ids, texts, vectors)
    playbook = record(collections["onet"], titles.recorded(0.8), prefix="onet/")
    for name in ("scifact", "cranfield"):
        for label, config in {"default": DEFAULT, "wide": WIDE}.items():
            compare(everything, collections[name], playbook, config, label)
    print("   and where half of the same collection's queries are recorded (even), the other half asked (odd):")
    for name in ("scifact", "cranfield"):
        collection = collections[name]
        corpus = corpus_of(name, collection.ids, collection.texts, collection.vectors)
        own = record(collection, range(0, len(collection.queries), 2))
        odd = range(1, len(collection.queries), 2)
        before = measure(collection, odd, cold_ranker(collection, corpus))[:, 0]
        for label, config in {"default": DEFAULT, "wide": WIDE}.items():
            after = measure(collection, odd, ranker(collection, corpus, own, config))[:, 0]
            change = paired_bootstrap(after, before, seed=SEED)
            print(f"    {name:<10} {label:<8} {before.mean():.4f}  {after.mean():.4f}  {shown(change)}")


def together(collections: dict[str, Collection], titles: Titles) -> None:
    """Three corpora in one search against each alone: R@10 of each collection's queries."""
    print("\n4. three corpora searched together; R@10 with a corpus filter and without")
    corpora = {name: corpus_of(name, c.ids, c.texts, c.vectors) for name, c in collections.items()}
    for name, collection in collections.items():
        queries = titles.test if name == "onet" else range(len(collection.queries))

        def among(names: Sequence[str], c: Collection = collection) -> Rank:
            def rank(n: int) -> list[str]:
                some = [corpora[one] for one in names]
                found = rank_of(some, c.queries[n], c.query_vectors[n], weight=TEXT_WEIGHT)
                return [i if corpus == c.name else "" for corpus, i in found]

            return rank

        alone = measure(collection, queries, among([name]))[:, 1]
        merged = measure(collection, queries, among(list(corpora)))[:, 1]
        print(f"    {name:<10} {alone.mean():.4f}  {merged.mean():.4f}")
        limit(f"{name} together loses of its recall, at most", 1 - merged.mean() / alone.mean(), TOGETHER)


def compare(
    everything: CorpusReader, collection: Collection, playbook: Playbooks, config: PlaybookConfig, label: str
) -> None:
    def stripped(rank: Rank) -> Rank:
        return lambda n: [i.removeprefix(f"{collection.name}/") for i in rank(n)]

    every = range(len(collection.queries))
    before = measure(collection, every, stripped(cold_ranker(collection, everything)))[:, 0]
    after = measure(collection, every, stripped(ranker(collection, everything, playbook, config)))[:, 0]
    change = paired_bootstrap(after, before, seed=SEED)
    print(f"    {collection.name:<10} {label:<8} {before.mean():.4f}  {after.mean():.4f}  {shown(change)}")
    limit(f"{collection.name} loses, {label}, at most", -change.mean, HARM)


def measure(collection: Collection, queries: Iterable[int], rank: Rank) -> np.ndarray:
    """(queries, measures): nDCG@10, R@10, top-1 of each."""
    rows = []
    for n in queries:
        ranked, gains = rank(n), collection.gains[n]
        rows.append((ndcg(ranked, gains), recall(ranked, gains), top_1(ranked, gains)))
    return np.array(rows)


def row(values: np.ndarray) -> str:
    return "  ".join(f"{mean:.4f}" for mean in values.mean(axis=0))


def shown(interval: Interval) -> str:
    return f"{interval.mean:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def limit(what: str, measured: float, bound: float, *, at_least: bool = False) -> None:
    is_met = measured >= bound if at_least else measured <= bound
    _verdicts.append(bool(is_met))
    print(f"{'PASS' if is_met else 'FAIL'}  {what}: {measured:.4f} (limit {'>=' if at_least else '<='} {bound:g})")


if __name__ == "__main__":
    main()
