"""A lake for tests of drift: chat calls, outcomes and searches of some days, some of which are not as the others."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from lakehouse.adapters.drift_desk import DriftDesk
from lakehouse.adapters.drift_reports import DriftReports
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_assets.resources import LakeStore

FIRST = date(2026, 3, 1)
RUN = RunFacts("run-of-a-test")
STREAMS = ("chat_calls", "outcomes", "searches", "reviews")
RUNS_A_DAY = 100
GOOD = {"success": 0.9, "latency_ms": 300.0, "cost_usd": 0.001, "tokens": 200}
BAD = {"success": 0.35, "latency_ms": 900.0, "cost_usd": 0.001, "tokens": 20}


def day(number: int) -> date:
    """A day, from 1."""
    return FIRST + timedelta(days=number - 1)


def put_day(objects: S3ObjectStore, number: int, *, model: str = "bot-0314", **behaves: float) -> None:
    """Chat calls of a day with an outcome each, and searches of both arms."""
    chance = random.Random(f"{number}{model}")
    of, given = day(number), GOOD | behaves
    calls, outcomes, searches = [], [], []
    for at in range(RUNS_A_DAY):
        run_id = f"{model}-{number}-{at}"
        moment = datetime(of.year, of.month, of.day, 8, tzinfo=UTC) + timedelta(seconds=at)
        calls.append(call(run_id, moment, model=model, chance=chance, behaves=given))
        score = 1.0 if chance.random() < given["success"] else -1.0
        outcomes.append(outcome(run_id, moment, score, arm="playbook" if at % 2 else "holdout"))
        searches.append(search(f"s-{run_id}", moment, is_moved=chance.random() < given.get("hits", 0.8)))
    for stream, lines in (("chat_calls", calls), ("outcomes", outcomes), ("searches", searches)):
        put(objects, stream, number, lines, part=model)


def call(run_id: str, moment: datetime, *, model: str, chance: random.Random, behaves: Mapping[str, float]) -> bytes:
    tokens = max(1, round(behaves["tokens"] * chance.uniform(0.6, 1.4)))
    return line(
        run_id, moment, status="ok", role="executor", model=model, provider="test", provider_model=model,
        messages=[{"role": "user", "content": "Who can weld?"}], content="Ana Ruiz can. " * max(1, tokens // 4),
        finish_reason="stop", completion_tokens=tokens, prompt_tokens=10,
        latency_ms=round(behaves["latency_ms"] * chance.uniform(0.7, 1.3), 1), cost_usd=behaves["cost_usd"],
    )  # fmt: skip


def outcome(of: str, moment: datetime, score: float, *, arm: str = "playbook", name: str = "o") -> bytes:
    return line(f"{name}-{of}", moment, outcome_of=of, score=score, actor="ops", arm=arm)


def search(run_id: str, moment: datetime, *, is_moved: bool) -> bytes:
    results = [{"id": "1", "corpus": "workers", "score": 1.0, "playbook_ids": ["p1"] if is_moved else []}]
    return line(run_id, moment, query="welder", corpora=["workers"], arm="playbook", results=results, latency_ms=1.0)


def line(run_id: str, moment: datetime, **fields: Any) -> bytes:
    at = f"{moment:%Y-%m-%dT%H:%M:%S}.000000Z"
    return orjson.dumps({"run_id": run_id, "recorded_at": at, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def put(objects: S3ObjectStore, stream: str, number: int, lines: Sequence[bytes], *, part: str) -> None:
    objects.put(f"raw/{stream}/dt={day(number)}/{part}.jsonl", b"".join(lines))


def bring_up_to_date(store: LakeStore, *, streams: Sequence[str] = STREAMS) -> None:
    """Evidence, index and scores of all raw lines there are."""
    lake = store.lake
    for stream in streams:
        list(lake.evidence.materialize(stream, sorted(lake.evidence.behind(stream)), RUN))
    lake.evidence_index.refresh()
    lake.scored.score(RUN)


def desk(store: LakeStore, folder: Path, *, today: int, is_drawn: bool = False) -> DriftDesk:
    """The desk as it is on a day; charts are drawn for those who look at them, for that takes its time."""
    of = day(today)
    objects = store.lake.objects
    reports = DriftReports(objects) if is_drawn else DriftReports(objects, draw=orjson.dumps)
    return DriftDesk(
        objects, store.lake.read_location, store.lake.tables, work_dir=folder / "drift", reports=reports,
        clock=lambda: datetime(of.year, of.month, of.day, 5, tzinfo=UTC),
    )  # fmt: skip
