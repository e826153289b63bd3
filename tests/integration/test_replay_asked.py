"""Runs of the past asked again as they were: filter, exclusions, validation; where that is not known, it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.evidence_index import EvidenceIndex
from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.replay_batches import Replays
from lakehouse.adapters.replay_tasks import past_tasks
from lakehouse.adapters.retracted_runs import RetractedRuns
from lakehouse.adapters.scored_days import ScoredDays
from lakehouse.replay.task import ReplayTask
from lakehouse.settings import Settings
from lakehouse_api.compose import compose_services
from tests.api import RunningApi, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.replaying import COLD, asked, fill_lake, raw_lines_of, replay_settings, rows_of
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio
RUN = RunFacts("run-of-a-test")
QUESTION = "Whom do we send to Columbus tomorrow?"
FILTER = {"and": [{"role": {"in": ["Welder", "Electrician"]}}, {"state": "OH"}]}
VALIDATE = {"kind": "email", "context": {"to": "dispatch@example.com", "subject": "Zebulon Quartermaine's shift"}}
ASKED = {"filter": FILTER, "exclude_ids": ["100"], "validate": VALIDATE, "budget_tokens": 500, "max_tokens": 40}
GOOD = "We send Aisha Khan (id 102)."
SSN = "We send Aisha Khan (id 102), SSN 219-09-9999."
OLD_DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="replays-asked")
    store_process.drop_bucket("replays-asked")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replay_settings(store, tmp_path_factory.mktemp("asked"), endpoint.url, chat_model="ollama/m")


@pytest.fixture(scope="module")
async def lake(settings: Settings, store: S3ObjectStore, endpoint: ChatEndpointServer) -> S3ObjectStore:
    """A lake in which a question was answered and judged over HTTP, with a line of an earlier program beside it."""
    endpoint.replies = [Reply(document=completion(GOOD))]
    async with running_api(settings, compose=compose_services) as api:
        await fill_lake(api)
        await _answered(api, {"task": QUESTION, **ASKED})
        await _searched(api, {"query": "A machinist for Ohio?", "filter": {"role": "CNC Machinist"}}, "103")
        await _searched(api, {"query": "A lift driver for Ohio?"}, "101")
        await _searched(api, {"query": "Anybody for Ohio?", "sql_filter": "state = 'OH'"}, "100", is_taken=False)
    _put_old(store)
    _materialize(store, settings)
    return store


async def _answered(api: RunningApi, body: dict[str, Any]) -> None:
    async with api.client() as client:
        answer = await client.post("/v1/answer", json={"corpora": ["crew"], **body})
        assert answer.status_code == 200, answer.text
        assert answer.json()["validation"]["passed"], answer.text
        assert {one["id"] for one in answer.json()["citations"]} == {"102"}
        said = {"trace_id": answer.json()["trace_id"], "answer_id": "102", "success": True, "by": "dana"}
        assert (await client.post("/v1/outcomes", json=said)).status_code == 201


async def _searched(api: RunningApi, body: dict[str, Any], right: str, *, is_taken: bool = True) -> None:
    async with api.client() as client:
        found = await client.post("/v1/matrix/search", json={"corpora": ["crew"], **body})
        if not is_taken:  # the corpus has no dataset that SQL could be asked of
            assert found.status_code == 400
            return
        assert found.status_code == 200, found.text
        said = {"trace_id": found.json()["trace_id"], "answer_id": right, "success": True, "by": "dana"}
        assert (await client.post("/v1/outcomes", json=said)).status_code == 201


def _put_old(store: S3ObjectStore) -> None:
    """A line as programs before this one wrote it."""
    at = f"{OLD_DAY}T10:00:00.000000Z"
    call = {
        "run_id": "old", "recorded_at": at, "status": "ok", "provider": "ollama", "provider_model": "m",
        "messages": [{"role": "user", "content": "Who drove in March?"}], "content": GOOD, "finish_reason": "stop",
        "task": "Who drove in March?",
        "retrieved_context": {"corpora": ["crew"], "shown": [{"corpus": "crew", "id": "102"}]},
    }  # fmt: skip
    word = {"run_id": "word", "recorded_at": at, "outcome_of": "old", "answer_id": "102", "score": 1.0, "actor": "dana"}
    for stream, line in (("chat_calls", call), ("outcomes", word)):
        store.put(f"raw/{stream}/dt={OLD_DAY}/old.jsonl", orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _materialize(store: S3ObjectStore, settings: Settings) -> None:
    folder = settings.data_dir / "work"
    made = EvidenceMaterializer(store, work_dir=folder)
    for stream in ("chat_calls", "searches", "validations", "outcomes"):
        list(made.materialize(stream, list(made.behind(stream)), RUN))
    EvidenceIndex(store, store.location, work_dir=folder).refresh()
    ScoredDays(store, store.location, work_dir=folder).score(RUN)


def _tasks(lake: S3ObjectStore, settings: Settings) -> dict[str, ReplayTask]:
    found = past_tasks(lake, lake.location, work_dir=settings.data_dir / "work", most=100)
    return {task.question: task for task in found}


async def test_answer_is_asked_again_with_its_filter_and_validated_again(
    lake: S3ObjectStore, settings: Settings, endpoint: ChatEndpointServer
) -> None:
    task = _tasks(lake, settings)[QUESTION]
    assert {name: value for name, value in task.to_document().items() if name in ASKED} == ASKED
    assert (task.as_asked, task.expected) == (True, {"ids": ["102"]})
    replays = Replays(settings, lake)
    everybody = replace(task, task_id="open", filter=None, exclude_ids=(), validate_kind=None, as_asked=None)
    endpoint.replies = [Reply(document=completion(text)) for text in (GOOD, SSN, GOOD, GOOD)]
    other = replace(COLD, name="again")
    rows = rows_of(replays, await replays.begin(asked([task, everybody], COLD, other, batch_id="as-asked")))
    assert [[one["id"] for one in row["retrieved"]] for row in rows[:2]] == [["102"], ["102"]]  # filter, exclusion
    assert len(rows[2]["retrieved"]) == 3
    assert [row["validation"]["passed"] for row in rows] == [True, False, True, True]
    assert "Policy" in rows[1]["validation"]["error"]  # the validation ran: nothing else would mind
    assert [row["match"]["exact"] for row in rows[:2]] == [True, False]
    assert [row["as_asked"] for row in rows] == [True, True, None, None]
    assert [request["max_tokens"] for request in endpoint.requests[-4:-2]] == [40, 40]


async def test_searches_are_asked_again_with_their_filters(lake: S3ObjectStore, settings: Settings) -> None:
    tasks = _tasks(lake, settings)
    filtered, plain = tasks["A machinist for Ohio?"], tasks["A lift driver for Ohio?"]
    assert (filtered.filter, filtered.as_asked) == ({"role": "CNC Machinist"}, True)
    assert (plain.filter, plain.as_asked) == (None, True)


async def test_line_of_before_is_asked_without_and_the_verdict_says_so(
    lake: S3ObjectStore, settings: Settings, endpoint: ChatEndpointServer
) -> None:
    old = _tasks(lake, settings)["Who drove in March?"]
    assert (old.filter, old.validate_kind, old.as_asked) == (None, None, False)
    endpoint.replies = [Reply(document=completion(GOOD))]
    replays = Replays(settings, lake)
    done = await replays.begin(asked([old], COLD, replace(COLD, name="again"), batch_id="old-line"))
    assert {row["as_asked"] for row in rows_of(replays, done)} == {False}
    assert done.verdict is not None
    assert done.verdict["not_as_asked"] == 1
    text = lake.get("replay/old-line/verdict.md").body.decode()
    assert "1 of 1 task repeats runs whose lines do not hold what they were asked with" in text
    assert "lines do not hold" not in lake.get("replay/as-asked/verdict.md").body.decode()


async def test_what_was_asked_is_found_by_whoever_retracts_a_subject(lake: S3ObjectStore, settings: Settings) -> None:
    """Her name stands in the validation's context alone."""
    (line,) = [one for one in raw_lines_of(lake) if one["stream"] == "chat_calls" and one["task"] == QUESTION]
    assert "Quartermaine" not in orjson.dumps(line["messages"]).decode()
    retracted = RetractedRuns(lake, lake.location, work_dir=settings.data_dir / "work")
    assert line["run_id"] in retracted.of("Zebulon Quartermaine")


async def test_runs_of_earlier_programs_stay_in_the_view(
    lake: S3ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    """Their files have no column `as_asked`."""
    for batch, is_rewritten in (("old-line", True), ("as-asked", False)):
        key = f"replay/{batch}/runs.parquet"
        table = pq.read_table(pa.BufferReader(lake.get(key).body))
        assert "as_asked" in table.column_names
        if is_rewritten:
            pq.write_table(table.drop_columns(["as_asked"]), tmp_path / "runs.parquet")
            lake.put(key, (tmp_path / "runs.parquet").read_bytes())
    sql = (
        "SELECT batch_id, count(*), count(as_asked), any_value(retrieved[1].id) FROM replay_runs GROUP BY 1 ORDER BY 1"
    )
    async with running_api(settings) as api, api.client() as client:
        answer = await client.post("/v1/sql", json={"sql": sql})
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == [["as-asked", 4, 2, "102"], ["old-line", 2, 0, answer.json()["rows"][1][3]]]
