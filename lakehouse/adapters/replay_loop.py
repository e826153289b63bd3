"""The loop of `/v1/answer` for replays: the same services in process, over what a cut pins.

The platform does not learn from replays. They write no lines to `searches`, `chat_calls` or `validations`, only to
`replay_runs`, which the fold-back does not read. Their memory logs are read and closed before the first question, so
nothing can be appended to them. Their trace ids are signed with a throw-away key, so `/v1/outcomes` refuses them and no
playbook is credited.

Belongs here: composition, opening and closing. Not here: the loop itself (see lakehouse/answer/service.py), what is
pinned how (see replay_pins.py).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.chat_providers import open_providers
from lakehouse.adapters.corpora import Corpora
from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.name_lists import names_with
from lakehouse.adapters.replay_memory import LOGS, Memory, present_parts, read_memory
from lakehouse.adapters.replay_pins import PinnedCatalog, PinnedTables, moment_of
from lakehouse.adapters.roster import StoredRoster
from lakehouse.adapters.text_vectors import TextVectorCache
from lakehouse.answer.config import ANSWER, AnswerConfig
from lakehouse.answer.recall import Recalled, recall_traces
from lakehouse.answer.request import Answer, AnswerRequest
from lakehouse.answer.service import AnswerService
from lakehouse.chat.call_log import Caller
from lakehouse.chat.routing import route_of
from lakehouse.chat.service import ChatService
from lakehouse.chat.usage import UsageMeter
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Unavailable
from lakehouse.pathway.search import PathwaySearcher
from lakehouse.replay.arms import ResolvedArm
from lakehouse.replay.cut import Cut, split_revision
from lakehouse.replay.task import ReplayTask
from lakehouse.retrieval.playbook_influence import Playbooks
from lakehouse.retrieval.rerank import Reranker
from lakehouse.retrieval.search_config import SEARCH, SearchConfig
from lakehouse.retrieval.search_service import SearchService
from lakehouse.retrieval.trace import TraceSigner
from lakehouse.tables.memory import MEMORY_TABLES
from lakehouse.validation import Verdict, validate

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.catalog.service import Catalog
    from lakehouse.settings import Settings

_ACTOR = "replay"
_ROSTER_S = 120.0
_LOOK_S = 0.02
_TEXT_VECTOR_BYTES = 64 << 20


class _Unlogged:
    """The chat log of a replay, which keeps nothing: a call is in the row of its run, and nowhere else."""

    def require_room(self) -> None:
        """There always is."""

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None:
        """Keep nothing."""


class _NoSql:
    """SQL filters of a replay: a task has none, as `/v1/answer` has none."""

    async def ids(self, expression: str, *, dataset: str, id_column: str, has_pii: bool) -> frozenset[str]:
        raise BadInput("a replayed task has no SQL filter; write it as `filter`")


@dataclass(frozen=True, slots=True)
class ReplayLoop:
    """What answers tasks.

    Attributes:
        cut: What is read, complete.
        entries: Of each memory log, how many entries that has.
        chat: Asks models; for judges, too.
    """

    cut: Cut
    entries: Mapping[str, int]
    chat: ChatService
    _services: Mapping[str, AnswerService]
    _seed: int

    async def ask(self, task: ReplayTask, arm: ResolvedArm) -> Answer:
        """Answer one task under one arm.

        Raises:
            LakehouseError: As `AnswerService.answer`.
        """
        request = AnswerRequest(
            task=task.question,
            corpora=task.corpora if arm.retrieval else (),
            budget_tokens=task.budget_tokens,
            max_tokens=task.max_tokens,
            use_playbook=arm.playbook,
            use_pathway=arm.pathway,
            filter=task.filter,
            exclude_ids=task.exclude_ids,
            validate_kind=task.validate_kind,
            validate_context=task.validate_context,
            seed=self._seed,
        )
        return await self._services[arm.name].answer(request, Caller(_ACTOR, task_id=task.task_id))


@asynccontextmanager
async def open_loop(
    settings: Settings,
    objects: S3ObjectStore,
    catalog: Catalog,
    *,
    arms: Sequence[ResolvedArm],
    corpora: Collection[str],
    as_of: Cut | None,
    seed: int,
    now: datetime,
) -> AsyncIterator[ReplayLoop]:
    """Open everything that a replay reads, and close it.

    Args:
        settings: Embedders, models, memory.
        objects: The bucket.
        catalog: Its datasets.
        arms: Under which tasks are asked.
        corpora: That are searched.
        as_of: What is read; None: what there is now.
        seed: Asked of models.
        now: The time of the batch, for what weighs less with time where no memory says better.

    Raises:
        BadInput: The cut lacks a part, or names what never was; an arm cannot be had as of it.
        Gone: A part of the cut is older than the history.
        NotFound: A corpus or a model is unknown.
        StoreUnavailable, Unavailable: The store does not answer.
    """
    async with AsyncExitStack() as stack:
        chat = replay_chat(settings)
        stack.push_async_callback(chat.close)
        default_model = _checked_models(settings, chat, arms)
        present = await asyncio.to_thread(present_parts, objects, catalog, corpora)
        asked = (
            None
            if as_of is None
            else as_of.require(datasets=present.datasets, tables=present.tables, logs=LOGS, now=present)
        )
        embedding = EmbeddingService(settings)
        stack.callback(embedding.close)
        memory = await asyncio.to_thread(read_memory, settings, objects, embedding, asked)
        cut = Cut((asked or present).datasets, (asked or present).tables, memory.orders)
        _check_thresholds(arms, cut, present)
        tables = PinnedTables(objects, cut.tables)
        opened = Corpora(
            tables,
            poll_s=settings.memory_poll_s,
            hidden=MEMORY_TABLES,
            snapshots=settings.data_dir / "indexes",
            memory_bytes=settings.index_memory_bytes,
        )
        stack.push_async_callback(asyncio.to_thread, opened.stop)
        for name in sorted(cut.tables):
            await opened.open(name)  # a missing part must be known before a provider is paid
        roster = await _roster(objects, catalog, cut)
        parts = _Parts(
            settings, embedding, opened, memory, chat, roster, default_model, at=moment_of(memory.orders.values(), now)
        )
        services = {arm.name: parts.service(arm) for arm in arms}
        yield ReplayLoop(cut, memory.entries, chat, services, seed)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What all arms share."""

    settings: Settings
    embedding: EmbeddingService
    corpora: Corpora
    memory: Memory
    chat: ChatService
    roster: StoredRoster
    default_model: str
    at: datetime

    def service(self, arm: ResolvedArm) -> AnswerService:
        """The loop under one arm's configs; corpora, memory and models are the same for all."""
        answer: AnswerConfig = ANSWER.read(arm.answer)
        search: SearchConfig = SEARCH.read(arm.search)
        signer = TraceSigner(secrets.token_bytes(32))
        searching = SearchService(
            self.corpora,
            self.embedding.embed_query,
            Playbooks(self.memory.playbooks, embedder=self.settings.playbook_embedder),
            config=lambda: (search, arm.config_version),
            sql=_NoSql(),
            signer=signer,
            holdout_share=0.0,
            reranker=Reranker(
                self.embedding.embed_query,
                TextVectorCache(self.embedding.embed_many, most_bytes=_TEXT_VECTOR_BYTES),
            ),
            clock=lambda: self.at,
        )

        async def config(_: int | None) -> tuple[AnswerConfig, int]:
            return answer, 0

        return AnswerService(
            searching,
            self.chat,
            validate=self._validated,
            config=config,
            signer=signer,
            default_model=self.default_model,
            name_lists=lambda: names_with(self.roster),
            recall=self._recall,
        )

    async def _validated(
        self, kind: str, artifact: Mapping[str, Any], context: Mapping[str, Any], _: Caller
    ) -> Verdict:
        return await asyncio.to_thread(partial(validate, kind, artifact, context, roster=self.roster))

    async def _recall(self, task: str, shape: str, config: AnswerConfig, _: str) -> Recalled:
        searcher = PathwaySearcher(self.memory.pathways, self.memory.traces, self._embed_pathway)
        return await recall_traces(searcher.search, task, shape, config)

    async def _embed_pathway(self, text: str) -> Any:
        return (await self.embedding.embed_query(self.settings.pathway_embedder, text))[0]


def replay_chat(settings: Settings) -> ChatService:
    """A chat service that logs nothing; the caller closes it."""
    providers, embedded = open_providers(settings)
    # No fall-backs: answers of another model would say nothing about the arm's own.
    return ChatService(
        providers,
        embedded=(embedded,),
        log=_Unlogged(),
        meter=UsageMeter(utc_now),
        fallbacks={},
        budget_usd=0.0,
        find_markers=lambda _: (),
    )


def _checked_models(settings: Settings, chat: ChatService, arms: Sequence[ResolvedArm]) -> str:
    """The default model; every arm's is one that somebody serves, and that is set up."""
    default = settings.chat_model or next(iter(chat.embedded))
    for arm in arms:
        name = arm.answer.get("model") or default
        provider = chat.providers[route_of(name, embedded=chat.embedded).provider]
        if not provider.is_configured:
            raise BadInput(f"arm {arm.name!r} asks model {name!r}, and its provider is not set up: {provider.missing}")
    return default


async def _roster(objects: S3ObjectStore, catalog: Catalog, cut: Cut) -> StoredRoster:
    """Workers as of the cut; the thread that reads them ends when they are read."""
    pinned = await asyncio.to_thread(PinnedCatalog, catalog, cut.datasets)
    roster = StoredRoster(objects, pinned)
    roster.start()
    try:
        async with asyncio.timeout(_ROSTER_S):
            while not roster.is_loaded:
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise Unavailable("the workers as of this cut cannot be read; is the store well?", retry_after_s=5) from None
    finally:
        await asyncio.to_thread(roster.stop)
    return roster


def _check_thresholds(arms: Sequence[ResolvedArm], cut: Cut, present: Cut) -> None:
    """A corpus's calibration is kept for the version that serves alone."""
    now = {name: split_revision(revision)[1] for name, revision in present.tables.items()}
    moved = [name for name, revision in cut.tables.items() if split_revision(revision)[1] != now[name]]
    for arm in arms:
        if moved and arm.retrieval and arm.search.get("relevance_threshold", 0) > 0:
            raise BadInput(
                f"arm {arm.name!r} has a relevance threshold, and corpus {moved[0]!r} is calibrated for the version"
                " that serves now, not for that of as_of; set search.relevance_threshold to 0",
                field="as_of",
            )
