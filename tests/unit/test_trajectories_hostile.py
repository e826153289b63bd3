"""Files that are broken, too long, empty or of another format: what is used, what is refused, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.trajectory_import import Imported
from lakehouse.evidence.fitness import MAX_LINE_BYTES
from lakehouse.trajectories.run import Run
from lakehouse.trajectories.seen import SeenRuns
from tests.trajectories import import_bytes, json_lines, pair, refused_of, runs_of, steps_of, tau_file, tau_run

TAU = "gpt-4o-airline.json"


def one(format_: str, data: bytes, folder: Path, name: str = "a.jsonl") -> Imported:
    (imported,) = import_bytes(format_, {name: data}, folder)
    return imported


@pytest.mark.parametrize(("damage", "why"), [(b"@", "Expecting value"), (b"]", "Expecting value")])
def test_document_is_used_up_to_where_it_is_broken(damage: bytes, why: str) -> None:
    whole = tau_file(*(tau_run(n) for n in range(5)))
    at = whole.index(b'"task_id": 3') + len(b'"task_id": ')
    steps = steps_of("tau_bench", {TAU: whole[:at] + damage + whole[at + 1 :]})
    assert len([s for s in steps if isinstance(s, Run)]) == 3
    ((where, reason),) = refused_of(steps)
    newline = b"\n"
    assert where == f"line {whole[:at].count(newline) + 1}"
    assert reason == f"is not JSON: {why}; what stands behind it is not read"


def test_document_that_is_cut_off_is_used_up_to_there() -> None:
    whole = tau_file(*(tau_run(n) for n in range(5)))
    steps = steps_of("tau_bench", {TAU: whole[: whole.index(b'"task_id": 4')]})
    assert len([s for s in steps if isinstance(s, Run)]) == 4
    assert [reason.startswith("is not JSON: ") for _, reason in refused_of(steps)] == [True]


def test_broken_line_stands_alone() -> None:
    data = json_lines(pair(workload_id="a")) + b'{"request": @}\n\n' + json_lines(pair(workload_id="b"))
    steps = steps_of("openai_pairs", {"a.jsonl": data})
    assert [s.task_id for s in steps if isinstance(s, Run)] == ["openai-pairs/a", "openai-pairs/b"]
    assert [where for where, _ in refused_of(steps)] == ["line 2"]


@pytest.mark.parametrize(
    ("format_", "name", "data"),
    [
        ("tau_bench", TAU, tau_file(tau_run())),
        ("openai_pairs", "a.jsonl", json_lines(pair())),
        ("openhands_index", "M/instance_results/gaia.json", b'{"a": {"cost": 1, "resolved": true}}'),
    ],
)
def test_byte_order_mark_is_passed_over(format_: str, name: str, data: bytes) -> None:
    assert len(runs_of(format_, {name: b"\xef\xbb\xbf" + data})) == 1


@pytest.mark.parametrize("format_", ["tau_bench", "openai_pairs", "otlp_genai"])
def test_empty_file_is_said_to_be_empty(format_: str, tmp_path: Path) -> None:
    assert one(format_, b"", tmp_path, "a.json").error == "a.json is empty; nothing was imported"


@pytest.mark.parametrize(
    ("format_", "data"),
    [
        ("tau_bench", json_lines(pair())),
        ("tau_bench", json.dumps([pair()]).encode()),
        ("tau_bench", b"\x00\x01\xff"),
        ("openai_pairs", tau_file(tau_run())),
        ("openai_pairs", b"a,b\n1,2\n"),
        ("otlp_genai", json_lines(pair())),
        ("otlp_genai", json.dumps(pair(), indent=1).encode()),
        ("otlp_genai", b"[]"),
    ],
)
def test_file_of_another_format_is_said_to_be_none(format_: str, data: bytes, tmp_path: Path) -> None:
    imported = one(format_, data, tmp_path, "a.json")
    assert imported.error.startswith(f"a.json is not a file of {format_}: none of what was read is a run of it")
    assert imported.error.endswith("Nothing was imported")
    assert list(tmp_path.iterdir()) == []


def test_array_without_runs_is_in_order(tmp_path: Path) -> None:
    imported = one("tau_bench", b"[]", tmp_path, "a.json")
    assert (imported.error, imported.summary.runs, imported.key) == ("", 0, None)


def test_line_that_is_too_long_is_refused_and_the_next_is_taken() -> None:
    long = pair(client_id="x" * (50 << 20))
    steps = steps_of("openai_pairs", {"a.jsonl": json_lines(long, pair())})
    assert refused_of(steps) == [("line 1", "is longer than 16 MiB")]
    assert len([s for s in steps if isinstance(s, Run)]) == 1


def test_run_that_is_too_long_is_refused_and_the_next_is_taken(tmp_path: Path) -> None:
    long = tau_run(0, text="x" * (MAX_LINE_BYTES + 1))
    imported = one("tau_bench", tau_file(long, tau_run(1)), tmp_path, TAU)
    assert (imported.summary.runs, imported.summary.refused) == (1, 1)
    assert imported.summary.first_refusals[0].startswith("task 0, trial 0: a line of 'agent_trajectories' has ")


def test_run_that_stands_twice_is_taken_once_and_with_other_content_refused(tmp_path: Path) -> None:
    runs = [tau_run(0), tau_run(0), tau_run(0, reward=0.0), tau_run(1)]
    summary = one("tau_bench", tau_file(*runs), tmp_path, TAU).summary
    assert (summary.runs, summary.duplicates, summary.refused) == (2, 1, 1)
    assert "stands in this file twice, with different content" in summary.first_refusals[0]


def test_same_pair_twice_is_one_run(tmp_path: Path) -> None:
    summary = one("openai_pairs", json_lines(pair(), pair(), pair(timestamp=1)), tmp_path).summary
    assert (summary.runs, summary.duplicates, summary.refused) == (2, 1, 0)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("x\x00y", "x%00y"), ("naïve 任务", "naïve 任务"), ("a\nb", "a%0Ab"),
        ("..", ".."), (7, "7"),
    ],
)  # fmt: skip
def test_ids_hold_every_text_without_being_mixed_up(task: Any, expected: str) -> None:
    (run,) = runs_of("tau_bench", {TAU: tau_file(tau_run(task))})
    assert run.run_id == f"taubench/gpt-4o-airline/{expected}/0"


def test_id_that_is_too_long_is_refused() -> None:
    steps = steps_of("tau_bench", {TAU: tau_file(tau_run("x" * 500))})
    assert [reason for _, reason in refused_of(steps)] == ["its id has 526 characters; at most 512 are allowed"]


def test_text_that_is_no_utf8_is_refused() -> None:
    data = json_lines(pair()).replace(b"6*7?", b"\xff\xfe") + json_lines(pair())
    steps = steps_of("openai_pairs", {"a.jsonl": data})
    assert refused_of(steps) == [("line 1", "is no UTF-8")]


def test_lone_surrogate_and_deep_nesting_are_refused(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(600):
        deep = [deep]
    surrogate = json_lines(pair()).replace(b"6*7?", b"\\ud800")
    summary = one("openai_pairs", json_lines(pair(), pair(client_id=deep)) + surrogate, tmp_path).summary
    assert (summary.runs, summary.refused) == (1, 2)
    assert "is nested deeper than 254 levels" in summary.first_refusals[0]


def test_file_of_another_format_is_not_read_to_its_end(tmp_path: Path) -> None:
    imported = one("openai_pairs", b"{}\n" * 5_000, tmp_path)
    assert "none of what was read is a run of it" in imported.error


def test_number_beyond_its_column_is_refused() -> None:
    usage = {"prompt_tokens": 2**70, "completion_tokens": 1}
    steps = steps_of("openai_pairs", {"a.jsonl": json_lines(pair(response={**pair()["response"], "usage": usage}))})
    assert [reason.startswith("usage.prompt_tokens is ") for _, reason in refused_of(steps)] == [True]


def test_runs_are_known_again_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.trajectories.seen._RECENT", 64)
    seen = SeenRuns()
    assert {seen.add(str(n), b"x") for n in range(1_000)} == {None}
    assert {seen.add(str(n), b"x") for n in range(1_000)} == {True}
    assert {seen.add(str(n), b"y") for n in range(1_000)} == {False}
