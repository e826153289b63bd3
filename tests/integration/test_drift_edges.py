"""Drift at its edges: `/v1/drift`, the client, the commands, and the view for SQL, on a bucket that has reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from lakehouse.adapters.drift_reports import DriftReports
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.client import Client, LakehouseApiError
from lakehouse.drift.finding import Finding
from lakehouse.drift.report import DriftReport
from lakehouse.storage.objects import list_all
from lakehouse_cli.main import app
from tests.api import TOKEN, api_process
from tests.dagster_lake import lake_environ
from tests.servers import StoreServer

NOW = datetime(2026, 3, 9, 5, tzinfo=UTC)
WORSE = Finding("bot", "success", "cohens_h", 0.9, 0.3, 200, 200, effect=-1.2, p_value=1e-9, verdict="drift")
REPORT = DriftReport(
    "outcome", date(2026, 3, 5), NOW, "drift-1", 1, "drift", (WORSE,), confirmed_by="severe", confirmed=(WORSE.key,)
)


@pytest.fixture(scope="module")
def bucket(store_process: StoreServer) -> S3ObjectStore:
    return store_process.objects(bucket="drift-edges")


@pytest.fixture
def objects(bucket: S3ObjectStore) -> S3ObjectStore:
    for info in list(list_all(bucket, "drift/")):
        bucket.delete(info.key)
    DriftReports(bucket, draw=orjson.dumps).publish(REPORT)
    return bucket


@pytest.fixture(scope="module")
def url(bucket: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process(bucket, tmp_path_factory.mktemp("api")) as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture
def lakehouse(objects: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in lake_environ(objects, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_route_says_what_stands_and_takes_an_acknowledgement(objects: S3ObjectStore, url: str) -> None:
    with Client(url, TOKEN) as client:
        found = client.drift()
        assert found["is_frozen"]
        of = {one["kind"]: one for one in found["kinds"]}
        assert list(of) == ["scorer", "playbook", "embedding", "audit", "outcome"]
        assert of["outcome"]["open"]["findings"] == ["1/bot/success/down"]
        assert of["outcome"]["latest"]["findings"][0]["effect"] == -1.2
        assert of["scorer"] == {"kind": "scorer", "baseline": None, "latest": None, "open": None, "acknowledged": []}
        said = client.acknowledge_drift("outcome", why="the prompt was made shorter")
        assert (said["by"], said["why"]) == ("primary", "the prompt was made shorter")
        assert not client.drift()["is_frozen"]
        for kind, status in (("outcome", 409), ("weather", 404)):
            with pytest.raises(LakehouseApiError) as refused:
                client.acknowledge_drift(kind, why="x")
            assert refused.value.status == status
    (info,) = list_all(objects, "drift/outcome/acknowledged/")
    assert orjson.loads(objects.get(info.key).body)["why"] == "the prompt was made shorter"
    assert not list(list_all(objects, "drift/outcome/open/"))


def test_reports_are_rows_of_sql(objects: S3ObjectStore, url: str) -> None:
    objects.put("drift/outcome/baseline.json", b'{"kind": "outcome"}')  # no report, and no row
    DriftReports(objects, draw=orjson.dumps).publish(
        DriftReport("scorer", date(2026, 3, 6), NOW, "drift-1", None, None, reason="no baseline is set")
    )
    with Client(url, TOKEN) as client:
        rows = client.sql(
            "SELECT kind, day, status, verdict, is_confirmed, confirmed_by FROM drift_reports ORDER BY day"
        )
        assert rows.rows == [
            ["outcome", "2026-03-05", "judged", "drift", True, "severe"],
            ["scorer", "2026-03-06", "insufficient", None, False, None],
        ]
        effects = client.sql("SELECT report ->> '$.findings[0].effect' FROM drift_reports WHERE verdict = 'drift'")
        assert effects.rows == [["-1.2"]]


def test_commands_show_refuse_and_acknowledge(objects: S3ObjectStore, lakehouse: CliRunner) -> None:
    shown = lakehouse.invoke(app, ["drift", "report"])
    assert shown.exit_code == 1
    assert "NOT ACKNOWLEDGED, corpora wait: outcome since 2026-03-05 (success of bot went down)" in shown.output
    refused = lakehouse.invoke(app, ["export", "sft"])
    assert refused.exit_code != 0
    assert "drift is confirmed and nobody has acknowledged it" in str(refused.exception) + refused.output
    done = lakehouse.invoke(app, ["drift", "acknowledge", "outcome", "--by", "dana", "--why", "known", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["findings"] == ["1/bot/success/down"]
    # The API of the module ships its own lines when their day ends, or after five minutes.
    bodies = [objects.get(info.key).body for info in list_all(objects, "raw/audits/")]
    lines = [orjson.loads(line) for body in bodies for line in body.splitlines()]
    assert [line["action"] for line in lines if (line["actor"], line.get("why")) == ("dana", "known")] == [
        "drift.acknowledge"
    ]
    assert lakehouse.invoke(app, ["drift", "report", "outcome"]).exit_code == 0
    assert lakehouse.invoke(app, ["export", "sft"]).exit_code == 0
    known = json.loads(lakehouse.invoke(app, ["drift", "report", "outcome", "--json"]).output)
    assert known[0]["acknowledged"][0]["by"] == "dana"


def test_run_without_baselines_says_so_of_every_kind(objects: S3ObjectStore, lakehouse: CliRunner) -> None:
    done = lakehouse.invoke(app, ["drift", "run", "all", "--dry-run", "--json"])
    told = json.loads(done.output)
    assert [one["kind"] for one in told] == ["scorer", "playbook", "embedding", "audit", "outcome"]
    assert {one["status"] for one in told} == {"insufficient"}
    assert "lakehouse drift baseline scorer" in told[0]["report"]["reason"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["run", "weather"], "kinds are scorer"), (["run", "outcome", "--day", "3/4"], "is not a day"),
        (["baseline", "all", "--by", "a", "--why", "b"], "kinds are scorer"),
    ],
)  # fmt: skip
def test_wrong_words_are_told(lakehouse: CliRunner, command: list[str], said: str) -> None:
    done = lakehouse.invoke(app, ["drift", *command])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", "").split())  # whatever the width of the box


def test_finding_keeps_its_key_when_it_is_stored() -> None:
    assert Finding.from_document({**WORSE.to_document(), "later": 1}) == WORSE
    assert replace(WORSE, effect=0.0).key == "bot/success/"
