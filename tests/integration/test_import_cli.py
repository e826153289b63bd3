"""`lakehouse import`: what it prints, its exit codes, what lies in the bucket afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.commands import run_command
from tests.dagster_lake import lake_environ
from tests.trajectories import json_lines, pair, tau_file, tau_run


@pytest.fixture
def environ(objects: S3ObjectStore, tmp_path: Path) -> dict[str, str]:
    own = {"PATH": os.defpath, "HOME": str(tmp_path), "COLUMNS": "200"}
    return {**own, **lake_environ(objects, tmp_path / "data")}


def import_(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command("import", *arguments, environ=environ, cwd=environ["HOME"])


def keys(objects: S3ObjectStore) -> list[str]:
    return sorted(info.key for info in list_all(objects, ""))


def test_files_are_imported_once(environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "gpt-4o-airline.json").write_bytes(tau_file(tau_run(0), tau_run(1)))
    dry = import_(environ, "tau_bench", "gpt-4o-airline.json", "--dry-run")
    assert (dry.returncode, keys(objects)) == (0, [])
    assert dry.stdout.splitlines()[-1].startswith("would import 2 runs; 0 refused")
    done = import_(environ, "tau_bench", "gpt-4o-airline.json", "--report", "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    (key,) = keys(objects)
    assert done.stdout.splitlines()[0] == f"gpt-4o-airline.json: 2 runs -> {key}"
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["format"], report["licence"], report["files"][0]["key"]) == ("tau_bench", "MIT", key)
    again = import_(environ, "tau_bench", "gpt-4o-airline.json")
    assert (again.returncode, keys(objects)) == (0, [key])
    assert again.stdout.splitlines()[0] == f"gpt-4o-airline.json: imported before, as {key}"
    told = json.loads(import_(environ, "tau_bench", "gpt-4o-airline.json", "--json").stdout)
    assert (told["format"], told["files"][0]["key"], told["files"][0]["is_new"]) == ("tau_bench", key, False)


def test_refused_lines_are_exit_code_one_and_told(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_bytes(json_lines(pair(), pair(workload_id=None)))
    done = import_(environ, "openai_pairs", "a.jsonl", "--licence", "MIT", "--source", "support")
    assert done.returncode == 1
    assert "refused line 2: workload_id is missing, where a text is needed" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("imported 1 run; 1 refused")
    assert [key.split("/")[0] for key in keys(objects)] == ["quarantine", "raw"]


def test_wrong_format_or_option_is_exit_code_two_and_others_go_on(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(json_lines(pair()))
    (folder / "b.jsonl").write_bytes(b"a,b\n1,2\n")
    (folder / "c.jsonl").write_bytes(b"")
    done = import_(environ, "openai_pairs", "runs", "--licence", "MIT")
    assert done.returncode == 2
    assert [line.split(" is ")[0] for line in done.stderr.splitlines()] == [
        "error: runs/b.jsonl",
        "error: runs/c.jsonl",
    ]
    assert len(keys(objects)) == 1
    for arguments, said in (
        (("openai_pairs", "runs"), "--licence MIT"),
        (("tau_bench", "absent.json"), "does not exist"),
    ):
        wrong = import_(environ, *arguments)
        assert wrong.returncode == 2
        assert said in " ".join(wrong.stderr.replace("│", " ").split())


def test_published_figures_that_rows_contradict_are_told(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "index" / "M-1" / "instance_results"
    folder.mkdir(parents=True)
    (folder / "gaia.json").write_text('{"a": {"cost": 1.0, "resolved": true}, "b": {"cost": 3.0, "resolved": false}}')
    scores = [{"benchmark": "gaia", "metric": "accuracy", "score": 75.0, "cost_per_instance": 2.0}]
    (folder.parent / "scores.json").write_text(json.dumps(scores))
    done = import_(environ, "openhands_index", "index", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    assert "published figures: 1 contradicted, 1 holds" in done.stdout
    assert "gaia  M-1  score  75  50  contradicted" in " ".join(done.stdout.split("\n")[3].split()).replace(" ", "  ")
    (found, _) = json.loads((tmp_path / "report.json").read_text())["published"]
    assert (found["model"], found["benchmark"], found["field"]) == ("M-1", "gaia", "score")
    assert (found["published"], found["recomputed"], found["verdict"]) == (75.0, 50.0, "contradicted")
    (folder.parent / "scores.json").write_text("{}")
    broken = import_(environ, "openhands_index", "index")
    assert broken.returncode == 2
    assert "scores.json: the document is an object, where an array is needed" in broken.stderr
