"""The loop in one call: retrieve, bundle, chat, validate (CONTRACTS.md section 7).

An answer leaves only when it is grounded in what was shown and passes the validation that was asked for; refused ones
come back without their text, with the reason, and with a trace id: that it failed is worth as much to later runs.

Belongs here: the order of what happens. Not here: its parts (see bundle.py, grounding.py, artifact.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from lakehouse.answer.artifact import artifact_of, form_of
from lakehouse.answer.bundle import Bundle, Record, build_bundle
from lakehouse.answer.config import NAME, AnswerConfig
from lakehouse.answer.found import Found, context_of
from lakehouse.answer.grounding import ungrounded
from lakehouse.answer.names import NameLists
from lakehouse.answer.preference import preferred_first, preferred_values
from lakehouse.answer.prompt import messages_of, question_of
from lakehouse.answer.recall import Recalled
from lakehouse.answer.relation import demanded_fields, demanded_first
from lakehouse.answer.request import Answer, AnswerRequest, Citation, Judged
from lakehouse.chat.call_log import Caller
from lakehouse.chat.request import ChatRequest, Usage
from lakehouse.chat.service import ChatResult, ChatService
from lakehouse.chat.token_estimate import CHAT_OVERHEAD, estimate_tokens
from lakehouse.clock import new_id
from lakehouse.errors import BadInput, NotFound
from lakehouse.pathway.shape import shape_of
from lakehouse.retrieval.search_answer import SearchAnswer
from lakehouse.retrieval.search_request import SearchRequest
from lakehouse.retrieval.search_service import SearchService
from lakehouse.retrieval.trace import Trace, TraceSigner
from lakehouse.validation import Verdict

Validate = Callable[[str, Mapping[str, Any], Mapping[str, Any], Caller], Awaitable[Verdict]]
"""Validates an artifact of a kind in a context, and logs that it did."""
ConfigOf = Callable[[int | None], Awaitable[tuple[AnswerConfig, int]]]
"""The live answer config, or a version of it, with its number."""
Recall = Callable[[str, str, AnswerConfig, str], Awaitable[Recalled]]
"""The traces of pathway memory that speak of a task, or show how one of its shape was done; told who asks."""
_MAX_TASK_BYTES = 64 << 10
_TRIES = 8
# With memory so many times as many records are looked at: what it demands may stand further down.
_DEPTH = 5


class AnswerService:
    """Answers for one process; safe for any number of coroutines.

    Args:
        search: Finds records.
        chat: Asks models.
        validate: Validates what they say.
        config: The versioned config.
        signer: Signs trace ids.
        default_model: Asked where the request names none.
        name_lists: Which words are names, for the grounding check.
        recall: Finds traces, where a request wants them.
    """

    def __init__(
        self,
        search: SearchService,
        chat: ChatService,
        *,
        validate: Validate,
        config: ConfigOf,
        signer: TraceSigner,
        default_model: str,
        name_lists: Callable[[], NameLists],
        recall: Recall,
    ) -> None:
        self._search = search
        self._chat = chat
        self._validate = validate
        self._config = config
        self._signer = signer
        self._default_model = default_model
        self._name_lists = name_lists
        self._recall = recall

    async def answer(self, request: AnswerRequest, caller: Caller) -> Answer:
        """Answer one task.

        Raises:
            BadInput: The task is blank, or leaves no room in the budget; or the request is wrong in another way.
            NotFound: A corpus, the model or the config's version is unknown.
            ProviderFailed, TimedOut, Unavailable: A part of the loop says so.
        """
        begun_s = time.perf_counter()
        config, version = await self._config(request.config)
        found = await self._retrieve(request, config, caller.actor)
        retrieved_s = time.perf_counter()
        config_version = (
            f"{NAME}/{version}" if found.search is None else f"{NAME}/{version}+{found.search.config_version}"
        )
        caller = replace(caller, config_version=config_version, extras=context_of(request, found))
        said = await self._ask(request, config, found.bundle, caller)
        asked_s = time.perf_counter()
        text = config.abstention if said is None else said.answer.content
        judged = await self._judge(request, found.bundle, text, caller, is_said=said is not None)
        run_id = new_id() if said is None else said.run_id
        times = {"retrieve": retrieved_s - begun_s, "chat": asked_s - retrieved_s}
        times |= {"validate": time.perf_counter() - asked_s, "total": time.perf_counter() - begun_s}
        return Answer(
            answer=text if judged.passed else None,
            citations=[_cited(record, text) for record in found.bundle.records],
            validation=judged,
            model=None if said is None else said.route.model,
            provider=None if said is None else said.route.provider,
            usage=Usage() if said is None else said.answer.usage,
            cost_usd=0.0 if said is None else said.cost_usd,
            config_version=config_version,
            trace_id=self._signer.sign(Trace(run_id, found.arm, config_version, found.shown)),
            arm=found.arm,
            bundle_tokens=found.bundle.tokens,
            bundle_dropped=found.bundle.dropped,
            stale=() if found.search is None else found.search.stale,
            unjudged={} if found.search is None else found.search.unjudged,
            timings_ms={name: round(seconds * 1000, 3) for name, seconds in times.items()},
            retrieved=found.retrieved,
            playbook_ids=found.playbook_ids,
            pathway_ids=found.pathway_ids,
            is_downgraded=found.search is not None and found.search.is_downgraded,
        )

    async def _retrieve(self, request: AnswerRequest, config: AnswerConfig, actor: str) -> Found:
        room = _room(request, config)
        search = await self._find(request, config)
        results = () if search is None else search.results
        records = [Record(r.candidate.corpus, r.candidate.id, orjson.loads(r.metadata)) for r in results]
        deeper, records = records, records[: config.k]
        fields = [{"id": record.id, **record.fields} for record in records]
        shape = shape_of(request.task, fields, kind=request.validate_kind) if records else ""
        preferred: Mapping[str, str] = {}
        if request.use_pathway:  # what was found comes first: it is what the task is about
            recalled = await self._recall(request.task, shape, config, actor)
            keys = {key for record in records for key in record.fields}
            demanded = demanded_fields(recalled.examples, keys)
            examples = [trace.example for trace in recalled.traces if trace.example is not None]
            preferred = preferred_values(examples, keys)
            ranked = preferred_first(deeper if demanded else records, preferred)
            records = [*demanded_first(ranked, request.task, demanded)[: config.k], *recalled.traces]
        if not records:
            return Found(Bundle("", (), 0, 0), search)
        bundle = await self._bundle(request, config, records, room, frozenset(preferred))
        # Of the examples that might have been shown, those that were: the others are no part of what was found.
        found = [record for record in records if record.example is None or record in bundle.records]
        return Found(bundle, search, found, shape)

    async def _find(self, request: AnswerRequest, config: AnswerConfig) -> SearchAnswer | None:
        if not request.corpora:
            return None
        search = SearchRequest(
            query=request.task,
            corpora=config.searched(request.corpora),
            k=config.k * _DEPTH if request.use_pathway else config.k,
            filter=request.filter,
            exclude_ids=request.exclude_ids,
            use_playbook=request.use_playbook,
            model=request.model or config.model or None,
        )
        # Personal fields never reach a model: whoever may see them, a prompt may be anybody's.
        try:
            return await self._search.search(search, has_pii=False)
        except NotFound as error:
            if error.fields.get("corpus") in request.corpora or list(search.corpora) == list(request.corpora):
                raise
            raise NotFound(
                f"{error.detail}. The answer config searches it in place of another one: build it, or take that back"
                " (`lakehouse rollback`)",
                **error.fields,
            ) from None

    async def _bundle(
        self, request: AnswerRequest, config: AnswerConfig, records: Sequence[Record], room: int, kept: frozenset[str]
    ) -> Bundle:
        """What has room, by the model's own count where it can be asked, else by an estimate."""
        model = request.model or config.model or self._default_model
        budget = request.budget_tokens or config.budget_tokens
        for _ in range(_TRIES):
            bundle = build_bundle(records, request.task, budget_tokens=room, kept=kept, most_examples=config.pathway_k)
            count = await self._chat.count_prompt(model, messages_of(config.system, request.task, bundle))
            if count is None or count <= budget:
                return bundle
            if not bundle.records:
                break
            # Unusual text has more tokens than was estimated: as much less room as it has more.
            room = min(room - 1, int(bundle.tokens * (budget / count)) - (count - budget) // 2)
        raise BadInput(
            f"budget_tokens is {budget}, and the task and its instructions alone take {count}: ask for less, or raise"
            " it",
            field="budget_tokens",
        )

    async def _ask(
        self, request: AnswerRequest, config: AnswerConfig, bundle: Bundle, caller: Caller
    ) -> ChatResult | None:
        if not bundle.records and config.without_context == "abstain":
            return None
        chat = ChatRequest(
            model=request.model or config.model or self._default_model,
            messages=messages_of(config.system, request.task, bundle),
            temperature=config.temperature,
            max_tokens=request.max_tokens or config.max_tokens,
            response_format=form_of(request.validate_kind, request.validate_context, _people(bundle)),
            extras={} if request.seed is None else {"seed": request.seed},
        )
        return await self._chat.chat(chat, caller)

    async def _judge(
        self, request: AnswerRequest, bundle: Bundle, text: str, caller: Caller, *, is_said: bool
    ) -> Judged:
        kind = request.validate_kind
        if is_said:
            reason = ungrounded(
                text,
                shown=bundle.text,
                task=request.task,
                # A note vouches for nobody: anybody with a token that writes can leave one.
                ids=[record.id for record in bundle.records if not record.is_note],
                lists=self._name_lists(),
            )
            if reason is not None:
                return Judged(passed=False, error={"Consistency": {"reason": reason}}, kind=kind)
        if kind is None:
            return Judged(passed=True)
        try:
            artifact = artifact_of(kind, text, request.validate_context)
        except BadInput as misfit:
            return Judged(passed=False, error={"Schema": {"field": "answer", "reason": misfit.detail}}, kind=kind)
        verdict = await self._validate(kind, artifact, request.validate_context, caller)
        findings = [finding.as_dict() for finding in verdict.findings]
        error = None if verdict.refusal is None else verdict.refusal.tagged()
        return Judged(verdict.passed, error, findings, kind)


def _room(request: AnswerRequest, config: AnswerConfig) -> int:
    """Tokens that are left for the bundle."""
    if not request.task.strip():
        raise BadInput("task must not be blank", field="task")
    if len(request.task.encode("utf-8", "replace")) > _MAX_TASK_BYTES:
        raise BadInput(f"task has more than {_MAX_TASK_BYTES >> 10} KiB", field="task")
    budget = request.budget_tokens or config.budget_tokens
    taken = (
        estimate_tokens(config.system)
        + estimate_tokens(question_of(request.task, Bundle("", (), 0, 0)))
        + CHAT_OVERHEAD
    )
    if taken >= budget:
        raise BadInput(
            f"budget_tokens is {budget}, and the task and its instructions alone take up to {taken}; ask for less, or"
            " raise it",
            field="budget_tokens",
        )
    return budget - taken


def _people(bundle: Bundle) -> list[tuple[str, str]]:
    """Id and name of each record that was shown, the one next to the question first."""
    shown = [(record.id, record.name) for record in bundle.records if not record.is_note]
    return [(record_id, " ".join(name.split())) for record_id, name in shown if name is not None]


def _cited(record: Record, text: str) -> Citation:
    name = record.name
    is_named = name is not None and name.casefold() in text.casefold()
    is_used = is_named or re.search(rf"\bid:? {re.escape(record.id)}\b", text) is not None
    return Citation(record.id, record.corpus, is_used)
