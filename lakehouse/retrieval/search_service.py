"""The search of live corpora: plan, embed, select, retrieve, lift, merge, sign. Replay and the API run this same code.

Belongs here: the order of the steps and what is measured. Not here: the rule of each step (see search_selection.py,
matrix.py, playbook_influence.py), HTTP, logging (see search_log.py).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lakehouse import jitter
from lakehouse.clock import new_id, utc_now
from lakehouse.counted import counted
from lakehouse.errors import BadInput, Unavailable
from lakehouse.retrieval.answer_cache import MOST_ANSWERS, MOST_BYTES, AnswerCache, key_bytes, key_of
from lakehouse.retrieval.calibration import unjudged
from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.matrix import Found, Near, find, merge
from lakehouse.retrieval.playbook_influence import Influence, Playbooks
from lakehouse.retrieval.rerank import Reranker
from lakehouse.retrieval.search_answer import Answered, SearchAnswer, Times, answered_bytes, answered_with
from lakehouse.retrieval.search_config import SearchConfig
from lakehouse.retrieval.search_request import Plan, SearchRequest, plan_search
from lakehouse.retrieval.search_selection import SqlIds, ask, select_rows
from lakehouse.retrieval.selection import Selection
from lakehouse.retrieval.trace import Arm, TraceSigner

Vector = NDArray[np.float32]
EmbedQuery = Callable[[str, str], Awaitable[tuple[Vector, bool]]]
LookTogether = Callable[[CorpusView, Vector, int, Selection], Awaitable[Near]]
_PASSING_SHARE = 8


class Corpora(Protocol):
    """The corpora of a process."""

    async def open(self, name: str) -> CorpusView: ...


class SearchService:
    """Searches for one process; safe for any number of coroutines.

    Args:
        corpora: The corpora.
        embed: Embeds a query by a named embedder; says whether it came from memory.
        playbooks: What worked before.
        config: The live config and its name.
        sql: Answers SQL filters.
        signer: Signs trace ids.
        holdout_share: Share of `"auto"` searches that are served without playbooks.
        reranker: Ranks the best again by a better embedder, where config and corpus say so.
        together: Begins the search of the nearest rows of a corpus in memory, joined with the others of this turn of
            the event loop; None: each search runs by itself.
        answers_bytes: Memory for cached answers.
        clock: The time now, aware, in UTC.
        draw: A number in [0, 1) for the hold-out.
    """

    def __init__(
        self,
        corpora: Corpora,
        embed: EmbedQuery,
        playbooks: Playbooks,
        *,
        config: Callable[[], tuple[SearchConfig, str]],
        sql: SqlIds,
        signer: TraceSigner,
        holdout_share: float,
        reranker: Reranker | None = None,
        together: LookTogether | None = None,
        answers_bytes: int = MOST_BYTES,
        clock: Callable[[], datetime] = utc_now,
        draw: Callable[[], float] = jitter.draw,
    ) -> None:
        self._corpora = corpora
        self._embed = embed
        self._playbooks = playbooks
        self._config = config
        self._sql = sql
        self._signer = signer
        self._holdout_share = holdout_share
        self._reranker = reranker
        self._together = together
        # Every playbook record invalidates these answers, so they have a small cache of their own.
        passing_bytes = answers_bytes // _PASSING_SHARE
        self._passing = AnswerCache[Answered](most=MOST_ANSWERS // _PASSING_SHARE, most_bytes=passing_bytes)
        self._answers = AnswerCache[Answered](most_bytes=answers_bytes - passing_bytes)
        self._clock = clock
        self._draw = draw

    async def search(self, request: SearchRequest, *, has_pii: bool) -> SearchAnswer:
        """Answer one search.

        Raises:
            BadInput: The request is wrong; the message says where.
            NotFound: A corpus is unknown.
            Forbidden, TimedOut, Unavailable: The SQL filter, or an embedder, says so.
        """
        begun = time.perf_counter()
        config, config_version = self._config()
        plan = plan_search(request, config)
        views = [await self._corpora.open(name) for name in plan.corpora]
        arm = self._arm(plan)
        # The revision of playbooks is part of the key only when they are used.
        playbooks = self._playbooks.revision if arm == "playbook" else None
        state = (arm, config_version, playbooks, *(view.state for view in views))
        key = key_of(request, has_pii=has_pii, k=plan.ask.k, state=state)
        kept = self._passing if arm == "playbook" else self._answers
        if (answered := kept.get(key)) is not None:
            return self._answer(answered, plan, views, names=(arm, config_version), times=Times(begun))
        vectors, is_cached = await self._vectors(plan, views, with_playbook=arm == "playbook")
        embedded = time.perf_counter()
        selections = await select_rows(plan, views, self._sql, has_pii=has_pii)
        # Begun before playbooks are awaited, so that both searches run at the end of the same turn.
        looks = [self._look(*pair, plan, vectors) for pair in zip(views, selections, strict=True)]
        influence = await self._influence(plan, vectors) if arm == "playbook" else None
        near = [None if look is None else await look for look in looks]

        def found_in_each() -> list[Found]:
            return [
                find(view, plan.ask, vectors.get(view.embedder), selection, influence, near=rows)
                for view, selection, rows in zip(views, selections, near, strict=True)
            ]

        def answered_by(found: Sequence[Found]) -> Answered:
            return answered_with(merge(found, plan.ask, influence), views, has_pii=has_pii)

        found = await ask(views, found_in_each)
        if plan.rerank_top and self._reranker is not None:
            await self._reranker.rerank(found, plan.ask, top=plan.rerank_top, weight=plan.rerank_weight)
        searched = time.perf_counter()
        answered = await ask(views, lambda: answered_by(found))
        if key is not None:
            kept.put(key, answered, revision=playbooks or 0, size_bytes=key_bytes(key) + answered_bytes(answered))
        times = Times(begun, embedded, searched, is_embedding_cached=is_cached)
        return self._answer(answered, plan, views, names=(arm, config_version), times=times)

    def stats(self) -> dict[str, int]:
        """How many answers are cached, and how many bytes they take."""
        caches = (self._answers, self._passing)
        return {"cached": sum(map(len, caches)), "cached_bytes": sum(cache.size_bytes for cache in caches)}

    def _answer(
        self,
        answered: Answered,
        plan: Plan,
        views: Sequence[CorpusView],
        *,
        names: tuple[Arm, str],
        times: Times,
    ) -> SearchAnswer:
        """Sign an answer, fresh or cached, as that of this run."""
        (arm, config_version), run_id = names, new_id()
        trace_id = self._signer.sign_shown(run_id, arm, config_version, answered.shown)
        done = time.perf_counter()
        embedded, searched = times.embedded or times.begun, times.searched or times.begun
        return SearchAnswer(
            run_id=run_id,
            plan=plan,
            results=answered.results,
            counts=answered.merged.counts,
            is_downgraded=answered.merged.is_downgraded,
            arm=arm,
            config_version=config_version,
            trace_id=trace_id,
            stale=[view.name for view in views if view.is_stale],
            unjudged=_unjudged(plan, views),
            embed_ms=_ms(embedded - times.begun),
            search_ms=_ms(searched - embedded),
            merge_ms=_ms(done - searched),
            total_ms=_ms(done - times.begun),
            is_embedding_cached=times.is_embedding_cached,
            is_answer_cached=times.searched is None,
            shared=answered.shared,
        )

    def _arm(self, plan: Plan) -> Arm:
        # While entries are still being read, answers must not count as results of playbooks.
        if plan.use_playbook and not self._playbooks.is_ready():
            if plan.use_playbook != "auto":
                raise Unavailable("playbooks are being read from the store; try again", retry_after_s=1)
            return "off"
        if plan.use_playbook == "auto":
            return "holdout" if self._draw() < self._holdout_share else "playbook"
        return "playbook" if plan.use_playbook else "off"

    async def _influence(self, plan: Plan, vectors: Mapping[str, Vector]) -> Influence | None:
        vector = vectors.get(self._playbooks.embedder)
        if vector is None or not len(self._playbooks):
            return None
        first = await self._playbooks.first_look(vector, plan.playbook)
        return self._playbooks.influence(
            plan.ask.query, vector, corpora=plan.corpora, config=plan.playbook, now=self._clock(), first=first
        )

    def _look(
        self, view: CorpusView, selection: Selection, plan: Plan, vectors: Mapping[str, Vector]
    ) -> Awaitable[Near] | None:
        """Begin the joined search of a corpus in memory; None when `find` searches itself."""
        vector = None if plan.ask.mode == "text" else vectors.get(view.embedder)
        if vector is None or self._together is None or not view.is_in_memory:
            return None
        return self._together(view, vector, plan.ask.per_corpus_k, selection)

    async def _vectors(
        self, plan: Plan, views: Sequence[CorpusView], *, with_playbook: bool
    ) -> tuple[dict[str, Vector], bool]:
        """The query by every embedder that is needed; a corpus's query is embedded by the corpus's own model."""
        searched = () if plan.ask.mode == "text" else views
        wanted = [view.embedder for view in searched]
        if with_playbook and len(self._playbooks):
            wanted.append(self._playbooks.embedder)
        vectors: dict[str, Vector] = {}
        is_cached = True
        for name in wanted:
            if name not in vectors:
                vectors[name], was_cached = await self._embed(name, plan.ask.query)
                is_cached = is_cached and was_cached
        for view in searched:
            vector = vectors[view.embedder]
            if len(vector) != view.dimension:
                raise BadInput(
                    f"corpus {view.name!r} has vectors of {counted(view.dimension, 'dimension')}, but its embedder"
                    f" {view.embedder!r} gives {len(vector)}: search it by vector, or make an index of that embedder's"
                )
        return vectors, is_cached


def _ms(seconds: float) -> float:
    """Milliseconds with three decimals; `round` takes four times as long."""
    return int(seconds * 1e6 + 0.5) / 1e3


def _unjudged(plan: Plan, views: Sequence[CorpusView]) -> dict[str, str]:
    if plan.ask.threshold <= 0:
        return {}
    reasons = {view.name: unjudged(view, plan.ask.mode) for view in views}
    return {name: reason for name, reason in reasons.items() if reason is not None}
