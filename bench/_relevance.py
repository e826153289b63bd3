"""What a relevance threshold of 0.3 keeps and drops, by each way to calibrate; run by hand.

    python bench/_relevance.py [--embedder minilm] [--folder DIR]

Judged collections are searched as corpora. Kept: judged documents, and first results, whose probability reaches the
threshold. Dropped: of the first ten results of the other collections' queries those below it. Ways: the corpus's own
texts (hybrid, and by cosines alone), the embedder's general calibration made of the *other* collections, and, for
vectors without texts, a row and its nearest taken for a query and its answer. At the end the general calibration of all
three, which `OF_EMBEDDERS` in lakehouse/retrieval/relevance.py has.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _judged import LOADERS, Collection, Embeddings

from lakehouse.adapters.corpus_build import CALIBRATION_ROWS
from lakehouse.retrieval.calibration import Cloze, take_apart
from lakehouse.retrieval.fusion import fuse
from lakehouse.retrieval.relevance import PRIOR, RelevanceModel
from lakehouse.retrieval.text_index import TextIndex

TEXT_WEIGHT = 0.3
ON_TOPIC, OFF_TOPIC, TOP = 100, 80, 10
Floats = NDArray[np.float32]
Judge = Callable[[str, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Corpus:
    """A collection, the index of its texts, and itself taken apart."""

    of: Collection
    texts: TextIndex
    taken: Cloze

    def hybrid(self, model: RelevanceModel) -> Judge:
        """Scores and probabilities of all rows, by words and meaning."""

        def judge(query: str, vector: Floats) -> tuple[Floats, Floats]:
            likeness, texts = self.of.vectors @ vector, self.texts.scores(query)
            share = texts / np.float32(max(sum(self.texts.term_weights(query).values()), 1e-6))
            return fuse(likeness, texts, weight=TEXT_WEIGHT), model.probability(likeness, share)

        return judge

    def by_meaning(self, model: RelevanceModel) -> Judge:
        """The same by cosines alone."""

        def judge(query: str, vector: Floats) -> tuple[Floats, Floats]:
            likeness = self.of.vectors @ vector
            return likeness, model.probability(likeness, np.zeros_like(likeness))

        return judge


def neighbours(vectors: Floats) -> RelevanceModel:
    """A row and its nearest as relevant, the best of four random ones as not: what vectors alone have to say."""
    chance = np.random.default_rng(11)
    pool = vectors[chance.permutation(len(vectors))[:2_000]]
    chosen = chance.permutation(len(pool))[:300]
    likeness = pool[chosen] @ pool.T
    likeness[np.arange(len(chosen)), chosen] = -1
    others = (chosen[:, None] + chance.integers(1, len(pool), (len(chosen), 4))) % len(pool)
    return alone(likeness.max(axis=1), np.take_along_axis(likeness, others, 1).max(axis=1))


def alone(relevant: Floats, irrelevant: Floats) -> RelevanceModel:
    """The model of cosines."""
    return RelevanceModel.fit((relevant, np.zeros_like(relevant)), (irrelevant, np.zeros_like(irrelevant)))


def general(*taken: Cloze) -> RelevanceModel:
    """The model of several collections together, by cosines alone."""
    pairs = [one.pairs(counts_text=False) for one in taken]
    return alone(np.concatenate([p[0][0] for p in pairs]), np.concatenate([p[1][0] for p in pairs]))


def measured(corpora: Mapping[str, Corpus], name: str, judge: Judge) -> str:
    """Kept and dropped shares as a row of the table."""
    of = corpora[name].of
    at = {document: row for row, document in enumerate(of.ids)}
    kept, first = [], []
    for n in np.random.default_rng(0).permutation(len(of.queries))[:ON_TOPIC]:
        scores, chances = judge(of.queries[n], of.query_vectors[n])
        kept += [chances[at[document]] >= PRIOR for document in of.gains[n] if document in at]
        first.append(chances[scores.argmax()] >= PRIOR)
    cells = [f"{np.mean(kept):.0%}", f"{np.mean(first):.0%}"]
    for other in (one.of for key, one in corpora.items() if key != name):
        dropped = []
        for n in np.random.default_rng(1).permutation(len(other.queries))[:OFF_TOPIC]:
            scores, chances = judge(other.queries[n], other.query_vectors[n])
            dropped.append(chances[np.argsort(-scores)[:TOP]] < PRIOR)
        cells.append(f"{other.name} {np.mean(dropped):.0%}")
    return " | ".join(cells)


def main() -> None:
    """Measure one embedder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "lakehouse-bench-relevance"))
    args = parser.parse_args()
    folder = Path(args.folder) / args.embedder
    folder.mkdir(parents=True, exist_ok=True)
    embed = Embeddings(folder, args.embedder)
    corpora = {}
    for name, load in LOADERS.items():
        of, texts = load(embed), TextIndex()
        texts.append(of.texts)
        rows = np.unique(np.linspace(0, len(of.texts) - 1, CALIBRATION_ROWS).astype(np.int64))
        taken = take_apart(of.vectors[rows], [of.texts[n] for n in rows], embed.embedder)
        assert taken is not None
        corpora[name] = Corpus(of, texts, taken)
    print("corpus | calibrated by | judged kept | first kept | of off-topic queries dropped")
    for name, corpus in corpora.items():
        own = corpus.taken
        others = [one.taken for key, one in corpora.items() if key != name]
        ways = {
            "own texts": corpus.hybrid(RelevanceModel.fit(*own.pairs(counts_text=True))),
            "own texts, cosines alone": corpus.by_meaning(RelevanceModel.fit(*own.pairs(counts_text=False))),
            "embedder (other collections)": corpus.by_meaning(general(*others)),
            "nearest rows": corpus.by_meaning(neighbours(corpus.of.vectors)),
        }
        for way, judge in ways.items():
            print(f"{name} | {way} | {measured(corpora, name, judge)}", flush=True)
    model = general(*(one.taken for one in corpora.values()))
    print(f"{args.embedder}: similarity {model.similarity:.3f}, intercept {model.intercept:.3f}")


if __name__ == "__main__":
    main()
