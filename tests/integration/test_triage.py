"""Triage end to end on a real store: what asks, decisions over HTTP, an edit that becomes a pair."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import anyio
import dagster as dg
import httpx
import orjson
import pytest
from click.testing import Result
from typer.testing import CliRunner

from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.adapters.evidence_lake import add_relations, open_lake
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.review_store import ReviewStore
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.client import Client, LakehouseApiError
from lakehouse.clock import new_id
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.errors import Unavailable
from lakehouse.storage.objects import list_all
from lakehouse_api.app import create_app
from lakehouse_api.compose import compose_services
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.triage import triage
from lakehouse_cli.main import app
from tests.api import TOKEN, RunningApi, api_settings, running_api, serving
from tests.dagster_lake import lake_environ, lake_store
from tests.servers import StoreServer
from tests.tokens import write_tokens_file
from tests.unit.test_review import ANALYSIS, BLOCK, made

pytestmark = pytest.mark.anyio
DAY = date(2026, 3, 1)
RUN = RunFacts("run-of-a-test")
STREAMS = ("chat_calls", "reviews", "validations")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def line(**fields: Any) -> bytes:
    return orjson.dumps({"recorded_at": f"{DAY}T10:00:00.000000Z", **fields}, option=orjson.OPT_APPEND_NEWLINE)


def call(run_id: str, asked: str, answered: str, **fields: Any) -> bytes:
    return line(
        run_id=run_id, task_id=f"task-{run_id}", trace_id=f"trace-{run_id}", status="ok", role="executor",
        model="smollm2-135m-instruct", provider="embedded", messages=[{"role": "user", "content": asked}],
        content=answered, finish_reason="stop", **fields,
    )  # fmt: skip


def judged(of: str, verdict: str, model: str) -> bytes:
    return line(run_id=f"j-{of}-{model}", review_of=of, by=model, is_human=False, verdict=verdict, model=model)


@dataclass
class Lake:
    store: LakeStore
    environ: dict[str, str]
    folder: Path

    @property
    def objects(self) -> S3ObjectStore:
        return self.store.lake.objects

    def bring_up_to_date(self) -> None:
        for stream in STREAMS:
            days = sorted({date.fromisoformat(name[3:]) for name in self.objects.folders(f"raw/{stream}/")})
            list(self.store.lake.evidence.materialize(stream, days, RUN))
        self.store.lake.evidence_index.refresh()
        self.store.lake.scored.score(RUN)

    def command(self, *arguments: str) -> Result:
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(app, ["triage", *arguments], env=self.environ)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        lake = self.store.lake
        with open_lake(lake.read_location, self.folder) as engine:
            scored = PartitionedTable(lake.objects, "scored").read()
            add_relations(engine, lake.objects.bucket, lake.evidence_index.read(), scored)
            return engine.execute(sql).fetchall()


@pytest.fixture(scope="module")
def lake(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A day with a run of each kind that asks, one that asks nobody, a disputed review, a sample that was refused."""
    folder = tmp_path_factory.mktemp("triage")
    objects = store_process.objects(bucket="triage")
    objects.ensure_bucket()
    calls = [
        call("draft", "Who can start on Monday in Toledo?", "Nobody can start on Monday, try another week."),
        call("disputed", "Who holds OSHA-30 in Dayton?", "Three people hold it: see the list of the office."),
        call("conflict", "Write to the welder in Akron.", "Dear all, the shift in Akron begins at seven."),
        call("quiet", "Who drives a forklift in Lima?", "Two people drive one, both are free this week."),
        call("personal", "Who works nights in Parma?", "Two people work nights there, ask the desk for names."),
    ]
    calls[4] = calls[4].replace(b'"task_id":"task-personal"', b'"task_id":"ana.ruiz@example.com"')
    words = [
        judged("draft", "cycle", "gpt-4o"), judged("disputed", "accept", "gpt-4o"),
        judged("disputed", "reject", "kimi-k2"), judged("conflict", "reject", "gpt-4o"),
        judged("quiet", "accept", "gpt-4o"), judged("personal", "accept", "gpt-4o"),
    ]  # fmt: skip
    passed = line(run_id="v-conflict", trace_id="trace-conflict", kind="email", passed=True)
    for stream, lines in zip(STREAMS, (calls, words, [passed]), strict=True):
        objects.put(f"raw/{stream}/dt={DAY}/a.jsonl", b"".join(lines))
    review = made(("gpt-4o", f"{ANALYSIS}VERDICT: accept"), ("kimi-k2", BLOCK))
    ReviewStore(objects).keep(replace(review, review_id=new_id()), {})
    environ = {"HOME": str(folder), "COLUMNS": "200", **lake_environ(objects, folder / "data")}
    made_lake = Lake(lake_store(objects, folder / "data"), environ, folder)
    made_lake.bring_up_to_date()
    made_lake.store.lake.exports.export(CorpusParameters("sft"), RUN)
    yield made_lake
    store_process.drop_bucket("triage")


@pytest.fixture(scope="module")
def filled(lake: Lake) -> Lake:
    done = lake.command("fill")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "added 1 needs_review, 2 reviewer_disagreement, 1 suspected_pii, 1 validator_conflict"
    )
    again = lake.command("fill", "--json")
    assert (json.loads(again.stdout)["added"], json.loads(again.stdout)["known"]) == ({}, 5)
    [receipt] = [info.key for info in list_all(lake.objects, "receipts/triage/")]
    counts = json.loads(lake.objects.get(receipt).body)["counts"]
    assert (counts["in"], counts["new"], counts["out"]) == (5, 5, 5)
    return lake


@pytest.fixture(scope="module")
async def api(filled: Lake) -> AsyncIterator[RunningApi]:
    """The API with its real event log."""
    folder = filled.folder / "api"
    folder.mkdir()
    tokens = write_tokens_file(folder / "t.json", dana=["read", "write", "pii"], bo=["read", "write"], eve=["read"])
    settings = api_settings(filled.objects, folder / "data", tokens_file=tokens)
    async with running_api(settings, compose=compose_services) as running:
        yield running


@pytest.fixture
async def items(api: RunningApi) -> dict[str, Any]:
    async with api.client() as client:
        listed = [(await client.get("/v1/triage", params=q)).json()["items"] for q in ({}, {"state": "decided"})]
    return {one["of"]: one for page in listed for one in page}


async def decide(api: RunningApi, who: str, item: dict[str, Any], **body: Any) -> httpx.Response:
    async with api.client(token=who) as client:
        given = {"version": item["version"], **body}
        return await client.post(f"/v1/triage/{item['item_id']}/decision", json=given)


async def test_queue_is_listed_by_urgency_and_filtered(api: RunningApi) -> None:
    async with api.client(token="eve") as client:
        page = (await client.get("/v1/triage", params={"limit": 2})).json()
        rest = (await client.get("/v1/triage", params={"after": page["next"]})).json()
        kinds = [one["kind"] for one in page["items"] + rest["items"]]
        assert kinds[:2] == ["suspected_pii", "validator_conflict"]
        assert sorted(kinds[2:]) == ["needs_review", "reviewer_disagreement", "reviewer_disagreement"]
        assert (page["open"], page["assigned"], rest["next"]) == (5, 0, None)
        only = (await client.get("/v1/triage", params={"kind": "needs_review", "state": "open"})).json()
        assert [one["of"] for one in only["items"]] == ["draft"]
        assert only["items"][0]["reasons"][0] == "a judge wants it done again"
        for bad in ({"state": "x"}, {"limit": 0}, {"after": "x"}, {"kind": "x"}):
            assert (await client.get("/v1/triage", params=bad)).status_code == 400


async def test_context_is_read_where_it_lies_and_needs_pii(api: RunningApi, items: dict[str, Any]) -> None:
    async with api.client(token="dana") as client:
        run = (await client.get(f"/v1/triage/{items['draft']['item_id']}")).json()
        assert run["context"]["run"]["output_text"] == "Nobody can start on Monday, try another week."
        assert [word["observer"]["verdict"] for word in run["context"]["words"]] == ["cycle"]
        of_diff = next(one for of, one in items.items() if of.startswith("diff:"))
        review = (await client.get(f"/v1/triage/{of_diff['item_id']}")).json()["context"]["review"]
        assert [one["verdict"] for one in review["answers"]] == ["accept", "reject"]
        assert [one["where"] for one in review["findings"]] == ["src/pay.py:11"]
        missing = await client.get(f"/v1/triage/{'0' * 32}")
        assert (missing.status_code, "GET /v1/triage lists" in missing.json()["detail"]) == (404, True)
        assert (await client.get("/v1/triage/x")).status_code == 400
    async with api.client(token="bo") as client:
        withheld = (await client.get(f"/v1/triage/{items['draft']['item_id']}")).json()
        assert (withheld["context"], withheld["is_withheld"]) == (None, True)


async def test_second_person_is_told_and_the_first_may_say_it_again(api: RunningApi, items: dict[str, Any]) -> None:
    item = items["disputed"]
    both: list[httpx.Response] = []

    async def one(who: str, decision: str) -> None:
        both.append(await decide(api, who, item, decision=decision, note="looked"))

    async with anyio.create_task_group() as group:
        group.start_soon(one, "dana", "accept")
        group.start_soon(one, "bo", "reject")
    [won] = [answer for answer in both if answer.status_code == 200]
    [lost] = [answer for answer in both if answer.status_code == 409]
    decision = won.json()["decision"]
    assert (lost.json()["decided_by"], lost.json()["decision"]) == (decision["by"], decision["verdict"])
    assert f"decided by {decision['by']}" in lost.json()["detail"]
    again = await decide(api, decision["by"], item, decision=decision["verdict"])
    assert (again.status_code, again.json()["decision"]) == (200, decision)
    assert (await decide(api, "eve", item, decision="accept")).status_code == 403


async def test_decision_that_could_not_be_written_down_is_when_it_is_sent_again(
    api: RunningApi, items: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = items["draft"]
    written: list[Mapping[str, Any]] = []
    is_full = True

    async def append(stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        if stream == "reviews":
            if is_full:
                raise Unavailable("the run-log spool is full")
            written.append(line)
        return ""

    queue = api.services.triage.queue
    key, waiting = f"audits/triage/items/{item['item_id']}.json", queue._store
    before = waiting.get(key).body
    with monkeypatch.context() as patch:
        patch.setattr(api.services.events, "append", append)
        assert (await decide(api, "dana", item, decision="accept")).status_code == 503
        is_full = False
        assert (await decide(api, "dana", item, decision="accept")).status_code == 200
        assert [(line["review_of"], line["verdict"]) for line in written] == [("draft", "accept")]
        assert (await decide(api, "dana", item, decision="accept")).status_code == 200
        assert len(written) == 1
    queue.forget(item["item_id"])  # as it was, for those that come
    waiting.put(key, before, content_type="application/json")


async def test_item_is_assigned_and_then_its_assignees(api: RunningApi, items: dict[str, Any]) -> None:
    taken = await decide(api, "dana", items["conflict"], decision="assign", assignee="bo")
    assert (taken.status_code, taken.json()["state"]) == (200, "assigned")
    refused = await decide(api, "dana", taken.json(), decision="accept")
    assert (refused.status_code, refused.json()["assignee"]) == (409, "bo")
    async with api.client(token="bo") as client:
        mine = (await client.get("/v1/triage", params={"assignee": "bo"})).json()
        assert [one["of"] for one in mine["items"]] == ["conflict"]
    assert (await decide(api, "bo", taken.json(), decision="accept", by="dana")).status_code == 403
    done = await decide(api, "test-token", taken.json(), decision="accept", by="bo")
    assert (done.status_code, done.json()["decision"]["by"]) == (200, "bo")


@pytest.mark.parametrize(
    "body",
    [{"decision": "edit"}, {"decision": "maybe"}, {"decision": "accept", "output": "x"}, {"decision": "assign"},
     {"decision": "accept", "version": 0}, {"decision": "accept", "stranger": 1}],
)  # fmt: skip
async def test_decision_that_makes_no_sense_is_refused(
    api: RunningApi, items: dict[str, Any], body: dict[str, Any]
) -> None:
    assert (await decide(api, "dana", items["draft"], **body)).status_code == 400


async def test_edit_becomes_a_preference_pair_and_decisions_are_evidence(
    api: RunningApi, items: dict[str, Any], filled: Lake
) -> None:
    by_bo = await decide(api, "test-token", items["conflict"], decision="accept", by="bo")
    assert by_bo.status_code == 200  # said again, where it was said before
    edit = "Ana can start on Monday, she is free from the second of March on."
    done = await decide(api, "dana", items["draft"], decision="edit", output=edit, note="she is on the list")
    assert done.json()["decision"]["note"] == "she is on the list"
    async with api.client(token="bo") as client:  # what a person wrote may name another
        listed = (await client.get("/v1/triage", params={"state": "decided"})).json()["items"]
        alone = (await client.get(f"/v1/triage/{items['draft']['item_id']}")).json()
    notes = {one["of"]: one["decision"]["note"] for one in listed}
    assert (notes["draft"], alone["decision"]["note"]) == ("[masked]", "[masked]")
    assert done.status_code == 200, done.text
    again = await decide(api, "dana", items["draft"], decision="edit", output=edit)
    assert again.json()["decision"] == done.json()["decision"]
    kept = filled.objects.get(f"audits/triage/decided/{items['draft']['item_id']}.json").body
    assert edit.encode() not in kept
    await anyio.to_thread.run_sync(api.services.events.stop)
    await anyio.to_thread.run_sync(filled.bring_up_to_date)
    said = filled.ask(
        "SELECT metadata ->> '$.review_of', human_override.verdict, human_override.by, output_text FROM evidence"
        " WHERE stream = 'reviews' AND human_override IS NOT NULL ORDER BY 1"
    )
    assert [row for row in said if row[0] == "draft"] == [("draft", "reject", "dana", edit)]
    assert [row[:3] for row in said if row[0] == "conflict"] == [("conflict", "accept", "bo")]
    scores = dict(filled.ask("SELECT run_id, rule FROM scored"))
    assert (scores["draft"], scores["conflict"]) == ("human.rejects", "human.accepts")
    exported = filled.store.lake.exports.export(CorpusParameters("preference"), RUN)
    assert exported.manifest.counts.by_reason["human_edit"] == 1
    rows = [
        json.loads(one)
        for info in list_all(filled.objects, exported.prefix)
        if info.key.endswith(".jsonl") and "/openai/pairs-" in info.key
        for one in filled.objects.get(info.key).body.splitlines()
    ]
    [pair] = [one for one in rows if one["preferred_output"][0]["content"] == edit]
    assert pair["non_preferred_output"][0]["content"] == "Nobody can start on Monday, try another week."
    audits = [
        json.loads(one)
        for info in list_all(filled.objects, "raw/audits/")
        for one in filled.objects.get(info.key).body.splitlines()
    ]
    decided = [
        one for one in audits if one["action"] == "triage.decide" and one["subject"] == items["draft"]["item_id"]
    ]
    assert [(one["actor"], one["status"], one["decision"]) for one in decided] == [("dana", "ok", "edit")] * 2
    assert any(one["http_status"] == 409 for one in audits if one.get("action") == "decide_triage_item")


def test_asset_fills_the_queue_with_what_is_left(filled: Lake, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        result = dg.materialize([triage], instance=instance, resources={"store": filled.store})
    [event] = result.asset_materializations_for_node("triage")
    assert event.metadata["added"].value == {}
    waiting = [
        json.loads(filled.objects.get(info.key).body)["kind"]
        for info in list_all(filled.objects, "audits/triage/items/")
    ]
    assert sorted(waiting) == ["reviewer_disagreement", "suspected_pii"]


def test_command_lists_shows_and_decides(filled: Lake, tmp_path: Path) -> None:
    with serving(create_app(api_settings(filled.objects, tmp_path / "data"))) as url:
        at = {"LAKEHOUSE_API_PORT": url.rpartition(":")[2], "LAKEHOUSE_AUTH_TOKEN": TOKEN}
        lake = replace(filled, environ=filled.environ | at)
        listed = lake.command("list")
        assert listed.exit_code == 0, listed.output
        # The API serves in this process, and its log goes to the same output.
        assert "2 open, 0 assigned" in listed.stdout.splitlines()
        told = lake.command("list", "--limit", "1", "--json").stdout
        first = json.JSONDecoder().raw_decode(told[told.index("{\n") :])[0]["items"][0]
        item_id, kind = first["item_id"], first["kind"]
        assert kind == "suspected_pii"
        shown = lake.command("show", item_id)
        assert "priority 80: 80: personal data may leave with a corpus" in shown.stdout
        assert "Two people work nights there" in shown.stdout
        (tmp_path / "edit.txt").write_text("Two people.")
        edit = lake.command("decide", item_id, "edit", "--output", str(tmp_path / "edit.txt"))
        assert (edit.exit_code, "no draft" in edit.stderr) == (1, True)
        done = lake.command("decide", item_id, "reject", "--by", "dana", "--note", "an address is its task")
        assert done.exit_code == 0, done.output
        assert any(line.startswith("reject by dana at ") for line in done.stdout.splitlines()), done.output
        second = lake.command("decide", item_id, "accept", "--by", "bo")
        assert second.exit_code == 1
        assert "was decided by dana" in second.stderr
        assert second.stderr.rstrip().endswith(": reject")
        assert "reject by dana" in lake.command("show", item_id).stdout
        assert "an address is its task" in lake.command("show", item_id).stdout
        assert lake.command("list", "--state", "decided").stdout.count(" by dana") >= 1
        assert lake.command("show", "0" * 32).exit_code == 1
        with Client(url, TOKEN) as client:
            [other] = client.triage.list(kind="reviewer_disagreement")["items"]
            assert client.triage.get(other["item_id"])["context"]["review"]["findings"]
            taken = client.triage.decide(other["item_id"], "assign", other["version"], assignee="bo")
            assert client.triage.decide(other["item_id"], "assign", taken["version"], assignee="")["state"] == "open"
            with pytest.raises(LakehouseApiError, match="was decided by dana"):
                client.triage.decide(item_id, "accept", 2, by="bo")


def test_confirmed_drift_is_in_the_queue_until_it_is_acknowledged(filled: Lake) -> None:
    from lakehouse.drift.report import DriftReport

    report = DriftReport(
        "scorer", date(2026, 3, 2), datetime(2026, 3, 3, tzinfo=UTC), "drift/1", 1, "drift",
        confirmed_by="days", confirmed=("all/psi/up",),
    )  # fmt: skip
    filled.objects.put(f"{report.prefix}report.json", report.to_json())
    gate = DriftGate(filled.objects)
    gate.mark(report)
    assert json.loads(filled.command("fill", "--json").stdout)["added"] == {"drift": 1}
    gate.acknowledge("scorer", by="dana", why="the rules changed on purpose")
    assert json.loads(filled.command("fill", "--json").stdout)["withdrawn"] == 1
