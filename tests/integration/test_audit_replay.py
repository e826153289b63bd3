"""The last phase of an audit on a real lake: past tasks of evidence are replayed; what cannot be answered fails it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import orjson
import pytest

from lakehouse.adapters.audit_full import FullAuditor
from lakehouse.adapters.audit_full_parts import AuditParts
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.replay_store import ReplayStore
from lakehouse.audit.contract import ApiAddress
from lakehouse.audit.report import FullReport
from lakehouse.errors import BadInput
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.settings import Settings
from lakehouse_assets.resources import LakeStore
from tests.api import api_environ, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.replaying import fill_lake, replay_settings
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio
DAY = "2026-03-01"
ENVELOPE = {"format_version": 1, "recorded_at": f"{DAY}T10:00:00.000000Z"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
async def store(
    store_process: StoreServer, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> S3ObjectStore:
    """A lake with a corpus, memory, and a day of searches of which outcomes name the right answers."""
    made = store_process.objects(bucket="audit-replay")
    async with running_api(replay_settings(made, tmp_path_factory.mktemp("api"), endpoint.url)) as running:
        await fill_lake(running)
    for stream, lines in (
        ("searches", [*map(search, range(2)), search(2, corpus="gone")]),
        ("outcomes", map(word, range(3))),
    ):
        made.put(f"raw/{stream}/dt={DAY}/a.jsonl", b"".join(lines))
    ConfigStore(made).publish("answer", {"max_tokens": 4, "budget_tokens": 200}, by="test")
    return made


def search(number: int, corpus: str = "crew") -> bytes:
    roles = ("electrician", "forklift operator", "welder", "machinist")
    line = {
        "run_id": f"search-{number}", **ENVELOPE, "query": f"Who is a {roles[number]} in Ohio?", "corpora": [corpus],
        "mode": "vector", "k": 10, "hits": 1, "kept": 1, "dropped": 0,
        "results": [{"id": str(100 + number), "corpus": corpus, "score": 0.9, "playbook_ids": []}], "latency_ms": 1.0,
    }  # fmt: skip
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def word(number: int) -> bytes:
    line = {
        "run_id": f"outcome-{number}", **ENVELOPE, "outcome_of": f"search-{number}", "answer_id": str(100 + number),
        "score": 1.0, "reported_by": "dana", "credited": [],
    }  # fmt: skip
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def parts_of(store: S3ObjectStore, settings: Settings, folder: Path) -> AuditParts:
    lake = LakeStore(environ=api_environ(store, folder)).lake
    return AuditParts(
        settings=settings, store=store, location=store.location, work_dir=folder / "work", materializer=lake.evidence,
        index=lake.evidence_index, scored=lake.scored, exports=lake.exports, run=RunFacts("run-of-an-audit"),
        api=ApiAddress("http://127.0.0.1:9", None),
    )  # fmt: skip


async def audited(parts: AuditParts) -> FullReport:
    return await anyio.to_thread.run_sync(FullAuditor(parts).audit, (2, 3, 7))


async def test_past_tasks_run_again_and_the_embedded_model_repeats_itself(store: S3ObjectStore, tmp_path: Path) -> None:
    settings = replay_settings(store, tmp_path / "data", "http://127.0.0.1:9")
    report = await audited(parts_of(store, settings, tmp_path))
    phase = report.phases[7]
    assert {one.name: one.verdict for one in phase.checks} == {
        "past tasks run again": "pass", "the same input gives the same answer": "pass",
    }, report.to_markdown()  # fmt: skip
    assert report.metrics["replay.rows"] == 4  # the corpus of the third task is gone
    assert 0 <= report.metrics["replay.memory_exact_share"] <= 1
    assert report.metrics["replay.cold_latency_ms"] > 0
    [whole, again] = [ReplayStore(store).read(batch) for batch in sorted(ReplayStore(store).batches())][-2:]
    assert (whole.by, whole.tasks, again.tasks, again.cut) == ("audit", 2, 1, whole.cut)


async def test_provider_that_fails_fails_the_phase(
    store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path: Path
) -> None:
    endpoint.replies = [Reply(document=completion("It is Maria Lopez (id 100).")), Reply(status=500, document={})]
    settings = replay_settings(store, tmp_path / "data", endpoint.url, chat_model="ollama/m")
    report = await audited(parts_of(store, settings, tmp_path))
    assert [one.name for one in report.phases[7].checks if one.verdict == "fail"] == ["past tasks run again"]
    assert "the replay stopped" in report.to_markdown()
    assert not report.is_sound


async def test_lake_without_past_tasks_skips_the_phase(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = replay_settings(objects, tmp_path / "data", "http://127.0.0.1:9")
    report = await audited(parts_of(objects, settings, tmp_path))
    assert report.phases[7].verdict == "skip"
    assert "no task whose right answer is known" in report.to_markdown()


async def test_number_of_no_phase_is_refused(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = replay_settings(objects, tmp_path / "data", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match="no phase 8; there are 0 to 7"):
        FullAuditor(replace(parts_of(objects, settings, tmp_path))).audit([8])
