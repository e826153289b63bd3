"""`lakehouse pathway` against the real API: what it prints, its exit codes; and a table that is mended."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import ApiProcess, api_process, clean_environ
from tests.commands import run_command
from tests.retrieving import STATIC
from tests.servers import StoreServer

FILL = {"task": "fill 3 welders in Toledo", "steps": ["search certified within 30 miles", "call by reliability"]}
UNKNOWN = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="pathway-cli")
    yield store
    store_process.drop_bucket("pathway-cli")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(store, tmp_path_factory.mktemp("pathway-cli"), **STATIC, pathway_embedder="static") as process:
        yield process


def command(
    api: ApiProcess,
    *arguments: str,
    stdin: str = "",
    group: str = "pathway",
    port: int | None = None,
    columns: int = 200,
) -> subprocess.CompletedProcess[str]:
    environ = {**clean_environ(), **api.environ, "LAKEHOUSE_API_PORT": str(port or api.port), "COLUMNS": str(columns)}
    return run_command(group, *arguments, environ=environ, cwd=api.log.parent, stdin=stdin)


def said(api: ApiProcess, *arguments: str, stdin: str = "") -> str:
    done = command(api, *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def told(api: ApiProcess, *arguments: str, stdin: str = "") -> dict[str, object]:
    return dict(json.loads(said(api, *arguments, "--json", stdin=stdin)))


def test_trace_goes_through_its_whole_life(api: ApiProcess) -> None:
    line = said(api, "add", json.dumps(FILL), "--tag", "fill", "-t", "welder")
    uid = line.removeprefix("added ").strip()
    assert said(api, "add", json.dumps(FILL)) == f"linked to {uid} (it says the same)\n"
    found = told(api, "search", "welding jobs in Toledo", "--tag", "welder", "-k", "1")
    assert [one["uid"] for one in found["results"]] == [uid]
    assert uid in said(api, "search", "--since", "2026-01-01")
    assert uid in command(api, "search", "--since", "2026-01-01", columns=80).stdout  # to be copied
    shown = said(api, "show", uid)
    assert f"trace    {uid}" in shown
    assert '"task": "fill 3 welders in Toledo"' in shown
    assert said(api, "update", uid, "[call] first", "--text") == f"updated {uid}\n"
    assert told(api, "show", uid)["content"] == "[call] first"
    better = told(api, "revise", uid, "call [bold] first, then write")
    assert (better["predecessor_uid"], better["tags"]) == (uid, ["fill", "welder"])
    assert said(api, "retire", uid, "the client has changed") == f"retired {uid}\n"
    shown = said(api, "show", uid)
    assert "retired  the client has changed" in shown
    walk = told(api, "history", str(better["uid"]))
    assert [one["uid"] for one in walk["traces"]] == [better["uid"], uid]
    table = said(api, "history", str(better["uid"]))
    for word in ("add", "link", "update", "retire", "the client has changed", "call [bold] first"):
        assert word in table
    counted = told(api, "stats")
    assert (counted["traces"], counted["retired"]) == (2, 1)
    assert "2: 1 current, 0 revised, 1 retired" in said(api, "stats")


def test_content_comes_from_a_file_or_stdin_as_it_was_written(api: ApiProcess, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text('\ufeff{"n": 123456789012345678901234567890.10, "t": "ä😀"}\n')
    uid = str(told(api, "add", "--file", str(file))["uid"])
    with api.client() as client:
        assert "123456789012345678901234567890.10" in client.get(f"/v1/pathway/{uid}").text
    assert told(api, "show", uid)["content"]["t"] == "ä😀"
    for arguments in ((), ("-",), ("--file", "-")):
        text = f"from stdin {len(arguments)} {arguments}"
        assert told(api, "add", *arguments, stdin=f"{text}\n")["content"] == text


def test_key_is_replayed_and_what_was_recalled_is_not_learned(api: ApiProcess) -> None:
    uid = said(api, "add", "order 1017 wants a call", "--key", "order-1017").removeprefix("added ").strip()
    assert said(api, "add", "other words", "--key", "order-1017") == f"replayed {uid} (1 time)\n"
    assert said(api, "add", "--recalled", "nobody ever said this").startswith("not remembered")
    assert command(api, "add", "x", "--key", "k", "--recalled").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (("add", '{"task": '), "", 2, "begins like JSON and is none"),
        (("add", '{"rate": NaN}'), "", 2, "NaN is not a JSON number"),
        (("add", "x", "--file", "y"), "", 2, "not both"),
        (("add", "--file", "absent.json"), "", 2, "is not a file"),
        (("add",), "  \n", 1, "nothing that could be remembered"),
        (("search", " "), "", 1, "TEXT must not be blank"),
        (("search", "--since", "yesterday"), "", 2, "is not a time"),
        (("show", UNKNOWN), "", 1, "there is no pathway"),
        (("show", "stats"), "", 2, "is not a uid"),
        (("show", "../stats"), "", 1, ""),
        (("history", ".."), "", 2, "is not a uid"),
        (("update", UNKNOWN, "x"), "", 1, "there is no pathway"),
        (("retire", UNKNOWN, "why"), "", 1, "there is no pathway"),
        (("retire", UNKNOWN), "", 2, "Missing argument"),
    ],
)
def test_command_that_cannot_do_it_says_why(
    api: ApiProcess, arguments: tuple[str, ...], stdin: str, code: int, words: str
) -> None:
    done = command(api, *arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_command_without_an_api_says_so(api: ApiProcess) -> None:
    done = command(api, "stats", port=9)
    assert (done.returncode, "no API answers" in done.stderr) == (1, True)


def test_damaged_table_is_mended_from_the_log(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = {**STATIC, "pathway_embedder": "static", "memory_fold_s": 0.3}
    with api_process(objects, tmp_path / "first", **settings) as api:
        uid = said(api, "add", "call the site lead").removeprefix("added ").strip()
        said(api, "update", uid, "call the site lead before noon")
    objects.put("lance/pathways/live.json", b'{"uri":')
    mended = command(api, "rebuild", "pathways", group="index")
    assert (mended.returncode, mended.stdout[:16]) == (0, "pathways: 2 rows"), mended.stderr
    with api_process(objects, tmp_path / "second", **settings) as api:
        assert told(api, "show", uid)["content"] == "call the site lead before noon"
        assert [one["event"] for one in told(api, "history", uid)["changes"]] == ["add", "update"]


@pytest.mark.parametrize("table", ["playbooks", "pathways"])
def test_memory_table_that_was_never_folded_is_made_of_the_log(
    objects: S3ObjectStore, tmp_path: Path, table: str
) -> None:
    from lakehouse.settings import load_settings
    from lakehouse_cli.index_rebuild import rebuild
    from tests.api import api_environ

    settings = load_settings(api_environ(objects, tmp_path / "data"), env_file=None)
    document = {"name": table, "rows": 0, "from_table": 0, "from_log": 0, "unreadable_files": 0}
    assert list(rebuild(settings, table)) == [(f"{table}: 0 rows, 0 from the table, 0 from the log", document)]
