"""Scores of runs: which ground beats which, whose word counts, what is refused, which days a word touches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.scoring_facts import runs_statement
from lakehouse.chat.families import _families
from lakehouse.events.envelope import STREAMS
from lakehouse.scoring import default_rules
from lakehouse.scoring.facts import FACTS
from lakehouse.scoring.lineage import lineage_sql
from lakehouse.scoring.signs import default_signs
from lakehouse.scoring.streams import SCORED, SILENT, TESTIMONY
from lakehouse.tables.reserved import RESERVED_VIEWS
from lakehouse.tables.scored import MEANING, SCORES, scored_schema
from tests.evidence import Maker
from tests.scoring import (
    Record,
    Scorer,
    call,
    day,
    event,
    outcome,
    record,
    review,
    trajectory,
    validation,
)  # fmt: skip


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    made = Scorer()
    yield made
    made.close()


def rule_of(scorer: Scorer, *records: Record) -> tuple[str, str]:
    """Score and deciding rule of the run `a`."""
    row = scorer.score(records).of("a")
    return row["score"], row["rule"]


def test_schema_is_that_of_the_reserved_view() -> None:
    with duckdb.connect() as engine:
        engine.register("scored", scored_schema().empty_table())
        columns = {row[0]: row[1] for row in engine.execute("DESCRIBE scored").fetchall()}
    assert columns == RESERVED_VIEWS["scored"]
    assert list(columns) == list(MEANING)


def test_every_stream_is_runs_or_testimony_or_silent() -> None:
    told = {*SCORED, *TESTIMONY, *SILENT}
    assert told == STREAMS, f"in which table of lakehouse/scoring/streams.py is each? {sorted(told ^ STREAMS)}"
    assert len(told) == len(SCORED) + len(TESTIMONY) + len(SILENT)


def test_every_run_has_one_row_and_testimony_none(scorer: Scorer) -> None:
    told = scorer.score(
        [
            call("a"), call("judge", model_role="reviewer"), trajectory("t"), record("workflow_nodes", "w/1"),
            record("replay_runs", "p", output_text="x"), outcome("a", 1), review("t", "accept"), event("p", "accept"),
            validation("trace-a", True, minute=1), record("audits", "au"), record("searches", "s"),
            record("workflow_nodes", "w/not-run", failure_markers=["node.skipped"]),
        ]
    )  # fmt: skip
    assert [row["run_id"] for row in told.rows] == ["a", "p", "t", "w/1"]
    assert told.counts.testimony == 4


@pytest.mark.parametrize(
    ("others", "score", "rule"),
    [
        ([], "partially_accepted", "heuristic.unjudged"),
        ([outcome("a", 1)], "accepted", "outcomes.good"),
        ([outcome("a", 0.2)], "partially_accepted", "outcomes.mixed"),
        ([outcome("a", 0)], "partially_accepted", "heuristic.unjudged"),
        ([outcome("a", -0.1)], "rejected", "outcomes.bad"),
        ([outcome("a", 1, answer="x"), outcome("a", -1, answer="y")], "partially_accepted", "outcomes.mixed"),
        ([outcome("a", 1, by="x"), outcome("a", -1, by="y")], "needs_human_review", "outcomes.disputed"),
        ([outcome("a", 1), outcome("a", -1, minute=5)], "rejected", "outcomes.bad"),
        ([outcome("a", -1), outcome("a", 1, minute=5)], "accepted", "outcomes.good"),
        ([outcome("a", 1), validation("trace-a", False, minute=1)], "accepted", "outcomes.good"),
        ([review("a", "reject"), outcome("a", 1)], "rejected", "human.rejects"),
        ([review("a", " Accept ")], "accepted", "human.accepts"),
        ([review("a", "cycle")], "rejected", "human.sends_back"),
        ([review("a", "accept"), review("a", "reject", by="bo", minute=3)], "rejected", "human.rejects"),
        ([review("a", "accept", minute=3), review("a", "reject", by="bo")], "accepted", "human.accepts"),
        ([review("a", "so so")], "needs_human_review", "human.unread"),
        ([validation("trace-a", True, minute=1)], "accepted", "validator.passes"),
        ([validation("trace-a", False, minute=1)], "rejected", "validator.refuses"),
        (
            [validation("trace-a", False, minute=1), validation("trace-a", True, minute=2)],
            "accepted", "validator.passes",
        ),
        (
            [validation("trace-a", True, minute=2), validation("trace-a", False, kind="sms", minute=1)],
            "rejected", "validator.refuses",
        ),
        ([validation("trace-a", True, minute=61)], "partially_accepted", "heuristic.unjudged"),
        ([validation("other", False, minute=1)], "partially_accepted", "heuristic.unjudged"),
        (
            [validation("trace-a", True, minute=1), event("a", "reject", model="gpt-4o")],
            "needs_human_review", "validator.and_judge_contradict",
        ),
        ([review("a", "accept", model="SmolLM2-1.7B")], "partially_accepted", "judge.accepts"),
        ([review("a", "accept", model="judge-of-my-own")], "partially_accepted", "judge.accepts"),
        ([event("a", "accept")], "partially_accepted", "judge.accepts"),
        ([event("a", "accept", model="openai/gpt-4o")], "accepted", "judge.of_another_lineage_accepts"),
        (
            [review("a", "accept", model="smollm2-1.7b"), event("a", "accept", model="qwen2.5")],
            "accepted", "judge.of_another_lineage_accepts",
        ),
        (
            [review("a", "accept", model="smollm2-1.7b"), validation("trace-a", True, minute=1)],
            "accepted", "validator.passes",
        ),
        ([review("a", "accept", model="gpt-4o", confidence=0.4)], "partially_accepted", "heuristic.unjudged"),
        ([review("a", "reject", model="gpt-4o")], "rejected", "judge.rejects"),
        ([event("a", "cycle", model="gpt-4o")], "needs_human_review", "judge.sends_back"),
        (
            [event("a", "accept", model="gpt-4o"), event("a", "reject", model="qwen2.5")],
            "needs_human_review", "judges.contradict",
        ),
        (
            [event("a", "accept", model="gpt-4o"), event("a", "reject", model="gpt-4o", minute=1)],
            "rejected", "judge.rejects",
        ),
    ],
)  # fmt: skip
def test_what_others_say_of_a_call(scorer: Scorer, others: list[Record], score: str, rule: str) -> None:
    assert rule_of(scorer, call("a"), call("b"), *others) == (score, rule)


@pytest.mark.parametrize(
    ("fields", "score", "rule"),
    [
        ({"failure_markers": ["call.failed"], "output_text": None}, "rejected", "run.failed"),
        ({"failure_markers": ["call.cancelled"]}, "rejected", "run.cancelled"),
        ({"output_text": " \n"}, "rejected", "run.empty"),
        ({"failure_markers": ["finish.length"]}, "partially_accepted", "heuristic.cut"),
        ({"failure_markers": ["input.injection.role"]}, "needs_human_review", "heuristic.injection"),
        ({"failure_markers": ["output.personal.phone"]}, "partially_accepted", "heuristic.unjudged"),
        ({"output_text": "I’m sorry, I can’t help."}, "needs_human_review", "heuristic.gives_up"),
        ({"metadata": {"label": "resolved"}}, "accepted", "label.success"),
        ({"metadata": {"outcome": True}}, "accepted", "label.success"),
        ({"metadata": {"outcome": "Partially_Resolved"}}, "partially_accepted", "label.partial"),
        ({"metadata": {"outcome": "FAILED "}}, "rejected", "label.failure"),
        ({"metadata": {"outcome": "pass", "label": "fail"}}, "needs_human_review", "label.contradicts"),
        ({"metadata": {"outcome": "pending"}}, "partially_accepted", "heuristic.unjudged"),
        ({"metadata": {"outcome": {"resolved": True}}}, "needs_human_review", "label.unread"),
        ({"observer": {"verdict": "accept", "confidence": 1.0, "notes": []}}, "partially_accepted", "judge.accepts"),
        ({"human_override": {"verdict": "approved", "by": "x", "at": None}}, "accepted", "human.accepts"),
    ],
)
def test_what_a_call_shows_by_itself(scorer: Scorer, fields: Record, score: str, rule: str) -> None:
    assert rule_of(scorer, call("a", **fields)) == (score, rule)


def tool(name: str, answer: str, *, number: str = "1", asked: str = "{}") -> list[dict[str, Any]]:
    made = {"id": number, "type": "function", "function": {"name": name, "arguments": asked}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": number, "content": answer},
    ]


DONE = [{"role": "assistant", "content": "It is booked."}]


@pytest.mark.parametrize(
    ("messages", "score", "rule"),
    [
        (DONE, "partially_accepted", "heuristic.unjudged"),
        ([], "needs_human_review", "heuristic.silent"),
        ([{"role": "user", "content": "hello?"}], "needs_human_review", "heuristic.silent"),
        ([{"role": "assistant", "content": " "}], "rejected", "run.empty"),
        (tool("book", "ok"), "needs_human_review", "heuristic.ends_in_tool"),
        (tool("book", "Error: sold out") + DONE, "needs_human_review", "heuristic.tool_error_open"),
        (
            tool("book", "Error: sold out") + tool("book", "ok", asked='{"n":2}') + DONE,
            "partially_accepted", "heuristic.unjudged",
        ),
        (tool("find", '{"error": "no"}') + DONE, "needs_human_review", "heuristic.tool_error_open"),
        (tool("find", '{"error": null, "found": 1}') + DONE, "partially_accepted", "heuristic.unjudged"),
        (tool("transfer_to_human_agents", "ok") + DONE, "needs_human_review", "heuristic.hands_over"),
        (tool("transfer_money", "ok") + DONE, "partially_accepted", "heuristic.unjudged"),
        (tool("find", "none") * 3 + DONE, "rejected", "heuristic.loop"),
        # The same question with other answers is no loop: tests are run again after each change.
        (
            tool("run_tests", "3 fail") + tool("run_tests", "1 fail") + tool("run_tests", "pass") + DONE,
            "partially_accepted", "heuristic.unjudged",
        ),
        ([{"role": "assistant", "content": "I cannot do that."}], "needs_human_review", "heuristic.gives_up"),
        (
            [{"role": "assistant", "content": "I cannot see it yet."}, {"role": "user", "content": "1"}, *DONE],
            "partially_accepted", "heuristic.unjudged",
        ),
        ([{"role": "assistant", "content": [{"type": "text", "text": "Done"}]}], "partially_accepted",
         "heuristic.unjudged"),
        ([1, "x", {"role": 7, "tool_calls": {"no": "list"}}, *DONE], "partially_accepted", "heuristic.unjudged"),
    ],
)  # fmt: skip
def test_what_a_trajectory_shows_by_itself(scorer: Scorer, messages: list[Any], score: str, rule: str) -> None:
    assert rule_of(scorer, trajectory("a", messages)) == (score, rule)


@pytest.mark.parametrize(
    ("made", "score", "rule"),
    [
        (record("workflow_nodes", "a"), "partially_accepted", "heuristic.unjudged"),
        (record("workflow_nodes", "a", failure_markers=["node.failed"]), "rejected", "run.failed"),
        (record("workflow_nodes", "a", failure_markers=["node.retried"]), "partially_accepted", "heuristic.retried"),
        (record("replay_runs", "a", output_text="x", reward=1.0), "accepted", "reward.full"),
        (record("replay_runs", "a", output_text="x", reward=0.5), "partially_accepted", "reward.some"),
        (
            record("replay_runs", "a", output_text="x", validation={"passed": False, "errors": []}),
            "rejected", "validator.refuses",
        ),
        (
            record("replay_runs", "a", output_text="x", validation={"passed": True, "errors": []}),
            "partially_accepted", "heuristic.passed_own_validation",
        ),
        (trajectory("a", reward=-1.0), "rejected", "reward.none"),
    ],
)  # fmt: skip
def test_nodes_replays_and_rewards(scorer: Scorer, made: Record, score: str, rule: str) -> None:
    assert rule_of(scorer, made) == (score, rule)


def test_reasons_begin_with_the_deciding_one_and_hold_the_others(scorer: Scorer) -> None:
    row = scorer.score([trajectory("a", [], reward=1.0), outcome("a", -1), review("a", "reject", by="x"),
                        review("a", "accept", minute=1)]).of("a")  # fmt: skip
    assert row["reasons"] == [
        "a person accepted it", "people disagree about it, the latest word counts", "its reward is full",
        "outcomes are bad, and none is good", "its record holds no message of its agent",
    ]  # fmt: skip
    assert (row["kind_of_ground"], row["ground_truth"], row["testimony"]) == ("human", 1.0, 3)
    assert row["rules_version"] == "scoring/1"


def test_unread_labels_are_quarantined_on_the_day_of_their_run(scorer: Scorer) -> None:
    records = [
        call("a"), review("a", "hm", on=3), call("b", metadata={"label": "odd"}, on=2), review("gone", "eh", on=3),
        event("a", "reject", on=3, model="gpt-4o") | {"observer": {"verdict": "Nay", "confidence": 1.0, "notes": []}},
    ]  # fmt: skip
    told = scorer.score(records)
    found = [(row["dt"], row["run_id"], row["about"], row["field"], row["label"]) for row in told.refused]
    assert found == [
        ("2026-03-01", "e-a-reject-gpt-4o", "a", "observer.verdict", "Nay"),
        ("2026-03-01", "r-a-dana-None-hm", "a", "human_override.verdict", "hm"),
        ("2026-03-02", "b", "b", "metadata.label", "odd"),
        ("2026-03-03", "r-gone-dana-None-eh", "gone", "human_override.verdict", "eh"),
    ]
    assert told.refused[1]["source_key"] == "raw/reviews/dt=2026-03-03/a.jsonl"
    assert told.refused[1]["line"] == 1
    assert "labels.yaml" in told.refused[1]["reason"]
    assert told.refused == [row for n in (1, 2, 3) for row in scorer.score(records, [day(n)]).refused]


def test_late_outcome_scores_the_day_of_its_run_again_and_no_other(scorer: Scorer) -> None:
    before = [call("a"), call("b", on=2), call("c", on=3)]
    late = [*before, outcome("a", -1, on=3), validation("trace-b", True, on=2, minute=2)]
    assert scorer.touched(late, [day(3)]) == [day(1)]
    assert scorer.touched(late, [day(2), day(3)]) == [day(1), day(2)]
    assert scorer.touched(late, [day(4)]) == scorer.touched(late, []) == []
    assert scorer.score(late, [day(1)]).of("a")["rule"] == "outcomes.bad"
    assert scorer.score(late, [day(3)]).file_bytes == scorer.score(before, [day(3)]).file_bytes


def test_word_that_comes_before_its_run_counts_when_the_run_comes(scorer: Scorer) -> None:
    early = [review("a", "reject", by="dana", is_human=True, on=1)]
    assert scorer.touched(early, [day(1)]) == []
    both = [*early, call("a", on=2)]
    assert scorer.score(both, [day(2)]).of("a")["kind_of_ground"] == "human"


def test_day_without_runs_has_an_empty_file(scorer: Scorer) -> None:
    told = scorer.score([call("a")], [day(1), day(7)])
    assert sorted(told.file_bytes) == [day(1), day(7)]
    assert len(told.rows) == 1
    assert scorer.score([], None).file_bytes == {}


def test_validation_means_the_call_before_it_where_an_id_is_used_twice(scorer: Scorer) -> None:
    records = [
        call("a", metadata={"trace_id": "t"}), call("b", metadata={"trace_id": "t"}, minute=5),
        validation("t", False, minute=6), validation("t", True, kind="sms", minute=1),
    ]  # fmt: skip
    told = scorer.score(records)
    assert [told.of(name)["rule"] for name in "ab"] == ["validator.passes", "validator.refuses"]


def test_connection_is_left_as_it_was(scorer: Scorer) -> None:
    scorer.score([call("a")])
    left = scorer.connection.execute("SELECT name FROM (SHOW ALL TABLES)").fetchall()
    assert [name for (name,) in left if name.startswith("scoring")] == []


def test_files_have_whole_row_groups_and_known_bytes(scorer: Scorer, tmp_path: Path) -> None:
    records = [call(f"run-{number:05}") for number in range(25_000)]
    first, second = scorer.score(records), scorer.score(records[::-1])
    assert first.file_bytes == second.file_bytes
    (tmp_path / "x").write_bytes(first.file_bytes[day(1)])
    groups = pq.read_metadata(tmp_path / "x")
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [20_480, 4_520]


def test_every_family_of_the_chat_has_a_lineage() -> None:
    with duckdb.connect() as engine:
        for family in _families():
            known = engine.execute(
                f"SELECT {lineage_sql('?')}", [family.family] * lineage_sql("?").count("?")
            ).fetchone()
            assert known != (None,), family.family


@pytest.mark.parametrize(
    ("model", "lineage"),
    [("openrouter/openai/gpt-4o-mini", "openai"), ("GPT-OSS:20b", "openai"), ("llama3.1:8b", "meta"), ("", None),
     ("my-llama", None), ("o3-mini", "openai"), ("accounts/fireworks/models/deepseek-v3", "deepseek")],
)  # fmt: skip
def test_lineage_goes_by_the_begin_of_the_name(model: str, lineage: str | None) -> None:
    with duckdb.connect() as engine:
        assert engine.execute(f"SELECT {lineage_sql('m')} FROM (SELECT ? AS m)", [model]).fetchone() == (lineage,)


def test_facts_of_rules_are_made() -> None:
    made = runs_statement(default_rules(), default_signs())
    assert [name for name in FACTS if f"AS {name}" not in made and f".{name}" not in made] == []


@pytest.mark.parametrize("is_hidden", [False, True])
def test_published_rewards_decide_and_nothing_accepts_without_them(
    scorer: Scorer, shared_data: Path, is_hidden: bool
) -> None:
    runs = json.loads((shared_data / "taubench" / "gpt-4o-airline.json").read_bytes())
    lines = [
        orjson.dumps(
            {
                "run_id": f"taubench/gpt-4o-airline/{run['task_id']}/{run['trial']}",
                "task_id": f"taubench/airline/{run['task_id']}", "recorded_at": "2026-03-01T10:00:00Z",
                "trial": run["trial"], "reward": None if is_hidden else run["reward"], "messages": run["traj"],
                "tools": None, "model": "gpt-4o", "provider": "openai", "source": "taubench/gpt-4o-airline.json",
                "licence": "MIT",
            }
        )
        for run in runs
    ]  # fmt: skip
    maker = Maker(block_bytes=1 << 20)
    try:
        made = maker.make("agent_trajectories", {"raw/agent_trajectories/dt=2026-03-01/a.jsonl": b"\n".join(lines)})
    finally:
        maker.close()
    told = scorer.score(made.records)
    counts = Counter(row["score"] for row in told.rows)
    assert set(counts) <= set(SCORES)
    if is_hidden:
        assert counts["accepted"] == 0
    else:
        rewards = {f"taubench/gpt-4o-airline/{run['task_id']}/{run['trial']}": run["reward"] for run in runs}
        assert all((row["score"] == "accepted") == (rewards[row["run_id"]] == 1) for row in told.rows)
        assert counts == {"accepted": 84, "rejected": 116}


def test_refused_labels_stand_in_one_order_however_records_come(scorer: Scorer) -> None:
    records = [call(name, metadata={"label": "odd", "outcome": "odder"}) for name in ("a", "b", "c")]
    first = scorer.score(records).refused
    assert [(row["run_id"], row["field"]) for row in first] == [
        (name, f"metadata.{field}") for name in ("a", "b", "c") for field in ("label", "outcome")
    ]
    assert scorer.score(records[::-1]).refused == first
