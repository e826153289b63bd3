"""Phase 6, acceptance: searches over two small corpora in memory, before and after outcomes were recorded.

It uses the platform's own corpora, matrix search and playbooks, under the live config of the store and with the
playbook embedder. All of it is in memory: nothing is written, and the playbooks that serve do not change.

Belongs here: building the corpora, searching. Not here: the questions and what is a pass (see
lakehouse/audit/acceptance.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.embedders import open_embedder
from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.audit.acceptance import Gain, Question, gain_of, questions
from lakehouse.counted import counted
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.retrieval.matrix import Ask, find, merge
from lakehouse.retrieval.playbook import RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import encode_vector
from lakehouse.retrieval.playbook_influence import Playbooks
from lakehouse.retrieval.search_config import SEARCH, SearchConfig
from lakehouse.sample.vocabulary import OCCUPATIONS, Occupation

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger
    from lakehouse.retrieval.embedding import Embedder

Vectors = NDArray[np.float32]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Searches and outcomes are all of one moment: how much an outcome has faded is no part of this."""
_WRITER = "00000000-0000-7000-8000-000000000000"
_REMEDY = (
    "GET /v1/config shows the live search config: with a boost of 0, or a small max_distance, playbooks have no say;"
    " `lakehouse rollback` goes back to the version before"
)


def check_acceptance(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Ask before and after, and judge.

    Raises:
        BadInput: The live config no longer validates.
        Unavailable: The embedder cannot be opened.
    """
    live = ConfigStore(parts.store).live(SEARCH.name)
    embedder = open_embedder(parts.settings.playbook_embedder, parts.settings)
    desk = _Desk(embedder, SEARCH.read(live.document))
    asked = questions()
    playbooks = desk.record(asked.recorded)
    again, never = (desk.gain(some, playbooks) for some in (asked.asked_again, asked.never_seen))
    _tell(ledger, "asked_again", again)
    _tell(ledger, "never_seen", never)
    under = f"{SEARCH.version_name(live.version)}, {parts.settings.playbook_embedder}"
    ledger.judge(
        "names asked for in other words are found better",
        [] if again.interval.low > 0 else [f"{_shown(again)}: the interval is not above 0"],
        looked_at=f"{_shown(again)}, under {under}", remedy=_REMEDY,
    )  # fmt: skip
    ledger.judge(
        "names never recorded are not found worse",
        [] if never.interval.high >= 0 else [f"{_shown(never)}: the interval is below 0"],
        looked_at=_shown(never), remedy=_REMEDY,
    )  # fmt: skip
    ledger.judge(
        "excluded answers never come back", list(desk.excluded_and_found(asked.asked_again, playbooks)),
        looked_at=f"{counted(len(asked.asked_again), 'search')} excluding what playbooks endorse",
        remedy="A filter must hold before playbooks do: this is a fault of the program, report it",
    )  # fmt: skip


def _tell(ledger: PhaseLedger, name: str, gain: Gain) -> None:
    ledger.measured(f"{name}_ndcg_before", gain.before)
    ledger.measured(f"{name}_ndcg_after", gain.after, "higher")
    ledger.measured(f"{name}_gain", gain.interval.mean, "higher")
    ledger.measured(f"{name}_gain_low", gain.interval.low, "higher")
    ledger.measured(f"{name}_gain_high", gain.interval.high, "higher")


def _shown(gain: Gain) -> str:
    more = gain.interval
    gained = f"{more.mean:+.3f}, 95 % interval {more.low:+.3f} to {more.high:+.3f}"
    return f"nDCG@10 {gain.before:.3f} to {gain.after:.3f} of {counted(gain.questions, 'question')} ({gained})"


class _Desk:
    """Two corpora, an embedder and a config to search them with.

    Args:
        embedder: Of everything.
        config: Under which it is searched.
    """

    def __init__(self, embedder: Embedder, config: SearchConfig) -> None:
        self._embedder = embedder
        self._config = config
        self._vectors: dict[str, Vectors] = {}
        halves = {"occupations_a": OCCUPATIONS[::2], "occupations_b": OCCUPATIONS[1::2]}
        self._home = {one.title: name for name, half in halves.items() for one in half}
        self._corpora = [self._corpus(name, half) for name, half in halves.items()]

    def record(self, outcomes: Sequence[Question]) -> Playbooks:
        """Playbooks in which each of these questions has its right answer recorded."""
        name = self._embedder.name
        book = PlaybookBook(HotEntryIndex(lambda: self._embedder.dimension), embedder=name, embed=self._embed)
        vectors = self._embed([one.text for one in outcomes])
        book.apply([
            Entry(f"op-{n}", Order(n, _WRITER, n, 0), RECORD, {
                "playbook_id": f"p{n:06d}", "query": one.text, "answer_id": one.answer,
                "answer_corpus": self._home[one.answer], "tags": [], "score": 1.0, "embedder": name,
                "vector": encode_vector(vector),
            }, _NOW, "audit")
            for n, (one, vector) in enumerate(zip(outcomes, vectors, strict=True))
        ])  # fmt: skip
        return Playbooks(book, embedder=name)

    def gain(self, asked: Sequence[Question], playbooks: Playbooks) -> Gain:
        """How much better these questions are answered with playbooks."""
        vectors = self._embed([one.text for one in asked])
        before, after = (
            [self._rank(one.text, vector, known) for one, vector in zip(asked, vectors, strict=True)]
            for known in (None, playbooks)
        )
        return gain_of(asked, before, after)

    def excluded_and_found(self, asked: Sequence[Question], playbooks: Playbooks) -> list[str]:
        """Answers that came back although they were excluded."""
        vectors = self._embed([one.text for one in asked])
        return [
            f"{one.text!r} gives {one.answer}"
            for one, vector in zip(asked, vectors, strict=True)
            if one.answer in self._rank(one.text, vector, playbooks, exclude=(one.answer,))
        ]

    def _rank(
        self, query: str, vector: Vectors, playbooks: Playbooks | None, *, exclude: Sequence[str] = ()
    ) -> list[str]:
        config, names = self._config, [corpus.name for corpus in self._corpora]
        weights = {name: config.text_weight_of(name) for name in names}
        request = Ask(query, config.k, config.per_corpus_k, config.mode, weights)
        influence = None
        if playbooks is not None:
            influence = playbooks.influence(query, vector, corpora=names, config=config.playbook, now=_NOW)
        found = [
            find(corpus, request, vector, corpus.select(exclude_ids=exclude), influence) for corpus in self._corpora
        ]
        return [candidate.id for candidate in merge(found, request, influence).results]

    def _embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in texts if text not in self._vectors]
        if new:
            self._vectors |= dict(zip(new, np.asarray(self._embedder.embed(new), np.float32), strict=True))
        return np.stack([self._vectors[text] for text in texts])

    def _corpus(self, name: str, occupations: Sequence[Occupation]) -> CorpusReader:
        import pyarrow as pa

        from lakehouse.tables.corpus import corpus_schema

        ids = [one.title for one in occupations]
        texts = [f"{one.title}. Skills: {', '.join(one.skills)}. {'; '.join(one.duties)}." for one in occupations]
        vectors = self._embed(texts)
        index = HotIndex(dimension=vectors.shape[1])
        columns = [
            pa.array(ids), pa.array(ids), pa.array(texts),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
            pa.array(["{}"] * len(ids)), pa.nulls(len(ids), pa.string()),
        ]  # fmt: skip
        index.upsert(pa.record_batch(columns, schema=corpus_schema(vectors.shape[1])))
        return CorpusReader(name, {"embedder": self._embedder.name, "dimension": vectors.shape[1]}, index, "1")
