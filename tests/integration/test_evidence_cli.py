"""`lakehouse materialize`, `score`, `export`, `fold-back`: the whole way from raw lines to corpora."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.commands import run_command
from tests.dagster_lake import lake_environ
from tests.integration.test_scored_assets import put, trajectory

DAY = date(2026, 3, 1)


@pytest.fixture
def environ(objects: S3ObjectStore, tmp_path: Path) -> dict[str, str]:
    put(
        objects, "agent_trajectories", DAY, [*(trajectory(n, DAY, reward=float(n % 2)) for n in range(8)), b"{broken\n"]
    )
    own = {"PATH": os.defpath, "HOME": str(tmp_path), "COLUMNS": "200"}
    return {**own, **lake_environ(objects, tmp_path / "data")}


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, environ=environ, cwd=environ["HOME"])


def test_raw_lines_become_a_corpus_in_three_commands(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    dry = run(environ, "materialize", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout.splitlines() == [
        f"agent_trajectories {DAY}: 1 raw object",
        "would make the evidence of 1 day",
    ]
    assert not list(list_all(objects, "evidence/"))
    made = run(environ, "materialize", "agent_trajectories", "--from", "2026-01-01")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[0] == f"agent_trajectories {DAY}: 8 new, 1 quarantined"
    assert run(environ, "materialize").stdout == "nothing new\n"
    sent = run(environ, "exchange", "evidence-out", "evidence.jsonl", "--stream", "agent_trajectories")
    assert (sent.returncode, sent.stderr) == (0, "wrote 8 records\n")
    came = run(environ, "exchange", "evidence-in", "evidence.jsonl", "--dry-run")
    assert came.stdout == "would take in 8 lines as 1 raw object\n"
    assert run(environ, "score", "--dry-run").stdout.splitlines() == [str(DAY), "would score 1 day"]
    assert run(environ, "score").stdout.splitlines() == [f"{DAY}: 8 runs", "scored 1 day"]
    assert run(environ, "score").stdout == "nothing new\n"
    built = run(environ, "export", "sft", "--to", "corpus", "--json")
    assert (built.returncode, built.stderr) == (0, "")
    told = json.loads(built.stdout)
    assert (told["is_new"], told["counts"]["samples"]) == (True, 4)
    names = {path.name for path in (tmp_path / "corpus").iterdir()}
    assert {"manifest.json", "README.md", "provenance.parquet"} <= names
    again = run(environ, "export", "sft")
    assert again.stdout.startswith(f"there already: sft {told['build_id']}: 4 samples of")
    _export_in_place_of_another(environ, tmp_path / "corpus")


def _export_in_place_of_another(environ: dict[str, str], folder: Path) -> None:
    first = {path.stem for path in (folder / "trl").iterdir()}
    assert "train" in first
    (folder / "notes.txt").write_text("mine")
    parameters = folder.parent / "p.json"
    parameters.write_text('{"split_shares": [0, 0, 1]}')
    assert run(environ, "export", "sft", "--to", "corpus", "--parameters", "p.json").returncode == 0
    assert [path.name for path in (folder / "trl").iterdir()] == ["test.parquet"]  # no split of the build before
    assert (folder / "notes.txt").read_text() == "mine"
    named = json.loads((folder / "manifest.json").read_text())["files"]
    assert {"notes.txt", "manifest.json", *(file["name"] for file in named)} == {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }
    parameters.write_text('{"sources": ["nobody"]}')
    none = run(environ, "export", "sft", "--parameters", "p.json")
    assert (none.returncode, "no run passes `sources`" in none.stdout) == (0, True)


def test_objects_that_are_not_read_are_named_with_what_to_do(environ: dict[str, str], objects: S3ObjectStore) -> None:
    for name in (f"dt={DAY}/more.jsonl.gz", "loose.jsonl"):
        objects.put(f"raw/audits/{name}", b"x")
    done = run(environ, "materialize", "audits", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert done.stderr == (
        f"audits: 2 objects are not read: 'raw/audits/dt={DAY}/more.jsonl.gz', 'raw/audits/loose.jsonl'; raw lines are"
        " read from raw/<stream>/dt=YYYY-MM-DD/<name>.jsonl, not compressed: put them there, or remove them\n"
    )


def test_folders_of_no_stream_are_named_with_the_streams_there_are(
    environ: dict[str, str], objects: S3ObjectStore
) -> None:
    for name in ("chat_call", "gone"):
        objects.put(f"raw/{name}/dt={DAY}/a.jsonl", b"{}\n")
    objects.delete(f"raw/gone/dt={DAY}/a.jsonl")
    done = run(environ, "materialize", "--dry-run")
    assert done.returncode == 0
    assert "1 folder is not read, for there is no such stream: raw/chat_call/; streams are agent_traj" in done.stderr
    assert "no such stream" not in run(environ, "materialize", "audits", "--dry-run").stderr


def test_wrong_options_say_what_to_write(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"max_tokens": 0}')
    for arguments, said in (
        (("materialize", "nothing"), "stream 'nothing' is unknown; streams are agent_trajectories"),
        (("materialize", "--from", "yesterday"), "'yesterday' is not a day; write YYYY-MM-DD"),
        (("materialize", "--from", "2026-03-02", "--to", "2026-03-01"), "lies before --from"),
        (("export", "dpo"), "must be one of sft, preference, rag"),
        (("export", "sft", "--parameters", "p.json"), "max_tokens is 0; it must be at least 1"),
    ):
        done = run(environ, *arguments)
        assert done.returncode in (1, 2), (arguments, done.stdout)
        assert said in " ".join(done.stderr.replace("│", " ").split()), (arguments, done.stderr)
