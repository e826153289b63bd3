"""`lakehouse workflow`: files checked with lines, runs with their states, exit codes; a run that is killed midway."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_cli.main import app
from tests.api import TOKEN, ApiProcess, api_environ
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.servers import StoreServer

FILE = """\
name: facts
version: 1
inputs: {text: text, shout: {type: boolean, default: false}}
nodes:
  - id: facts
    mode: extract
    with: {text: "{{ inputs.text }}", fields: [name], model: m}
  - id: shown
    mode: render
    needs: [facts]
    with: {text: "{{ nodes.facts.output.data.name | upper if inputs.shout else nodes.facts.output.data.name }}"}
output: "{{ nodes.shown.output.text }}"
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> S3ObjectStore:
    return store_process.objects(bucket="workflow-cli")


@pytest.fixture(scope="module")
def api(
    store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("workflow-cli")
    providers = json.dumps({"ollama": {"url": endpoint.url}})
    process = ApiProcess(
        api_environ(store, folder / "data", chat_providers=providers, chat_attempts=1),
        folder / "api.log",
        is_forked=True,
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
def run(api: ApiProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    for name, value in {"API_PORT": str(api.port), "AUTH_TOKEN": TOKEN, "DATA_DIR": str(tmp_path / "data")}.items():
        monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
    (tmp_path / "facts.yaml").write_text(FILE)
    return CliRunner()


def test_a_run_shows_its_states_and_gives_its_output(run: CliRunner, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion('```{"name": "Ann"}```'))]
    done = run.invoke(app, ["workflow", "run", "facts.yaml", "--input", "text=Ann is here.", "-i", "shout=true"])
    assert done.exit_code == 0, done.output
    assert done.stdout == "ANN\n"
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert lines[0].startswith("run 0")
    assert [line.split()[:2] for line in lines[1:]] == [
        ["facts", "running"], ["facts", "succeeded"], ["shown", "running"], ["shown", "succeeded"],
    ]  # fmt: skip
    assert lines[2].endswith("(attempt 1, m, 1 repair)")
    Path("given.json").write_text('{"text": "Ann is here."}')
    as_json = run.invoke(app, ["workflow", "run", "facts.yaml", "--input-file", "given.json", "--json"])
    assert json.loads(as_json.stdout)["output"] == "Ann"


def test_a_run_that_fails_says_where_and_exits_with_1(run: CliRunner, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("no"))]
    done = run.invoke(app, ["workflow", "run", "facts.yaml", "-i", "text=x"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "failed at facts: ollama/m: the answer holds no JSON" in done.stderr
    missing = run.invoke(app, ["workflow", "run", "facts.yaml"])
    assert (missing.exit_code, "needs the input 'text'" in missing.stderr) == (1, True)
    unknown = run.invoke(app, ["workflow", "run", "no-such", "-i", "text=x"])
    assert (unknown.exit_code, "there is no workflow 'no-such'; there are architecture-review" in unknown.stderr) == (
        1,
        True,
    )


def test_a_file_is_checked_with_its_lines(run: CliRunner) -> None:
    good = run.invoke(app, ["workflow", "check", "facts.yaml"])
    assert (good.exit_code, "2 nodes" in good.stdout) == (0, True)
    told = json.loads(run.invoke(app, ["workflow", "check", "facts.yaml", "--json"]).stdout)
    assert (told["inputs"]["text"], len(told["nodes"])) == ({"required": True}, 2)
    Path("bad.yaml").write_text(FILE.replace("mode: render", "mode: rendr"))
    bad = run.invoke(app, ["workflow", "check", "bad.yaml"])
    assert (bad.exit_code, "bad.yaml, line 9: there is no mode 'rendr'" in bad.stderr) == (1, True)
    assert run.invoke(app, ["workflow", "run", "bad.yaml", "-i", "text=x"]).exit_code == 1
    assert "* text" in run.invoke(app, ["workflow", "modes"]).stdout


def test_a_process_that_is_killed_between_nodes_leaves_what_ran(
    run: CliRunner, api: ApiProcess, endpoint: ChatEndpointServer
) -> None:
    """The first node ends, the second hangs: then `kill -9`. The next process reads the run from its lines."""
    endpoint.replies = [Reply(document=completion('{"name": "Ann"}')), Reply(hang=True)]
    second = {"id": "again", "mode": "llm.chat", "needs": ["facts"], "with": {"prompt": "go on", "model": "m"}}
    first = {"id": "facts", "mode": "extract", "with": {"text": "Ann is here.", "fields": ["name"], "model": "m"}}
    spec = {"name": "killed", "version": 1, "nodes": [first, second]}
    run_id = ""
    asked = {"json": {"workflow": spec}, "headers": {"Accept": "application/x-ndjson"}}
    with (  # noqa: PT012
        api.client() as client,
        pytest.raises(httpx.HTTPError),  # the connection breaks while it is read
        client.stream("POST", "/v1/observer/workflow/run", **asked) as answer,  # type: ignore[arg-type]
    ):
        for line in answer.iter_lines():
            event = json.loads(line)
            run_id = event["run_id"]
            if (event.get("id"), event["state"]) == ("again", "running"):
                api.stop(how=signal.SIGKILL)
    api.start()
    with api.client() as client:
        found = client.get(f"/v1/observer/workflow/runs/{run_id}").json()
    assert (found["state"], found["success"], found["workflow"]) == ("unfinished", False, "killed")
    assert [(node["id"], node["success"], node["output"]["data"]) for node in found["nodes"]] == [
        ("facts", True, {"name": "Ann"})
    ]
