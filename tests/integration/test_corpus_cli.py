"""`lakehouse corpus`: what it prints, its exit codes, and what a kill in the middle leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.api import TOKEN, api_process
from tests.commands import run_command
from tests.corpora import CorpusDesk, row, rows
from tests.dagster_lake import lake_environ

NOTES = 'name: notes\nsource: {dataset: notes}\nid: id\ntext: "{title}"\nmetadata: [weight]\nembedder: static\n'


@pytest.fixture
def environ(objects: S3ObjectStore, tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / "notes.yaml").write_text(NOTES)
    own = {"PATH": os.defpath, "HOME": str(tmp_path), "COLUMNS": "200", "LAKEHOUSE_CORPORA_DIR": str(folder)}
    return {**own, **lake_environ(objects, tmp_path / "data")}


def corpus(
    environ: dict[str, str], *arguments: str, group: str = "corpus", said: str = ""
) -> subprocess.CompletedProcess[str]:
    return run_command(group, *arguments, environ=environ, cwd=environ["HOME"], stdin=said)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_build_list_and_stats(environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path) -> None:
    desk = CorpusDesk(objects, tmp_path)
    listed = json.loads(corpus(environ, "list", "--json").stdout)
    assert [(s["name"], s["state"]) for s in listed] == [("notes", "not built")]
    missing = corpus(environ, "build", "notes")
    assert missing.returncode == 1
    assert "notes.yaml: source.dataset: there is no dataset 'notes'" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1

    desk.put_rows([*rows(1, 2), row(3, id=None)])
    built = corpus(environ, "build", "notes")
    assert built.returncode == 0, built.stderr
    assert built.stdout.startswith(
        "built: notes, 2 rows (2 new, 0 changed, 0 unchanged, 0 deleted), 2 embedded by static"
    )
    assert "refused: 1 row, with their reasons in quarantine/corpus/dt=" in built.stderr
    again = corpus(environ, "build", "notes")
    assert again.stdout.startswith("up to date: notes, 2 rows, version ")
    (report,) = json.loads(corpus(environ, "build", "notes", "--full", "--json").stdout)
    assert (report["rows"], report["progress"]["embedded"], report["is_changed"]) == (2, 2, True)
    assert len(list(list_all(objects, "receipts/corpus/notes/"))) == 3

    mended = corpus(environ, "rebuild", "notes", group="index")
    assert mended.stdout.startswith("built: notes, 2 rows"), mended.stderr

    (state,) = json.loads(corpus(environ, "list", "--json").stdout)
    assert (state["state"], state["rows"], state["embedder"], state["dimension"]) == ("built", 2, "static", 256)
    assert "built" in corpus(environ, "list").stdout
    numbers = json.loads(corpus(environ, "stats", "notes", "--json").stdout)
    assert (numbers["rows"], numbers["fragments"], numbers["info"]["dataset"]) == (2, 1, "notes")
    assert "static" in corpus(environ, "stats", "notes").stdout


def test_states_tell_what_is_wrong(environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path) -> None:
    CorpusDesk(objects, tmp_path).put_rows(rows(1))
    folder = Path(environ["LAKEHOUSE_CORPORA_DIR"])
    assert corpus(environ, "build", "notes").returncode == 0
    (folder / "notes.yaml").write_text(NOTES.replace("{title}", "{title} {tags}"))
    (folder / "bad.yaml").write_text("name: [")
    (folder / "odd.yaml").write_text(NOTES.replace("notes", "odd").replace("static", "nope"))
    objects.put("lance/damaged/live.json", b"{")
    states = {s["name"]: (s["state"], s["problem"]) for s in json.loads(corpus(environ, "list", "--json").stdout)}
    assert states["notes"] == ("declaration changed", "")
    assert states["bad"][0] == "broken"
    assert "bad.yaml" in states["bad"][1]
    assert states["odd"][0] == "broken"
    assert "index rebuild damaged" in states["damaged"][1]
    assert "no embedder 'nope'" in states["odd"][1]
    CorpusDesk(objects, tmp_path).put_rows(rows(1), name="odd")
    refused = corpus(environ, "build", "odd")
    assert refused.returncode == 1
    assert "odd.yaml: embedder: there is no embedder 'nope'" in refused.stderr
    unknown = corpus(environ, "stats", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")


def test_declared_corpus_is_dropped_after_a_question_or_with_yes_alone(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    desk = CorpusDesk(objects, tmp_path)
    desk.put_rows(rows(1, 2))
    with api_process(objects, tmp_path / "api") as api, api.client() as client:
        environ |= {"LAKEHOUSE_API_PORT": str(api.port), "LAKEHOUSE_AUTH_TOKEN": TOKEN}
        assert client.post("/v1/vectors/index", json={"name": "own", "embedder": "static"}).status_code == 201
        assert corpus(environ, "drop", "own", group="index").stdout == "dropped own\n"
        missing = corpus(environ, "drop", "notes", group="index")  # declared, and not built
        assert (missing.returncode, missing.stdout) == (1, "")
        assert "no corpus 'notes'" in missing.stderr

        assert corpus(environ, "build", "notes").returncode == 0
        for said in ("", "n\n", "\n"):
            kept = corpus(environ, "drop", "notes", group="index", said=said)
            assert (said, kept.returncode, kept.stdout.strip()) == (said, 1, "")
            assert f"notes is declared in {environ['LAKEHOUSE_CORPORA_DIR']}/notes.yaml" in kept.stderr
            assert "the next build makes it again" in kept.stderr
        assert len(desk.stored()) == 2
        assert corpus(environ, "drop", "notes", group="index", said="y\n").stdout.strip() == "dropped notes"

        assert corpus(environ, "build", "notes").returncode == 0
        (Path(environ["LAKEHOUSE_CORPORA_DIR"]) / "notes.yaml").write_text("name: [")  # broken, and declared
        assert corpus(environ, "drop", "notes", group="index").returncode == 1
        done = corpus(environ, "drop", "notes", "--yes", group="index")
        assert (done.stdout, done.stderr) == ("dropped notes\n", "")


def test_build_killed_in_the_middle_serves_the_old_state_and_the_next_goes_on(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    desk = CorpusDesk(objects, tmp_path)
    desk.put_rows(rows(*range(10)))
    assert corpus(environ, "build", "notes").returncode == 0
    many = 60_000
    for attempt in range(5):  # a kill that comes when the build is done proves nothing
        serving, kept = desk.table().revision, sorted(desk.stored())
        desk.put_rows([row(number, title=f"try {attempt} of note {number}") for number in range(5, many)])
        kill_amid_build(environ, objects)
        if desk.table().revision == serving:
            break
    else:
        pytest.fail("of five kills each came too late to prove anything")
    assert sorted(desk.stored()) == kept
    (report,) = json.loads(corpus(environ, "build", "notes", "--json").stdout)
    done = report["progress"]
    assert 0 < done["embedded"] < many - 5, "what the killed build had embedded is taken over"
    assert (report["rows"], done["deleted"]) == (many - 5, len(set(kept) & {f"n{number}" for number in range(5)}))
    assert len(desk.stored()) == many - 5


def kill_amid_build(environ: dict[str, str], objects: S3ObjectStore) -> None:
    """Begin a build, and kill it when it has committed its first rows."""
    table = LanceTables(objects.location, objects).open("notes")
    assert table is not None
    before = table.version
    with subprocess.Popen(
        [sys.executable, "-m", "lakehouse_cli", "corpus", "build", "notes"], env=environ, cwd=environ["HOME"]
    ) as running:
        wait_until(
            lambda: running.poll() is not None or table.files.committed().version > before,
            "the build commits its first rows",
        )
        running.kill()
        assert running.wait() in (-signal.SIGKILL, 0)
