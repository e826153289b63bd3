"""A judge over a batch: asked about each pair twice, in both orders; what it said is kept at once.

`replay/<batch_id>/judge/<model>/<task_id's hash>.json` holds what was said of a pair, so that a judge that was cut off
goes on, and no pair is paid twice; `judge.json` holds the counts. The verdict is then made anew with them.

Belongs here: asking, keeping. Not here: pairs, reading and counting (see lakehouse/replay/judge.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.adapters.replay_loop import replay_chat
from lakehouse.adapters.replay_store import JSON, JUDGE, ReplayStore
from lakehouse.chat.call_log import Caller
from lakehouse.chat.request import ChatRequest
from lakehouse.errors import BadInput, NotFound
from lakehouse.replay.batch import Batch, key_of
from lakehouse.replay.judge import FORM, Choice, JudgeReport, Pair, judge_report, messages, pairs_of, read_choice
from lakehouse.scoring.lineage import lineage_of

if TYPE_CHECKING:
    from lakehouse.adapters.replay_batches import Replays
    from lakehouse.chat.service import ChatService

_MAX_TOKENS = 24
_Said = tuple[Pair, Choice | None, Choice | None]


async def judge(replays: Replays, batch_id: str, *, model: str, measure: str = "exact") -> dict[str, Any]:
    """Ask a model about every pair of a batch that has ended, and make its verdict anew.

    Args:
        replays: Of the bucket.
        batch_id: The batch.
        model: The judge.
        measure: By what the better of two answers is known, where the right one is.

    Returns:
        What is kept: `model, candidate, baseline, is_same_lineage, pairs, counts, facts`.

    Raises:
        BadInput: The batch has no pair, or has not ended.
        NotFound: There is no such batch or model.
        ProviderFailed, TimedOut, Unavailable: The judge does not answer; what it said is kept, ask again.
    """
    store = replays.store
    batch = await asyncio.to_thread(store.read, batch_id)
    tasks = await asyncio.to_thread(store.tasks, batch)
    if len(await asyncio.to_thread(store.done, batch_id)) < batch.tasks * len(batch.arms):
        known = await asyncio.to_thread(store.document, batch_id, "verdict.json")
        if known is None:
            raise BadInput(f"batch {batch_id!r} has not ended; go on with it: lakehouse replay resume {batch_id}")
    rows = await asyncio.to_thread(lambda: list(store.rows(batch)))
    pairs = pairs_of(rows, candidate=batch.candidate, baseline=batch.baseline, measure=measure)
    if not pairs:
        raise BadInput(f"no task of batch {batch_id!r} was answered by both arms in different words")
    judged = {row["model"] for row in rows if row["model"]}
    chat = replay_chat(replays.settings)
    try:
        said = [await _asked(store, chat, batch, pair, model=model, seed=batch.seed) for pair in pairs]
    finally:
        await chat.close()
    document = _document(batch, model, judge_report(said), judged)
    await asyncio.to_thread(store.write, batch_id, JUDGE, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    await asyncio.to_thread(replays.decide, batch, tasks)
    return document


async def _asked(store: ReplayStore, chat: ChatService, batch: Batch, pair: Pair, *, model: str, seed: int) -> _Said:
    name = hashlib.sha256(orjson.dumps([model, pair.task_id, pair.candidate, pair.baseline])).hexdigest()[:32]
    key = key_of(batch.batch_id, f"judge/{name}.json")
    try:
        kept = orjson.loads((await asyncio.to_thread(store.objects.get, key)).body)
    except NotFound:
        kept = {"straight": await _answer(chat, messages(pair, is_swapped=False), model, seed),
                "swapped": await _answer(chat, messages(pair, is_swapped=True), model, seed)}  # fmt: skip
        body = orjson.dumps({"format_version": 1, "task_id": pair.task_id, "model": model, **kept})
        await asyncio.to_thread(lambda: store.objects.put(key, body, content_type=JSON))
    return pair, read_choice(kept["straight"]), read_choice(kept["swapped"])


async def _answer(chat: ChatService, asked: Sequence[dict[str, str]], model: str, seed: int) -> str:
    request = ChatRequest(
        model=model,
        messages=asked,
        temperature=0.0,
        max_tokens=_MAX_TOKENS,
        response_format=FORM,
        role="reviewer",
        extras={"seed": seed},
    )
    return (await chat.chat(request, Caller("replay"))).answer.content


def _document(batch: Batch, model: str, report: JudgeReport, judged: set[str]) -> dict[str, Any]:
    lineages = {lineage_of(one) for one in judged}
    return {
        "format_version": 1,
        "model": model,
        "candidate": batch.candidate,
        "baseline": batch.baseline,
        "is_same_lineage": lineage_of(model) in lineages,
        "pairs": sum(report.counts.values()),
        **asdict(report),
        "facts": report.facts(),
    }
