"""Replays without a store: tasks, arms, matching, cuts, what is left, judges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from lakehouse.answer.request import Answer, Citation, Judged, Retrieved
from lakehouse.chat.request import Usage
from lakehouse.errors import BadInput, ProviderFailed, StoreUnavailable
from lakehouse.replay.arms import Arm, default_arms, read_arms, resolve
from lakehouse.replay.batch import Batch, Unit, check_batch_id, read_batch, unit_of
from lakehouse.replay.cut import Cut, parse_cut
from lakehouse.replay.judge import judge_report, messages, pairs_of, preference_of, read_choice
from lakehouse.replay.matching import Said, check_expected, match_of
from lakehouse.replay.row import is_done, outcome_text, raw_lines
from lakehouse.replay.runner import run_units
from lakehouse.replay.task import ReplayTask, read_tasks
from lakehouse.retrieval.config_store import ConfigVersion

ORDER = "0198f0c27c1e0000-0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c-000000000001-0000"
NOW = datetime(2026, 3, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expected", "said", "exact", "score"),
    [
        ("Ana Ruiz", Said("ana ruiz!"), True, 1.0),
        ({"text": "Ana Ruiz"}, Said("It is Ana Ruiz."), False, 2 * 2 / 6),
        ({"text": "Ana"}, Said(None), False, 0.0),
        ({"ids": ["17"]}, Said("x", ["17"]), True, 1.0),
        ({"ids": ["17", "18"]}, Said("x", ["18"]), True, 1.0),
        ({"ids": ["17"]}, Said("x", ["17", "19"]), False, 0.5),
        ({"ids": ["17"]}, Said("x", []), False, 0.0),
        ({"ids": ["17"]}, Said(None, ["17"]), False, 0.0),
        ({"ids": ["17", "18"], "all": True}, Said("x", ["17"]), False, 2 / 3),
        ({"ids": ["17", "18"], "all": True}, Said("x", ["18", "17"]), True, 1.0),
        ({"ids": ["17"]}, Said('{"fills": [{"candidate_id": "17", "name": "A"}]}', []), True, 1.0),
        ({"contains": ["OSHA-30", "Ohio"]}, Said("osha 30 in OHIO"), True, 1.0),
        ({"contains": ["OSHA-30", "Ohio"]}, Said("an Ohioan"), False, 0.0),
        ({"number": 1200}, Said("There are 1,200."), True, 1.0),
        ({"number": 12}, Said("There are 12 or 13."), False, 0.0),
        ({"number": 12}, Said("Ana (id 17): 12", ["17"]), True, 1.0),
        ({"number": 17}, Said("Ana, worker 17", ["17"]), False, 0.0),
        ({"number": -3.5}, Said("-3.5"), True, 1.0),
        ({"abstains": True}, Said("I do not know."), True, 1.0),
        ({"abstains": True}, Said("nobody", is_abstention=True), True, 1.0),
        ({"abstains": True}, Said("Ana"), False, 0.0),
    ],
)
def test_answers_are_held_against_what_was_expected(expected: Any, said: Said, exact: bool, score: float) -> None:
    check_expected(expected)
    match = match_of(expected, said)
    assert match is not None
    assert (match.exact, match.score) == (exact, pytest.approx(score))


def test_nothing_expected_matches_nothing() -> None:
    assert match_of(None, Said("x")) is None


@pytest.mark.parametrize(
    "expected",
    [7, [], "  ", {}, {"ids": []}, {"ids": "17"}, {"ids": ["1"], "text": "x"}, {"number": True}, {"abstains": False},
     {"text": "x", "all": True}, {"ids": ["1"], "all": 3}, {"contains": [""]}, {"other": 1}],
)  # fmt: skip
def test_wrong_expectations_are_refused(expected: Any) -> None:
    with pytest.raises(BadInput):
        check_expected(expected)


def line(**changes: Any) -> bytes:
    return orjson.dumps({"task_id": "t", "question": "Who?", "corpora": ["w"], **changes})


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ([b"{"], "f, line 1: is not JSON"),
        ([line(), b"", line()], "f, line 3: the task 't' stands twice"),
        ([b"[]"], "line 1: a task is a JSON object"),
        ([line(bogus=1)], "no field 'bogus'"),
        ([line(task_id="")], "task_id"),
        ([line(task_id="a\n")], "task_id"),
        ([line(question="  ")], "question"),
        ([line(corpora="w")], "corpora"),
        ([line(expected=7)], "line 1: expected"),
        ([line(validate={"kind": 1})], "validate"),
        ([line(validate={"kind": "fill", "context": []})], "validate.context"),
        ([line(budget_tokens=0)], "budget_tokens"),
        ([line(max_tokens=True)], "max_tokens"),
        ([b" "], "f has no task"),
    ],
)
def test_wrong_tasks_are_refused_with_their_line(lines: list[bytes], part: str) -> None:
    with pytest.raises(BadInput, match=part):
        read_tasks(lines, name="f")


def test_tasks_come_back_as_they_were() -> None:
    task = ReplayTask(
        "t", "Who?", ("w",), {"ids": ["1"]}, {"state": "OH"}, ("9",), "fill", {"target_count": 1}, 300, 20, "run-1"
    )
    assert read_tasks([orjson.dumps(task.to_document())], name="f") == [task]


ARMS = """version: 1
baseline: a
arms:
  - name: a
    playbook: false
  - name: b
    model: ollama/x
    answer: {k: 5}
    search: {playbook: {boost: 2}}
    answer_version: 3
"""


def test_arms_are_read_and_resolved_to_whole_configs() -> None:
    read = read_arms(ARMS, name="f")
    assert read.baseline == "a"
    a, b = read.arms
    assert (a.playbook, b.playbook, b.pathway) == (False, True, False)
    assert b.answer == {"model": "ollama/x", "k": 5}

    def version_of(name: str, number: int | None) -> ConfigVersion:
        return ConfigVersion(name, number or 1, {"k": 7} if number else {})

    one, two = resolve(a, version_of), resolve(b, version_of)
    assert one.config_version == "answer/1+search/1"
    assert two.config_version.startswith("answer/3~")
    assert two.answer["k"] == 5
    assert two.search["playbook"]["boost"] == 2
    assert two.search["playbook"]["top_k"] == 5
    assert resolve(Arm("c", retrieval=False), version_of).config_version == "answer/1"


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("version: 1", "version: 2", "line 1"),
        ("baseline: a", "baseline: z", "line 2: 'z' is none of a, b"),
        ("name: b", "name: a", "line 6: 'a' is the name of an arm above"),
        ("name: b", "name: B b", "line 6: 'B b' is not a name"),
        ("playbook: false", "playbook: maybe", "line 5: 'maybe' is none of true, false"),
        ("{k: 5}", "{k: 0}", "line 8: k must be"),
        ("{k: 5}", "[1]", "line 8: must be fields"),
        ("{k: 5}", "{k: 5, model: y}", "line 7: the model stands twice"),
        ("answer_version: 3", "answer_version: x", "line 10: 'x' is not a version"),
        ("answer_version: 3", "bogus: 3", "line 10: 'bogus' is unknown"),
    ],
)
def test_wrong_arms_are_refused_with_their_line(old: str, new: str, part: str) -> None:
    with pytest.raises(BadInput, match=part):
        read_arms(ARMS.replace(old, new), name="f")


def test_all_that_is_wrong_in_arms_is_told_at_once() -> None:
    wrong = ARMS.replace("playbook: false", "playbook: maybe").replace("{k: 5}", "{k: 0}").replace("line: a", "line: z")
    with pytest.raises(BadInput) as refused:
        read_arms(wrong.replace("answer_version: 3", "bogus: 3"), name="f")
    assert [line.split(":")[0] for line in refused.value.detail.splitlines()] == [
        "f, line 2", "f, line 5", "f, line 8", "f, line 10",
    ]  # fmt: skip
    with pytest.raises(BadInput) as refused:  # the arm that is meant may be the one whose name cannot be read
        read_arms(ARMS.replace("name: a", "name: []").replace("{k: 5}", "{k: 0}"), name="f")
    assert [line.split(":")[0] for line in refused.value.detail.splitlines()] == ["f, line 4", "f, line 8"]


def test_config_that_is_no_longer_valid_is_told_with_its_arm() -> None:
    arm = resolve(Arm("x"), lambda name, _: ConfigVersion(name, 0, {}))
    stale = type(arm)(arm.name, True, True, False, {**arm.answer, "gone": 1}, arm.search, arm.config_version)
    with pytest.raises(BadInput, match="arm 'x' is no longer valid: config has no field 'gone'"):
        stale.check()


def test_cuts_come_back_as_they_were_and_lack_nothing() -> None:
    cut = Cut({"workers": 3}, {"crew": "000001.000000000012"}, {"playbooks": ORDER, "pathways": ""})
    assert parse_cut(cut.to_document()) == cut
    with pytest.raises(BadInput, match=r"'other' under 'tables'.*now it is \"7\""):
        cut.require(datasets=(), tables=("other",), logs=(), now=Cut({}, {"other": "7"}, {}))


@pytest.mark.parametrize(
    "document",
    [[], {"clock": {}}, {"datasets": []}, {"datasets": {"w": 0}}, {"tables": {"w": "x"}}, {"logs": {"p": 3}},
     {"logs": {"p": "x"}}, "2026-03-01"],
)  # fmt: skip
def test_wrong_cuts_are_refused(document: Any) -> None:
    with pytest.raises(BadInput):
        parse_cut(document)


def batch_of(tasks: int = 2, **changes: Any) -> Batch:
    arms = tuple(resolve(arm, lambda name, _: ConfigVersion(name, 0, {})) for arm in default_arms().arms[:2])
    values: dict[str, Any] = {
        "batch_id": "b", "created_at": "2026-03-04T09:00:00Z", "by": "me", "baseline": "cold", "candidate": "playbook",
        "arms": arms, "tasks": tasks, "tasks_sha256": "0" * 64, "cut": Cut(), "entries": {}, "seed": 0, "stop_after": 2,
    }  # fmt: skip
    return Batch(**values | changes)


def test_batches_come_back_as_they_were() -> None:
    batch = batch_of(cut=Cut({"w": 1}, {"c": "000001.000000000001"}, {"playbooks": ORDER}), entries={"playbooks": 4})
    assert read_batch(batch.to_json(), key="k") == batch
    for body in (b"", b"[]", b"{}", batch.to_json().replace(b'"format_version": 1', b'"format_version": 9')):
        with pytest.raises(BadInput):
            read_batch(body, key="k")


@pytest.mark.parametrize("name", ["", "A", "a/b", "proposals", "promotions", "x" * 65, "-a", "a.b"])
def test_batch_ids_that_are_no_folder_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_batch_id(name)


def test_what_is_left_is_what_is_not_done() -> None:
    batch = batch_of()
    done = {Unit(0, "cold"), Unit(0, "playbook"), Unit(1, "playbook")}
    assert batch.left(done) == [Unit(1, "cold")]
    assert (batch.is_whole(0, done), batch.is_whole(1, done)) == (True, False)
    assert all(unit_of(unit.name) == unit for unit in batch.units())
    assert unit_of("x.json") is None


def answer_of(text: str | None = "Ana (id 1)") -> Answer:
    return Answer(
        text, [Citation("1", "w", is_used=True)], Judged(text is not None, None if text else {"Schema": {}}), "m", "p",
        Usage(10, 3), 0.1, "answer/0", "trace", "off", 50, 1, (), {}, {}, [Retrieved("1", "w", 0.5)],
    )  # fmt: skip


@pytest.mark.anyio
async def test_answers_are_kept_one_by_one_and_failures_in_a_row_stop() -> None:
    tasks = [ReplayTask(f"t{n}", "Who?", ("w",), {"ids": ["1"]}) for n in range(3)]
    batch = batch_of(3)
    script: list[Any] = [answer_of(), answer_of(None), ProviderFailed("down", provider="p"), BadInput("too long"),
                         ProviderFailed("down", provider="p"), ProviderFailed("gone", provider="p")]  # fmt: skip
    kept: list[dict[str, Any]] = []

    async def ask(*_: Any) -> Answer:
        said = script.pop(0)
        if isinstance(said, Exception):
            raise said
        return said  # type: ignore[no-any-return]

    async def keep(_: Unit, row: Any) -> None:
        kept.append(dict(row))

    report = await run_units(batch, tasks, list(batch.units()), ask=ask, keep=keep, clock=lambda: NOW)
    assert (report.answered, report.failed, report.stopped_by) == (3, 3, "gone")
    assert [is_done(row) for row in kept] == [True, True, False, True, False, False]
    told = ["right", "missed (score 0.00)", "failed: down", "failed: too long", "failed: down", "failed: gone"]
    assert [outcome_text(row) for row in kept] == told
    assert outcome_text({**kept[0], "match": None}) == "answered"
    assert kept[0]["match"] == {"exact": True, "score": 1.0}
    assert (kept[1]["answer"], kept[1]["match"]["exact"], kept[1]["validation"]["passed"]) == (None, False, False)
    assert kept[3]["error"] == {"status": 400, "detail": "too long"}


@pytest.mark.anyio
async def test_store_that_is_away_ends_it_and_keeps_nothing() -> None:
    async def ask(*_: Any) -> Answer:
        raise StoreUnavailable("away", retry_after_s=1)

    async def keep(*_: Any) -> None:
        raise AssertionError

    with pytest.raises(StoreUnavailable):
        await run_units(batch_of(1), [ReplayTask("t", "Who?", ())], [Unit(0, "cold")], ask=ask, keep=keep)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_raw_lines_are_the_same_for_the_same_rows_and_lie_on_the_day_they_ended() -> None:
    rows: list[dict[str, Any]] = [
        {"run_id": "a", "task_id": "t", "ended_at": "2026-03-04T23:59:59.5Z"},
        {"run_id": "b", "task_id": "t", "ended_at": "2026-03-05T00:00:01Z"},
    ]
    lines, day = raw_lines(rows)
    assert (lines, day) == (raw_lines(rows)[0], "2026-03-05")
    assert [orjson.loads(one)["run_id"] for one in lines.splitlines()] == ["a", "b"]


def judged_rows(*answers: tuple[str, str, bool | None, bool | None]) -> list[dict[str, Any]]:
    rows = []
    for n, (first, second, one, other) in enumerate(answers):
        for arm, text, exact in (("new", first, one), ("old", second, other)):
            match = None if exact is None else {"exact": exact, "score": float(exact)}
            rows.append({"task_id": f"t{n}", "question": "Who?", "arm": arm, "answer": text, "match": match})
    return rows


def test_judge_is_blinded_and_asked_in_both_orders() -> None:
    (pair,) = pairs_of(judged_rows(("Ana", "Bob", None, None)), candidate="new", baseline="old")
    straight, swapped = (messages(pair, is_swapped=swap)[1]["content"] for swap in (False, True))
    assert straight.index("Ana") < straight.index("Bob")
    assert swapped.index("Bob") < swapped.index("Ana")
    for said in (straight, swapped, messages(pair, is_swapped=False)[0]["content"]):
        assert "new" not in said
        assert "old" not in said
        assert "candidate" not in said


def test_only_what_a_judge_says_in_both_orders_counts() -> None:
    assert preference_of("a", "b") == "candidate"
    assert preference_of("b", "a") == "baseline"
    assert preference_of("a", "a") == preference_of("b", "b") == preference_of("a", "tie") == "unsteady"
    assert preference_of("tie", "tie") == "tie"
    assert preference_of(None, "a") == "unreadable"
    assert [read_choice(text) for text in ('{"better":"A"}', '{"better":"tie"}', "A", '{"better":["A"]}', "[]")] == [
        "a", "tie", None, None, None,
    ]  # fmt: skip


def test_agreement_with_what_is_known_is_told() -> None:
    rows = judged_rows(
        ("Ana", "Bob", True, False), ("Cy", "Di", False, True), ("E", "F", None, None), ("G", "g", True, True),
        ("same words", "same  words", True, False), ("", "x", True, False),
    )  # fmt: skip
    pairs = pairs_of(rows, candidate="new", baseline="old")
    assert [(p.task_id, p.known) for p in pairs] == [
        ("t0", "candidate"), ("t1", "baseline"), ("t2", None), ("t3", None),
    ]  # fmt: skip
    report = judge_report([(pairs[0], "a", "b"), (pairs[1], "a", "b"), (pairs[2], "b", "a"), (pairs[3], "a", "a")])
    assert (report.decided, report.known, report.agreement) == (3, 2, 0.5)
    assert report.share == pytest.approx(2 / 3)
    assert report.counts["unsteady"] == 1
    assert report.first_share == pytest.approx(5 / 8)
    with pytest.raises(BadInput):
        pairs_of(rows, candidate="new", baseline="new")
