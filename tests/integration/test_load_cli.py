"""`lakehouse load`: on the real API with real data, and what it says of services that fall short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.load.mix import REQUESTS, SHARES, RequestKind, ScenarioKind
from lakehouse.sample.client_blocks import write_client_blocks
from lakehouse.sample.workers import write_workers
from tests.api import TOKEN, ApiProcess, api_process, clean_environ
from tests.commands import run_command
from tests.fakes.load_service import Service, serving
from tests.fakes.scripted_http import Reply, scripted_http
from tests.retrieving import STATIC
from tests.servers import free_port_block

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 1_500
SECRET = "load-secret-token"


def lakehouse(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, environ=environ, cwd=environ["HOME"])


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"),
        "LAKEHOUSE_API_PORT": str(free_port_block(1)),
        "LOAD_TOKEN": SECRET,
    }


def load(environ: dict[str, str], url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lakehouse(environ, "load", "--url", url, "--concurrency", "4", *arguments)


def fill(api: ApiProcess, folder: Path) -> None:
    """Workers, blocks, and the corpus that `corpora/workers.yaml` declares."""
    write_workers(folder / "workers.csv", WORKERS)
    write_client_blocks(folder / "client_blocks.csv", 300, workers=WORKERS)
    with api.client() as client:
        for name in ("workers", "client_blocks"):
            with (folder / f"{name}.csv").open("rb") as file:
                client.post(f"/v1/ingest?name={name}", files={"file": file}).raise_for_status()
        built = lakehouse({**clean_environ(), **api.environ, "HOME": str(folder)}, "corpus", "build", "workers")
        assert built.returncode == 0, built.stderr
        deadline = time.monotonic() + 60
        while client.get("/v1/vectors/index/workers").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


_MESSAGE = {"kind": "sms", "artifact": {"to": "+14155550101", "body": "Shift on Monday."}, "context": {}}
_ENTRY = {"query": "who welds", "answer_id": "1", "answer_corpus": "workers", "score": 1.0, "tags": ["desk"]}


def _require_no_evidence(client: httpx.Client, objects: S3ObjectStore, folder: Path) -> None:
    """Of everything that loads have logged nothing becomes evidence, nor does it reach what is made of evidence."""
    deadline = time.monotonic() + 60
    while client.get("/health").json()["parts"]["event_log"]["depth_lines"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    maker = EvidenceMaterializer(objects, work_dir=folder)
    new: dict[str, int] = {}
    for stream in ("validations", "playbook_events", "searches"):
        (day,) = maker.materialize(stream, sorted(maker.behind(stream)), RunFacts("r1"))
        assert day.partition is not None
        counts = day.partition.counts
        receipt = json.loads(objects.get(day.partition.receipt).body)
        assert receipt["counts"]["left_out"] == counts["left_out"] > 50
        assert counts["in"] == counts["left_out"] + counts["new"]
        new[stream] = counts["new"]
    # What `X-Task-Id: load-test` asked is somebody's own.
    assert new == {"validations": 1, "playbook_events": 0, "searches": 0}


@pytest.mark.slow
def test_real_system_fails_nothing_and_keeps_nothing(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = {"corpora_dir": ROOT / "corpora", "spool_part_age_s": 1, **STATIC}
    with api_process(objects, tmp_path / "api", **settings) as api:
        own = {"HOME": str(tmp_path), "LAKEHOUSE_API_PORT": str(api.port), "AUTH_TOKEN": TOKEN}
        environ = clean_environ() | own | {"LAKEHOUSE_DATA_DIR": str(tmp_path / "data")}
        nothing = lakehouse(environ, "load")
        assert nothing.returncode == 3
        assert "has no dataset 'workers'; load the sample: lakehouse sample workers" in nothing.stderr
        fill(api, tmp_path)

        chart = tmp_path / "load.svg"
        assert api.process is not None
        own_pid = ("--process", f"api={api.process.pid}", "--plot", str(chart))
        done = lakehouse(environ, "load", "--requests", "500", "--concurrency", "8", "--json", *own_pid)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ms of a scenario" in chart.read_text()
        paced = lakehouse(environ, "load", "--rate", "40", "--requests", "100", "--json")
        assert paced.returncode == 0, paced.stdout + paced.stderr
        with api.client() as client:
            assert client.get("/v1/matrix/playbooks").json()["playbooks"] == []
            only = lakehouse(environ, "load", "--mix", "record_again=1", "--requests", "90", "--keep-playbooks")
            assert only.returncode == 0, only.stdout + only.stderr
            # Of loads, and so no reason to refuse the next one.
            kept = lakehouse(environ, "load", "--requests", "60", "--keep-playbooks")
            assert kept.returncode == 0, kept.stdout + kept.stderr
            tags = {tag for entry in client.get("/v1/matrix/playbooks").json()["playbooks"] for tag in entry["tags"]}
            assert tags == {"load"}
            client.post("/v1/validate", json=_MESSAGE, headers={"X-Task-Id": "load-test"}).raise_for_status()
            _require_no_evidence(client, objects, tmp_path)
            with (tmp_path / "client_blocks.csv").open("rb") as file:
                client.post("/v1/ingest?name=orders_2026", files={"file": file}).raise_for_status()
            client.post("/v1/matrix/playbooks/record", json=_ENTRY).raise_for_status()
        refused = lakehouse(environ, "load", "--requests", "20")
        assert (refused.returncode, refused.stdout) == (3, "")
        assert "datasets 'orders_2026'; 1 playbook entry that no load has made" in refused.stderr
        assert lakehouse(environ, "load", "--requests", "20", "--on-real-data").returncode == 0
    document = json.loads(done.stdout)
    scenarios, requests = document["scenarios"], document["requests"]
    assert {name: line["count"] for name, line in requests.items() if name.startswith("validate")}.keys() == {
        RequestKind.VALIDATE_EMAIL, RequestKind.VALIDATE_SMS, RequestKind.VALIDATE_FILL,
    }  # fmt: skip
    assert document["request_count"] == sum(scenarios[kind]["count"] * REQUESTS[kind] for kind in ScenarioKind) >= 500
    shares = {kind: scenarios[kind]["count"] / document["scenario_count"] for kind in ScenarioKind}
    assert shares == pytest.approx({kind: share / 20 for kind, share in SHARES.items()}, abs=0.03)
    assert document["failures"] == 0
    assert document["playbooks"]["recorded"] == document["playbooks"]["forgotten"] > 0
    assert document["server_rss_bytes"]["after"] > 50 << 20
    assert json.loads(paced.stdout)["server_rss_bytes"] is None  # `lakehouse up` does not run it
    assert {one["name"] for one in document["processes"]} == {"api", "generator"}
    assert sum(second["scenarios"] for second in document["timeline"]) == document["scenario_count"]
    cold = requests[RequestKind.SEARCH_COLD]["count"]
    assert cold < document["distinct_queries"] <= cold + 1000
    assert document["caches"][RequestKind.SEARCH_COLD]["answers_cached_share"] == 0
    assert document["caches"][RequestKind.SEARCH_REPEATED]["answers_cached_share"] >= 0.5
    assert json.loads(paced.stdout)["generator"]["start_lag_p99_ms"] >= 0
    assert TOKEN not in done.stdout + done.stderr + kept.stdout


def test_report_is_a_table_of_scenarios_and_requests(environ: dict[str, str]) -> None:
    service = Service()
    with serving(service) as url:
        done = load(environ, url, "--requests", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"\n{kind} " in f"\n{done.stdout}" for kind in (*ScenarioKind, *set(RequestKind) - {RequestKind.FORGET}))
    assert " 0 failures in " in done.stdout
    assert "this generator took " in done.stdout
    assert ", of which 0 stay" in done.stdout
    assert {headers["Authorization"] for headers in service.headers} == {f"Bearer {SECRET}"}
    tasks = {headers["X-Task-Id"] for headers in service.headers if "X-Task-Id" in headers}
    assert len(tasks) == 1
    assert tasks.pop().startswith("load-")
    assert SECRET not in done.stdout + done.stderr


def test_wrong_answer_is_exit_code_one_with_its_reason(environ: dict[str, str]) -> None:
    service = Service()
    service.change[RequestKind.VALIDATE_SMS] = lambda _: (500, {"detail": "[red]broken"})
    with serving(service) as url:
        done = load(environ, url, "--requests", "100")
        shown = load(environ, url, "--requests", "100", "--json")
    assert done.returncode == shown.returncode == 1
    count = json.loads(shown.stdout)["failures"]
    assert count == json.loads(shown.stdout)["scenarios"][ScenarioKind.SMS]["failures"] > 0
    assert "validate SMS: status 500, expected" in done.stdout
    assert '(first: {"detail": "[red]broken"})' in done.stdout


def test_interrupted_run_reports_what_was_played_and_forgets_its_records(environ: dict[str, str]) -> None:
    service = Service()
    command = [sys.executable, "-m", "lakehouse_cli", "load", "--concurrency", "2", "--duration", "60", "--json"]
    with (
        serving(service) as url,
        subprocess.Popen(
            [*command, "--url", url], env=environ, cwd=environ["HOME"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        deadline = time.monotonic() + 60
        while sum(ask.path.endswith("/record") for ask, _ in service.asked) < 5:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    document = json.loads(printed)
    assert document["seconds"] < 50
    assert document["failures"] == 0
    assert document["playbooks"]["forgotten"] == document["playbooks"]["recorded"] >= 5


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("/v1/catalog/workers", "has no dataset 'workers'; load the sample: lakehouse sample workers"),
        ("/v1/vectors/index/workers", "has no corpus 'workers'; build it: lakehouse corpus build workers"),
        ("/v1/validate", "does not validate (no POST /v1/validate)"),
    ],
)
def test_what_is_missing_is_named_and_exit_code_three(environ: dict[str, str], missing: str, said: str) -> None:
    service = Service()
    service.missing.add(missing)
    with serving(service) as url:
        done = load(environ, url)
    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _without_ids(document: Any) -> Any:
    return {**document, "results": []} if "results" in document else document


def test_corpus_of_others_than_the_dataset_is_named(environ: dict[str, str]) -> None:
    service = Service()
    service.change[RequestKind.SEARCH] = _without_ids
    with serving(service) as url:
        done = load(environ, url)
    assert done.returncode == 3
    assert "0 active workers are both in the dataset 'workers' and in the corpus 'workers'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--duration", "nan"),
        ("--rate", "inf"),
        ("--rate", "0"),
        ("--requests", "0"),
        ("--timeout", "nan"),
        ("--mode", "x"),
    ],
)
def test_wrong_options_are_exit_code_two(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    assert load(environ, "http://127.0.0.1:1", *arguments).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mix", "mail=1"), "'mail=1' is not a share of the mix"),
        (("--mix", "sms=0"), "all weights of the mix are zero"),
        (("--plot", "load.pdf"), "neither .svg nor .png"),
        (("--plot", "nowhere/load.png"), "there is no folder"),
        (("--chaos", "--mix", "sms=1"), "--chaos kills processes"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_asked(
    environ: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    done = load(environ, "http://127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("path", "listed", "said"),
    [
        ("/v1/catalog", {"datasets": [{"name": "workers"}, {"name": "payroll"}]}, "datasets 'payroll'."),
        ("/v1/vectors/index", {"indexes": [{"name": "workers"}, {"name": "cvs"}]}, "corpora 'cvs'."),
        (
            "/v1/matrix/playbooks",
            {"playbooks": [{"tags": []}], "next": None},
            "1 playbook entry that no load has made.",
        ),
        ("/v1/pathway/stats", {"traces": 12}, "12 pathway traces."),
    ],
)
def test_store_with_real_data_is_refused_and_says_what_was_seen(
    environ: dict[str, str], path: str, listed: dict[str, Any], said: str
) -> None:
    service = Service()
    service.listed[path] = listed
    with serving(service) as url:
        done = load(environ, url, "--requests", "20")
        assert (done.returncode, done.stdout) == (3, "")
        assert f"holds data that is not the sample's: {said}" in done.stderr
        assert not any(ask.path.endswith(("/search", "/validate", "/record")) for ask, _ in service.asked)
        assert load(environ, url, "--requests", "20", "--on-real-data").returncode == 0


def test_workers_of_somebody_else_are_real_data(environ: dict[str, str]) -> None:
    service = Service()
    service.sample = [[1, "Welder", "Toledo", "OH", "active", "TIG welding"]]
    with serving(service) as url:
        done = load(environ, url, "--requests", "20")
    assert done.returncode == 3
    assert "a dataset 'workers' that is not the sample's (another worker '1')" in done.stderr


def test_service_of_another_kind_is_told(environ: dict[str, str]) -> None:
    for body in (b"<html>", b"[]", b'{"rows": [[1]]}', b'{"datasets": [], "indexes": 1}'):
        with scripted_http(Reply(200, body)) as other:
            done = load(environ, other.url)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == f"error: {other.url} does not answer as a Lakehouse API does\n"


def test_nobody_there_and_wrong_addresses_are_exit_code_three(environ: dict[str, str]) -> None:
    for url, said in ((f"http://127.0.0.1:{free_port_block(1)}", "no API answers"), ("file:///x", "--url must be an")):
        done = load(environ, url)
        assert (done.returncode, done.stdout) == (3, "")
        assert said in done.stderr
