"""Fold-back: a run that went well, or did not, changes the next search without anybody calling an endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.fold_back import FoldBack
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.answer.bundle import Record, build_bundle
from lakehouse.answer.example import example_of
from lakehouse.answer.prompt import messages_of
from lakehouse.catalog.partitioned import PartitionFile
from lakehouse.client import Client
from lakehouse.distillation.fold_back import FoldEntry, content_of
from lakehouse.pathway.shape import shape_of, shape_tag
from lakehouse_assets.fold_back import fold_back
from lakehouse_assets.resources import LakeStore
from tests.api import TOKEN, ApiProcess, api_process
from tests.dagster_lake import lake_store

TODAY, TOMORROW = date(2026, 3, 1), date(2026, 3, 2)
TASK = "who can weld stainless steel pipes at night"
WORKERS = [
    {"id": "w-1", "text": "welds stainless steel pipes, any hour, night shifts preferred"},
    {"id": "w-2", "text": "welds steel pipes at night"},
    {"id": "w-7", "text": "a cook who bakes bread"},
]
RUN = RunFacts("run-of-a-test")


@pytest.fixture
def api(objects: S3ObjectStore, tmp_path: Path) -> Iterator[ApiProcess]:
    with api_process(objects, tmp_path / "api") as running:
        yield running


@pytest.fixture
def client(api: ApiProcess) -> Iterator[Client]:
    with Client(api.url, TOKEN) as made:
        made.vectors.create_index("crew", dimension=256, distance="cosine", embedder="static")
        made.vectors.upsert("crew", WORKERS)
        yield made


@pytest.fixture
def store(objects: S3ObjectStore, api: ApiProcess, tmp_path: Path) -> LakeStore:
    return lake_store(objects, tmp_path / "lake", LAKEHOUSE_API_PORT=str(api.port), AUTH_TOKEN=TOKEN)


def answered(run_id: str, answer: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "recorded_at": f"{TODAY}T10:00:00.000000Z",
        "status": "ok",
        "role": "executor",
        "messages": [{"role": "user", "content": TASK}],
        "content": answer,
        "finish_reason": "stop",
        "task": TASK,
        "retrieved_context": {
            "corpora": ["crew"],
            "hits": 3,
            "kept": 3,
            "dropped": 0,
            "playbook_ids": [],
            "pathway_ids": [],
            "shown": [{"corpus": "crew", "id": worker["id"]} for worker in WORKERS],
        },
    }


def outcome(of: str, score: float, *, answer_id: str | None = None, hour: int = 12) -> dict[str, Any]:
    return {
        "run_id": f"outcome-{of}-{hour}",
        "recorded_at": f"{TOMORROW}T{hour}:00:00.000000Z",
        "actor": "desk",
        "outcome_of": of,
        "score": score,
        "answer_id": answer_id,
    }


def log(objects: S3ObjectStore, stream: str, day: date, *lines: dict[str, Any], part: str = "a") -> None:
    body = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    objects.put(f"raw/{stream}/dt={day}/{part}.jsonl", body)


def bring_up_to_date(store: LakeStore) -> None:
    for stream in ("chat_calls", "outcomes"):
        list(store.lake.evidence.materialize(stream, [TODAY, TOMORROW], RUN))
    store.lake.evidence_index.refresh()
    store.lake.scored.score(RUN)


def fold(store: LakeStore) -> dict[str, Any]:
    result = dg.materialize([fold_back], resources={"store": store})
    assert result.success
    [event] = result.asset_materializations_for_node("fold_back")
    return {name: value.value for name, value in event.metadata.items()}


def first(client: Client) -> str:
    found = client.search(TASK, ["crew"], k=3, use_playbook=True)
    return str(found["results"][0]["id"])


def test_accepted_run_of_today_lifts_its_answer_tomorrow(
    store: LakeStore, objects: S3ObjectStore, client: Client
) -> None:
    assert first(client) != "w-7"
    log(objects, "chat_calls", TODAY, answered("good", "Ask w-7: certified last week."))
    log(objects, "outcomes", TOMORROW, outcome("good", 1.0, answer_id="w-7"))
    bring_up_to_date(store)
    assert fold(store) == {"put": 2, "refused": 0, "withdrawn": 0, "holds": 2, "dry_run": False}
    assert first(client) == "w-7"
    [trace] = client.pathway.search("weld pipes at night")
    assert trace["content"] == {"task": TASK, "answer": "Ask w-7: certified last week."}
    assert "run:good" in trace["tags"]
    assert fold(store)["put"] == 0  # again: nothing


def test_run_that_is_judged_otherwise_later_is_withdrawn(
    store: LakeStore, objects: S3ObjectStore, client: Client
) -> None:
    log(objects, "chat_calls", TODAY, answered("good", "Ask w-7: certified last week."))
    log(objects, "outcomes", TOMORROW, outcome("good", 1.0))
    bring_up_to_date(store)
    assert fold(store)["put"] == 2  # the answer names w-7 by its id
    assert first(client) == "w-7"
    log(objects, "outcomes", TOMORROW, outcome("good", -1.0, hour=15), part="later")
    bring_up_to_date(store)
    assert fold(store)["withdrawn"] == 2
    assert first(client) != "w-7"
    assert client.pathway.search("weld pipes at night") == []


def test_answer_that_failed_sinks_and_a_dry_run_changes_nothing(
    store: LakeStore, objects: S3ObjectStore, client: Client
) -> None:
    best = first(client)
    log(objects, "chat_calls", TODAY, answered("bad", f"Ask {best}."))
    log(objects, "outcomes", TOMORROW, outcome("bad", -1.0, answer_id=best))
    bring_up_to_date(store)
    with store.lake.memory() as memory:
        report = store.lake.fold_back.run(memory, RUN, is_dry=True)
    assert (report.put, report.is_dry) == (1, True)
    assert first(client) == best
    assert fold(store)["put"] == 1
    assert first(client) != best


def test_memory_that_cannot_be_reached_is_told_and_the_next_run_puts_it(
    store: LakeStore, objects: S3ObjectStore, api: ApiProcess, client: Client
) -> None:
    log(objects, "chat_calls", TODAY, answered("good", "Ask w-7."))
    log(objects, "outcomes", TOMORROW, outcome("good", 1.0, answer_id="w-7"))
    bring_up_to_date(store)
    port = api.port
    api.stop()
    result = dg.materialize([fold_back], resources={"store": store}, raise_on_error=False)
    assert not result.success
    api.start(port=port)
    assert fold(store)["put"] == 2
    assert first(client) == "w-7"


def test_fold_back_that_was_killed_owns_what_it_had_put(
    store: LakeStore, objects: S3ObjectStore, client: Client
) -> None:
    log(objects, "chat_calls", TODAY, answered("good", "Ask w-7: certified last week."))
    log(objects, "outcomes", TOMORROW, outcome("good", 1.0))
    bring_up_to_date(store)

    def killed(*_: object) -> PartitionFile:
        raise KeyboardInterrupt

    victim = FoldBack(objects, objects.location, work_dir=store.lake.work_dir)
    victim._keep = killed  # type: ignore[method-assign]
    with store.lake.memory() as memory, pytest.raises(KeyboardInterrupt):
        victim.run(memory, RUN)
    assert client.pathway.search("weld pipes at night") != []
    assert fold(store)["put"] == 2
    log(objects, "outcomes", TOMORROW, outcome("good", -1.0, hour=15), part="later")
    bring_up_to_date(store)
    assert fold(store)["withdrawn"] == 2
    assert client.pathway.search("weld pipes at night") == []


def test_trace_of_two_runs_outlives_either_of_them(store: LakeStore, objects: S3ObjectStore, client: Client) -> None:
    runs = ("one", "two")
    log(objects, "chat_calls", TODAY, *(answered(run, "Ask w-7: certified last week.") for run in runs))
    log(objects, "outcomes", TOMORROW, *(outcome(run, 1.0) for run in runs))
    bring_up_to_date(store)
    assert fold(store)["put"] == 4
    for hour, run in enumerate(sorted(runs, key=lambda run: FoldEntry("pathway", run, TASK, 1.0).entry_id), start=15):
        assert len(client.pathway.search("weld pipes at night")) == 1
        log(objects, "outcomes", TOMORROW, outcome(run, -1.0, hour=hour), part=f"later-{run}")
        bring_up_to_date(store)
        assert fold(store)["withdrawn"] == 2
        assert all(f"run:{run}" not in trace["tags"] for trace in client.pathway.search("weld pipes at night"))
    assert client.pathway.search("weld pipes at night") == []


def test_memory_forgets_what_clients_wrote_themselves(store: LakeStore, client: Client) -> None:
    trace = client.pathway.add({"task": TASK, "answer": "Ask Zorblatt Quixani."})
    record = client.playbook.record(TASK, "w-7", answer_corpus="crew", score=1.0)
    spoken = {"pathways": [str(trace["uid"]), "gone"], "playbooks": [record["playbook_id"], "gone"]}
    with store.lake.memory() as memory:
        assert memory.forget(spoken) == 2
        assert memory.forget(spoken) == 0
    assert client.pathway.search("weld pipes at night") == []
    assert client.pathway.get(str(trace["uid"]))["retired"]
    assert client.playbook.list()["playbooks"] == []


class Notebook:
    """A memory that takes everything, and is asked what it was given."""

    def __init__(self) -> None:
        self.added: list[FoldEntry] = []

    def record(self, entries: Sequence[FoldEntry]) -> list[str | None]:
        return [entry.entry_id for entry in entries]

    def add(self, entry: FoldEntry, *, since: datetime) -> tuple[str, bool]:
        self.added.append(entry)
        return f"trace-{len(self.added)}", True

    def retire(self, uid: str, reason: str) -> None:
        raise AssertionError(f"nothing is withdrawn here: {uid}, {reason}")


def test_accepted_answer_is_remembered_as_a_worked_example_of_its_shape(objects: S3ObjectStore, tmp_path: Path) -> None:
    lake = lake_store(objects, tmp_path / "lake")
    fields = {"role": "Welder", "city": "Toledo"}
    task, shape = "Which welder is in Toledo?", shape_of("Which welder is in Toledo?", [fields])
    bundle = build_bundle([Record("crew", "w-7", {"name": "Ann Lee", **fields})], task, budget_tokens=200)
    line = answered("good", "Ann Lee (id w-7).") | {"task": task, "messages": messages_of("Be brief.", task, bundle)}
    line["retrieved_context"] |= {"shape": shape}
    log(objects, "chat_calls", TODAY, line)
    log(objects, "outcomes", TOMORROW, outcome("good", 1.0))
    bring_up_to_date(lake)
    memory = Notebook()
    assert lake.lake.fold_back.run(memory, RUN).put == 2
    [entry] = memory.added
    example = example_of(content_of(entry))
    assert example is not None
    assert (example.task, example.records, example.shape) == (task, bundle.text, "which <role> is in <city>")
    assert shape_tag(shape) in entry.tags
    assert lake.lake.fold_back.run(memory, RUN).put == 0  # again: nothing
