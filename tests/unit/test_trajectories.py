"""Formats of runs: what each makes of its elements, and what becomes of elements that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import BadInput, TooLarge
from lakehouse.trajectories import code_review_bench
from lakehouse.trajectories.formats import FORMATS, format_of, origin_of
from lakehouse.trajectories.moments import moment_of
from lakehouse.trajectories.run import Run, Unusable
from tests.trajectories import JUDGE, json_lines, pair, refused_of, runs_of, steps_of, tau_file, tau_run

TAU = "gpt-4o-airline.json"


def test_trials_of_a_task_are_runs_of_their_own() -> None:
    runs = runs_of("tau_bench", {TAU: tau_file(tau_run(3, 0), tau_run(3, 1, reward=0.0))})
    assert [r.run_id for r in runs] == ["taubench/gpt-4o-airline/3/0", "taubench/gpt-4o-airline/3/1"]
    assert {r.task_id for r in runs} == {"taubench/airline/3"}
    assert [r.fields["reward"] for r in runs] == [1.0, 0.0]
    assert runs[0].fields["model"] == "gpt-4o"
    assert runs[0].fields["provider"] == "openai"
    assert runs[0].fields["tau_bench"] == {"info": {"user_cost": 0.1}}


def test_file_of_another_name_has_the_model_that_is_told_and_tasks_of_its_own() -> None:
    (run,) = runs_of("tau_bench", {"mine.json": tau_file(tau_run())}, model="small-1", source="lab")
    assert (run.run_id, run.task_id, run.fields["model"]) == ("lab/mine/0/0", "lab/mine/0", "small-1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traj": []}, "traj is empty"),
        ({"traj": [{"content": "x"}]}, "traj[0].role is missing, where a text is needed"),
        ({"traj": "x"}, "traj is a text, where an array is needed"),
        ({"trial": None}, "trial is missing"),
        ({"trial": 1.5}, "trial is 1.5, where a whole number from 0 is needed"),
        ({"reward": True}, "reward is a boolean, where a number is needed"),
        ({"task_id": ""}, "task_id is empty, where a text is needed"),
    ],
)
def test_element_that_is_no_run_is_refused_with_its_reason_and_others_go_on(change: Any, reason: str) -> None:
    steps = steps_of("tau_bench", {TAU: tau_file(tau_run(0), {**tau_run(1), **change}, tau_run(2))})
    assert [s.task_id for s in steps if isinstance(s, Run)] == ["taubench/airline/0", "taubench/airline/2"]
    (found,) = refused_of(steps)
    assert found[0].startswith("element 1 (line ")
    assert found[1] == reason


def test_outcomes_without_messages_are_runs() -> None:
    rows = {
        "a/1": {"cost": 0.5, "resolved": True},
        "b": {"cost": None, "resolved": False},
        "c": {"cost": 1, "resolved": None},
    }
    runs = runs_of("openhands_index", {"x/M-1/instance_results/gaia.json": json.dumps(rows).encode()})
    assert [(r.run_id, r.task_id) for r in runs] == [
        (f"openhands-index/M-1/gaia/{i}/0", f"openhands-index/gaia/{i}") for i in ("a%2F1", "b", "c")
    ]
    assert [(r.fields["reward"], r.fields["cost_usd"]) for r in runs] == [(1.0, 0.5), (0.0, None), (None, 1)]
    assert {r.fields["messages"] for r in runs} == {None}


def test_outcome_that_says_nothing_is_refused() -> None:
    rows = {"a": {"cost": None, "resolved": None}, "b": {"cost": 1}, "c": {"cost": "x", "resolved": True}, "d": 1}
    steps = steps_of("openhands_index", {"M/instance_results/gaia.json": json.dumps(rows).encode()})
    assert [reason for _, reason in refused_of(steps)] == [
        "neither resolved nor cost says anything",
        "resolved is neither true, false nor null",
        "cost is a text, where a number is needed",
        "the row is a number, where an object is needed",
    ]


EVALUATION = {
    "true_positives": [{"golden_comment": "Off by one", "matched_candidate": "i <= n", "confidence": 0.9}],
    "false_positives": [], "false_negatives": [], "tp": 1, "fp": 0, "fn": 0, "precision": 1.0, "recall": 1.0,
}  # fmt: skip
PULL = "https://github.com/a/b/pull/7"


def review_files(**evaluations: Any) -> dict[str, bytes]:
    golden = [{"pr_title": "Loop", "url": PULL, "comments": [{"comment": "Off by one", "severity": "High"}]}]
    return {
        "r/evaluations.json": json.dumps({PULL: evaluations}).encode(),
        "r/candidates.json": json.dumps({PULL: {"qodo": [{"text": "i <= n"}]}}).encode(),
        "golden_comments/b.json": json.dumps(golden).encode(),
    }


def test_judgement_of_a_model_is_recorded_as_its_own_and_is_no_reward() -> None:
    runs = runs_of("code_review_bench", review_files(qodo=EVALUATION, kg=EVALUATION), judge=JUDGE)
    assert [r.run_id for r in runs] == [
        f"code-review-bench/judges%2Fone/github.com%2Fa%2Fb%2Fpull%2F7/{tool}" for tool in ("qodo", "kg")
    ]
    assert {r.task_id for r in runs} == {"code-review-bench/github.com%2Fa%2Fb%2Fpull%2F7"}
    fields = runs[0].fields
    assert (fields["reward"], fields["messages"], fields["role"]) == (None, None, "reviewer")
    assert (fields["judgement"]["by"], fields["judgement"]["precision"]) == (JUDGE, 1.0)
    assert fields["golden_comments"] == [{"comment": "Off by one", "severity": "High"}]
    assert [r.fields["candidates"] for r in runs] == [[{"text": "i <= n"}], None]


def test_judge_is_named_by_the_path_or_has_to_be_told() -> None:
    files = review_files(qodo=EVALUATION)
    with pytest.raises(BadInput, match="nothing names the model that judged; say it, such as --judge"):
        steps_of("code_review_bench", files)
    moved = {name.replace("r/", "results/opus-9/"): data for name, data in files.items()}
    (run,) = runs_of("code_review_bench", moved)
    assert run.fields["judgement"]["by"] == "opus-9"


def test_what_is_looked_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_review_bench, "MAX_HELD_BYTES", 100)
    with pytest.raises(TooLarge, match="have more than"):
        steps_of("code_review_bench", review_files(qodo=EVALUATION), judge=JUDGE)


def test_pair_is_a_run_with_the_answer_behind_what_was_asked() -> None:
    (run,) = runs_of("openai_pairs", {"a.jsonl": json_lines(pair())})
    assert run.run_id.startswith("openai-pairs/sums/")
    assert run.task_id == "openai-pairs/sums"
    fields = run.fields
    assert [m["role"] for m in fields["messages"]] == ["user", "assistant"]
    assert fields["timestamp"] == "2026-03-04T09:30:00.000000Z"
    assert (fields["model"], fields["requested_model"], fields["reward"]) == ("small-1", "small", None)
    assert (fields["prompt_tokens"], fields["completion_tokens"]) == (5, 2)
    assert fields["settings"] == {"temperature": 0.5}


def test_choices_of_a_response_are_runs_and_share_what_they_cost() -> None:
    choices = [{"message": {"role": "assistant", "content": c}} for c in "ab"]
    response = {**pair()["response"], "choices": choices}
    runs = runs_of("openai_pairs", {"a.jsonl": json_lines(pair(response=response))})
    assert [r.run_id.rsplit("/", 1)[1] for r in runs] == ["0", "1"]
    assert [r.fields["messages"][-1]["content"] for r in runs] == ["a", "b"]
    assert {r.fields["completion_tokens"] for r in runs} == {None}
    assert runs[0].fields["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"request": {"messages": []}}, "request.messages is empty"),
        ({"response": {"choices": []}}, "response.choices is empty"),
        ({"response": {"error": "x"}}, "response.choices is missing, where an array is needed"),
        (
            {"response": {"choices": [{"text": "x"}]}},
            "response.choices[0].message is missing, where an object is needed",
        ),
        ({"workload_id": None}, "workload_id is missing, where a text is needed"),
        ({"timestamp": 1e30}, "timestamp 1e+30 is in no unit of time between 1970 and 2199"),
        ({"timestamp": "2026-03-04 09:30:00"}, "timestamp '2026-03-04 09:30:00' has no zone"),
    ],
)
def test_pair_that_is_none_is_refused(change: Any, reason: str) -> None:
    steps = steps_of("openai_pairs", {"a.jsonl": json_lines(pair(), pair(**change))})
    assert refused_of(steps) == [("line 2", reason)]


@pytest.mark.parametrize("value", [1_772_616_600, 1_772_616_600_000, 1_772_616_600_000_000, 1_772_616_600_000_000_000])
def test_time_is_the_same_in_every_unit(value: int) -> None:
    assert moment_of(value) == "2026-03-04T09:30:00.000000Z"
    assert moment_of(float(value)) == "2026-03-04T09:30:00.000000Z"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_772_616_600.25, "2026-03-04T09:30:00.250000Z"),
        (1_772_616_600_123, "2026-03-04T09:30:00.123000Z"),
        ("2026-03-04T10:30:00+01:00", "2026-03-04T09:30:00.000000Z"),
        (None, None),
    ],
)
def test_time_is_read(value: Any, expected: str | None) -> None:
    assert moment_of(value) == expected


@pytest.mark.parametrize("value", [-1, True, float("nan"), "soon", "1960-01-01T00:00:00Z", [], 10**30])
def test_time_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(Unusable):
        moment_of(value)


@pytest.mark.parametrize("name", ["openai_pairs", "otlp_genai"])
def test_licence_of_what_is_not_known_has_to_be_told(name: str) -> None:
    with pytest.raises(BadInput, match=f"runs of {name} need a licence.*--licence MIT"):
        origin_of(format_of(name), source=None, licence=None)
    assert origin_of(format_of(name), source=None, licence="MIT").licence == "MIT"


@pytest.mark.parametrize("source", ["", "a//b", "/a", "a/", "a\nb", "50%", "a" * 129])
def test_source_that_ids_cannot_begin_with_is_refused(source: str) -> None:
    with pytest.raises(BadInput, match="cannot be the begin of ids"):
        origin_of(FORMATS["tau_bench"], source=source or "/", licence=None)


def test_unknown_format_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="formats are code_review_bench, openai_pairs, openhands_index"):
        format_of("tau")


def test_files_are_told_apart_by_their_names() -> None:
    plan = FORMATS["openhands_index"].plan
    found = plan(["M/instance_results/gaia.json", "M/metadata.json", "M/scores.json", "notes.txt", "gaia.json"])
    assert [dict(job.parts) for job in found.jobs] == [{"model": "M", "benchmark": "gaia"}]
    assert (found.references, found.unknown) == (("M/scores.json",), ("notes.txt", "gaia.json"))


def test_published_runs_of_tau_bench_are_all_taken(shared_data: Path) -> None:
    data = (shared_data / "taubench" / TAU).read_bytes()
    runs = runs_of("tau_bench", {TAU: data})
    published = json.loads(data)
    assert len({r.run_id for r in runs}) == len(runs) == len(published) == 200
    assert len({r.task_id for r in runs}) == 50
    assert [r.fields["messages"] for r in runs] == [p["traj"] for p in published]
