"""`lakehouse replay …`, `promote`, `rollback`, `propose`, `exchange replays-…`: what is printed, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.replay.cut import parse_cut
from lakehouse.storage.objects import list_all
from lakehouse_cli.main import app
from tests.api import api_environ, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.replaying import fill_lake, replay_settings, tasks, write_tasks
from tests.servers import StoreServer

ARMS = """version: 1
baseline: cold
arms:
  - {name: cold, playbook: false, model: ollama/m}
  - {name: warm, model: ollama/x}
"""


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="replays-cli")
    store_process.drop_bucket("replays-cli")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        server.by_model = {
            "m": Reply(document=completion("Nobody.")),
            "x": Reply(document=completion("It is Maria Lopez (id 100).")),
        }
        yield server


@pytest.fixture(scope="module")
def lake(
    store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """A lake with a corpus; the environment of commands on it."""
    folder = tmp_path_factory.mktemp("replays-cli")

    async def fill() -> None:
        async with running_api(replay_settings(store, folder, endpoint.url)) as api:
            await fill_lake(api)

    anyio.run(fill)
    return api_environ(
        store, folder, chat_providers=json.dumps({"ollama": {"url": endpoint.url}}), chat_attempts=1,
        default_embedder="static", playbook_embedder="static", pathway_embedder="static", replay_stop_after=2,
    )  # fmt: skip


@pytest.fixture
def run(lake: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in lake.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    write_tasks(tmp_path / "tasks.jsonl", tasks(2))
    (tmp_path / "arms.yaml").write_text(ARMS)
    (tmp_path / "latin.yaml").write_bytes("# à la carte".encode("latin-1"))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return call


def test_replay_is_run_shown_decided_again_and_exchanged(run: Any, store: S3ObjectStore, tmp_path: Path) -> None:
    done = run("replay", "run", "--tasks", "tasks.jsonl", "--arms", "arms.yaml", "--batch", "one", "--by", "me")
    assert done.exit_code == 0, done.output
    assert "# Replay one: hold" in done.stdout
    assert "4/4  t-1  warm: missed" in done.stderr
    assert "1/4  t-0  cold: missed (score 0.00)" in done.stderr
    assert "2/4  t-0  warm: right" in done.stderr
    assert run("replay", "show", "one").stdout == done.stdout
    (listed,) = json.loads(run("replay", "list", "--json").stdout)
    assert (listed["batch_id"], listed["tasks"], listed["verdict"], listed["by"]) == ("one", 2, "hold", "me")
    assert "one" in run("replay", "list").stdout
    again = run("replay", "resume", "one")
    assert (again.exit_code, again.stdout, again.stderr) == (0, done.stdout, "")
    from importlib.resources import files

    rules = files("lakehouse.promotion").joinpath("rules.yaml").read_text("utf-8")
    (tmp_path / "rules.yaml").write_text(rules.replace("30", "2").replace('version: "3"', 'version: "mine"'))
    decided = json.loads(run("replay", "verdict", "one", "--rules", "rules.yaml", "--json").stdout)
    assert (decided["rule"], decided["rules_version"]) == ("hold.few_differ", "mine")
    held = run("promote", "one")
    assert (held.exit_code, "verdict of batch 'one' is hold" in held.stderr) == (1, True)
    sent = run("exchange", "replays-out", "replays.jsonl", "--batch", "one", "--no-baselines")
    assert (sent.exit_code, sent.stderr) == (0, "wrote 8 objects\n")
    came = run("exchange", "replays-in", "replays.jsonl")
    assert came.stdout == "took in 8 objects, 0 of them new, of 1 replay\n"
    cut = run("replay", "cut", "crew")
    assert parse_cut(json.loads(cut.stdout)).tables["crew"] == "000001.000000000002"


def test_replay_that_stopped_says_how_to_go_on(run: Any, endpoint: ChatEndpointServer) -> None:
    endpoint.by_model["x"] = Reply(status=500, document={})
    endpoint.by_model["m"] = Reply(status=500, document={})
    stopped = run("replay", "run", "--tasks", "tasks.jsonl", "--arms", "arms.yaml", "--batch", "two")
    assert stopped.exit_code == 1
    assert "go on with: lakehouse replay resume two" in stopped.stderr
    shown = run("replay", "show", "two")
    assert (shown.exit_code, "4 answers to go" in shown.stderr) == (1, True)
    early = run("replay", "verdict", "two")
    assert (early.exit_code, "has not ended" in early.stderr) == (1, True)
    endpoint.by_model["m"] = endpoint.by_model["x"] = Reply(document=completion("Nobody."))
    assert run("replay", "resume", "two", "--json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("replay", "run", "--tasks", "tasks.jsonl", "--proposal", "p-1", "--arms", "arms.yaml"),
            2,
            "brings its own arms",
        ),
        (("replay", "run"), 2, "evidence has no task whose right answer is known"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--as-of", "nowhere"), 2, "neither a JSON object nor a file"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--as-of", '{"clock": 1}'), 1, "as_of must be an object of"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--as-of", "x" * 5000), 2, "neither a JSON object nor a file"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--as-of", "latin.yaml"), 2, "neither a JSON object nor a file"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--arms", "latin.yaml"), 1, "cannot be read as UTF-8"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--rules", "latin.yaml"), 1, "cannot be read as UTF-8"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--batch", "A B"), 1, "batch id 'A B' is refused"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--candidate", "x"), 1, "the candidate 'x' is none of the arms"),
        (("replay", "run", "--tasks", "arms.yaml"), 1, "arms.yaml, line 1: is not JSON"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--arms", "tasks.jsonl"), 1, "tasks.jsonl, line 2"),
        (("replay", "run", "--tasks", "tasks.jsonl", "--proposal", "p-1"), 1, "there is no proposal 'p-1'"),
        (("replay", "cut", "nowhere"), 1, "there is no corpus 'nowhere'"),
        (("replay", "resume", "none"), 1, "there is no batch 'none'"),
        (("promote", "none"), 1, "there is no batch 'none'"),
        (("rollback",), 1, "there is no promotion to take back"),
        (("rollback", "--to", "answer"), 2, "write a config and its version"),
        (("rollback", "--to", "answer/77"), 1, "there is no version 77"),
        (("promotions",), 0, "nothing was promoted yet"),
        (("propose",), 0, "nothing speaks for a change"),
        (("exchange", "replays-out", "x", "--batch", "none"), 1, "there is no batch 'none'"),
        (("exchange", "replays-in", "arms.yaml"), 1, "line 1 is not JSON"),
    ],
)
def test_wrong_calls_say_what_to_do(run: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = run(*arguments)
    told = " ".join(done.stderr.replace("│", " ").split())
    assert (done.exit_code, said in told) == (code, True), done.output


def test_nothing_is_left_of_what_was_refused(run: Any, store: S3ObjectStore) -> None:
    assert run("replay", "run", "--tasks", "tasks.jsonl", "--arms", "arms.yaml", "--as-of", "{}").exit_code == 1
    batches = {info.key.split("/")[1] for info in list_all(store, "replay/")}
    assert batches <= {"one", "two"}


def test_batch_that_is_damaged_hides_no_other(run: Any, store: S3ObjectStore) -> None:
    store.put("replay/broken/batch.json", b"{}")
    done = run("replay", "list", "--json")
    assert (done.exit_code, "is not a batch of a replay" in done.stderr) == (0, True)
    assert "one" in {told["batch_id"] for told in json.loads(done.stdout)}
