"""Corpora built from evidence: their files, the gates that compare samples, ids, differences."""

from __future__ import annotations

import functools
import json
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import TypeAdapter

from lakehouse.adapters.corpus_source import FileRows
from lakehouse.adapters.distill_build import Build, build_corpus
from lakehouse.adapters.distill_diff import diff_builds
from lakehouse.adapters.distill_schemas import trl_schema
from lakehouse.distillation.manifest import read_manifest
from lakehouse.distillation.parameters import corpus_parameters
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.corpus import FilesSource
from lakehouse.retrieval.corpus_document import Document, read_declaration
from lakehouse.retrieval.corpus_rows import RowMaker
from tests.distilling import all_bytes, all_texts, lake, lines_of, rows_of, run, taubench_lake
from tests.evidence import Maker

ALL_TRAIN = {"split_shares": (1.0, 0.0, 0.0)}


def build(rows: list[dict[str, Any]], folder: Path, kind: Any = "sft", **given: Any) -> Build:
    others = {name: given.pop(name) for name in ("held_out", "names") if name in given}
    made = build_corpus(lake(rows), corpus_parameters(kind, **given), folder, **others)
    counts = made.manifest.counts
    assert counts.candidates == counts.samples + sum(counts.by_gate.values())
    assert len(lines_of(made.folder / "quarantine.jsonl")) == sum(counts.by_gate.values())
    assert len(rows_of(made.folder / "provenance.parquet")) == counts.samples
    return made


def gates(made: Build) -> dict[str, str]:
    return {line["run_id"]: line["gate"] for line in lines_of(made.folder / "quarantine.jsonl")}


def words(number: int, count: int = 40) -> str:
    return " ".join(f"w{number}x{place}" for place in range(count))


def distinct(count: int, **given: Any) -> list[dict[str, Any]]:
    return [run(f"r{n:03}", words(n), words(1000 + n), **given) for n in range(count)]


@functools.cache
def _messages() -> TypeAdapter[Any]:
    from openai.types.chat import ChatCompletionMessageParam  # a second, that every worker would spend when it collects

    return TypeAdapter(list[ChatCompletionMessageParam])


def check_openai_messages(messages: list[dict[str, Any]]) -> None:
    """What OpenAI's own types and its rules for training files say."""
    _messages().validate_python(messages)
    for message in messages:
        assert set(message) <= {"role", "content", "tool_calls", "tool_call_id"}
        assert isinstance(message["content"], str) or message["tool_calls"]
        for call in message.get("tool_calls", []):
            assert set(call) == {"id", "type", "function"}
            assert isinstance(json.loads(call["function"]["arguments"]), dict)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, Build]:
    folder = tmp_path_factory.mktemp("taubench")
    connection = taubench_lake(folder, shared_data)
    kinds: tuple[Any, ...] = ("sft", "preference", "rag")
    return {kind: build_corpus(connection, corpus_parameters(kind), folder / kind) for kind in kinds}


def test_published_accepted_runs_become_chats_that_trainers_take(published: dict[str, Build]) -> None:
    made = published["sft"]
    assert made.manifest.counts.samples == 84  # as many as were rewarded
    assert made.manifest.counts.by_licence == {"MIT": 84}
    chats = [row for split in ("train", "valid", "test") for row in lines_of(made.folder / f"openai/{split}.jsonl")]
    assert len(chats) == 84
    for chat in chats:
        assert set(chat) == {"messages"}
        check_openai_messages(chat["messages"])
        assert chat["messages"][-1]["role"] == "assistant"
    for split in ("train", "test"):
        path = made.folder / f"trl/{split}.parquet"
        assert pq.read_schema(path).equals(trl_schema("chat"))
        openai = lines_of(made.folder / f"openai/{split}.jsonl")
        for row, chat in zip(rows_of(path), openai, strict=True):
            assert [m["content"] for m in row["messages"]] == [m["content"] for m in chat["messages"]]


def test_published_trials_of_one_task_and_input_become_pairs(published: dict[str, Build]) -> None:
    made = published["preference"]
    # Only so few begin with the same words of the user; the others have no prompt in common.
    assert made.manifest.counts.by_reason == {"verdicts": 2}
    assert made.manifest.counts.by_form == {"label": 200, "pair": 2}
    tasks = {(row["run_id"].rsplit("/", 1)[0], row["other_run_id"].rsplit("/", 1)[0])
             for row in rows_of(made.folder / "provenance.parquet") if row["form"] == "pair"}  # fmt: skip
    assert all(one == other for one, other in tasks)
    for row in rows_of(made.folder / "trl/pairs-train.parquet"):
        assert row["prompt"][0]["role"] == "system"
        assert row["chosen"] != row["rejected"]
        for side in ("chosen", "rejected"):
            assert row[side][0]["role"] == row[side][-1]["role"] == "assistant"
    labels = [row["label"] for split in ("train", "valid", "test")
              for row in rows_of(made.folder / f"trl/labels-{split}.parquet")]  # fmt: skip
    assert sorted(labels) == [False] * 116 + [True] * 84


def test_published_tasks_span_no_two_splits(published: dict[str, Build]) -> None:
    for made in published.values():
        splits: dict[str, set[str]] = {}
        for row in rows_of(made.folder / "provenance.parquet"):
            splits.setdefault(row["task_id"], set()).add(row["split"])
        assert all(len(some) == 1 for some in splits.values())


def test_published_addresses_are_in_no_file(published: dict[str, Build], shared_data: Path) -> None:
    raw = (shared_data / "taubench" / "gpt-4o-airline.json").read_text()
    assert raw.count("@example.com") > 100
    for made in published.values():
        assert made.manifest.counts.personal["email"] > 40
        for name, text in all_texts(made.folder):
            assert "@example.com" not in text, name


def test_chunks_can_be_declared_as_a_corpus(published: dict[str, Build]) -> None:
    folder = published["rag"].folder
    document = Document(yaml.safe_load((folder / "corpus.yaml").read_text()), file="corpus.yaml")
    declaration = read_declaration(document, folder=folder)
    assert isinstance(declaration.source, FilesSource)
    source = FileRows(declaration.source, file="corpus.yaml")
    maker = RowMaker(declaration, embedder="minilm", columns=source.columns)
    made = [maker.make(batch) for batch in source.batches(declaration.columns)]
    assert sum(len(some.refused) for some in made) == 0
    lines = lines_of(folder / "chunks/train.jsonl")
    assert [i for some in made for i in some.ids] == [line["id"] for line in lines]
    assert json.loads(made[0].metadata[0])["run_id"] == lines[0]["run_id"]


def test_card_names_the_files_there_are(published: dict[str, Build]) -> None:
    for made in published.values():
        text = (made.folder / "README.md").read_text()
        front = yaml.safe_load(text.split("---\n")[1])
        assert front["license"] == "mit"
        for config in front["configs"]:
            for file in config["data_files"]:
                assert (made.folder / file["path"]).is_file()
        assert (made.folder / "plots/lengths.png").read_bytes().startswith(b"\x89PNG")
        listed = {file.name: file for file in made.manifest.files}
        assert set(listed) | {"manifest.json"} == set(all_bytes(made.folder))
        assert read_manifest((made.folder / "manifest.json").read_bytes()) == made.manifest


def test_same_inputs_give_the_same_bytes_and_others_another_id(tmp_path: Path) -> None:
    rows = distinct(30)
    one, again = build(rows, tmp_path / "a"), build(rows[::-1], tmp_path / "b")
    assert all_bytes(one.folder) == all_bytes(again.folder)
    ids = {one.manifest.build_id}
    ids.add(build(rows, tmp_path / "c", seed=1).manifest.build_id)
    ids.add(build(rows, tmp_path / "d", names=["Jane Doe"]).manifest.build_id)
    ids.add(build([*rows[:-1], run("r029", "other", "words")], tmp_path / "e").manifest.build_id)
    held = tmp_path / "held.jsonl"
    held.write_text('{"text":"nothing of it"}\n')
    ids.add(build(rows, tmp_path / "f", held_out=held).manifest.build_id)
    other_rules = build_corpus(lake(rows, rules_version="8"), corpus_parameters("sft"), tmp_path / "g")
    ids.add(other_rules.manifest.build_id)
    assert len(ids) == 6
    # Built where it is already: the same, not twice.
    assert all_bytes(build(rows, tmp_path / "a").folder) == all_bytes(again.folder)
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_only_accepted_runs_within_the_parameters_are_taken(tmp_path: Path) -> None:
    rows = [
        run("a", "1", "one two three four"),
        run("b", "2", "two", score="rejected"),
        run("c", "3", "three", score="partially_accepted"),
        run("d", "4", "four", score=None),
        run("e", "5", "five", score="needs_human_review"),
        run("f", "6", "six", day=date(2026, 3, 5)),
        run("g", "7", "seven", stream="replay_runs"),
        run("h", "8", "eight", stream="agent_trajectories", source="tau", licence="MIT"),
    ]
    assert {row["run_id"] for row in rows_of(build(rows, tmp_path).folder / "provenance.parquet")} == {
        "a",
        "f",
        "g",
        "h",
    }
    some = build(rows, tmp_path, sources=("tau", "replay_runs"))
    assert {row["run_id"] for row in rows_of(some.folder / "provenance.parquet")} == {"g", "h"}
    day = build(rows, tmp_path, date_from=date(2026, 3, 5), date_to=date(2026, 3, 5))
    assert [row["run_id"] for row in rows_of(day.folder / "provenance.parquet")] == ["f"]
    assert day.manifest.inputs.runs == 1


def test_each_gate_says_what_it_took_out(tmp_path: Path) -> None:
    rows = [
        run("clipped", "a", "b", is_clipped=True),
        run("empty", "a", ""),
        run("foreign", "a", "b c", stream="agent_trajectories", source="tau"),
        run("hidden", "a", "mail jane%40x.org"),
        run("jane@x.org", "a", "b"),
        run("long", "a", words(1, 30_000)),
        run("one", words(2), words(3)),
        run("same", words(2).upper(), words(3) + "\n"),
        run("twin", words(2), words(3) + " more"),
        *(run(f"task{n}", words(10 + n), words(20 + n), task_id="t") for n in range(4)),
    ]
    made = build(rows, tmp_path, limit_per_task=3)
    taken = gates(made)
    person = next(run_id for run_id in taken if run_id.startswith("sha256:"))
    assert taken == {
        "clipped": "shape", "empty": "shape", "foreign": "licence", "hidden": "personal", person: "personal",
        "long": "length", "same": "exact_duplicate", "twin": "near_duplicate", "task3": "task_limit",
    }  # fmt: skip
    reasons = {line["run_id"]: line["reason"] for line in lines_of(made.folder / "quarantine.jsonl")}
    kept = {row["run_id"]: row["sample_id"] for row in rows_of(made.folder / "provenance.parquet")}
    assert kept["one"] in reasons["twin"]
    assert set(kept) == {"one", "task0", "task1", "task2"}


def test_planted_personal_data_is_in_no_file_of_any_kind(tmp_path: Path) -> None:
    planted = [
        "jane.roe@planted.org",
        "(415) 555-0132",
        "536-22-1234",
        "4111 1111 1111 1111",
        "12 Planted Street",
        "Planta Person",
    ]
    told = f"Reach {' or '.join(planted[:2])}; ssn {planted[2]}, card {planted[3]}, {planted[4]}, for {planted[5]}."
    tool = {"type": "function", "function": {"name": "find", "description": f"asks {planted[0]}", "parameters": {}}}
    arguments = json.dumps({"mail": planted[0], "ssn": 536221234, "phone": "4155550132"})
    answer = [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "find", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "x", "content": json.dumps({"note": told})},
        {"role": "assistant", "content": f"Done: {told}"},
    ]  # fmt: skip
    rows = [
        run("r1", told, answer, settings={"tools": [tool]}, task_id="t"),
        run("r2", told, [*answer[:-1], {"role": "assistant", "content": "I cannot."}], score="rejected", task_id="t"),
        run("jane.roe@planted.org", told, words(1)),
    ]
    looked = [*planted, "536221234", "4155550132", "planted.org"]
    for kind in ("sft", "preference", "rag"):
        made = build(rows, tmp_path / kind, kind, names=[planted[5]], **ALL_TRAIN)
        assert made.manifest.counts.samples > 0
        kinds = {"email", "phone", "ssn", "card", "street", "name"}
        assert set(made.manifest.counts.personal) == kinds
        assert made.manifest.counts.personal_samples == len(lines_of(made.folder / "personal.jsonl")) > 0
        for name, text in all_texts(made.folder):
            assert not [value for value in looked if value in text], name
    left = build(rows, tmp_path / "as it is", is_scrubbed=False, **ALL_TRAIN)
    assert any(planted[0] in text for _, text in all_texts(left.folder))


def test_clusters_stay_in_one_split_and_twins_leak_nowhere(tmp_path: Path) -> None:
    # Each run has a twin of another task that is less alike than what is dropped, and more than may leak.
    rows = []
    for n in range(120):
        rows.append(run(f"a{n:03}", words(n, 5), words(1000 + n, 100), task_id=f"a{n}"))
        twin = f"{words(1000 + n, 85)} {words(5000 + n, 15)}"
        rows.append(run(f"b{n:03}", f"{words(n, 5)} now", twin, task_id=f"b{n}"))
    made = build(rows, tmp_path, near_duplicate=0.9, leakage=0.6, split_shares=(0.6, 0.2, 0.2))
    counts = made.manifest.counts
    leaks = [line for line in lines_of(made.folder / "quarantine.jsonl") if line["gate"] == "leakage"]
    assert counts.by_gate["leakage"] == len(leaks) > 20
    assert all("which is held out in" in line["reason"] for line in leaks)
    provenance = {row["run_id"]: row["split"] for row in rows_of(made.folder / "provenance.parquet")}
    for n in range(120):
        pair = {provenance.get(f"a{n:03}"), provenance.get(f"b{n:03}")} - {None}
        assert "train" not in pair or pair == {"train"}


def test_question_that_several_models_answered_is_in_one_split(tmp_path: Path) -> None:
    def asked(n: int, model: int) -> list[dict[str, str]]:
        text = f"  {words(n, 6).upper()}\n" if model else words(n, 6)
        return [{"role": "system", "content": f"prompt {model}"}, {"role": "user", "content": text}]

    rows = [
        run(f"r{n:03}-{model}", asked(n, model), words(1000 + 100 * model + n, 40), task_id=None)
        for n in range(60)
        for model in (0, 1)
    ]
    made = build(rows, tmp_path, split_shares=(0.4, 0.3, 0.3))
    split_of = {row["run_id"]: row["split"] for row in rows_of(made.folder / "provenance.parquet")}
    assert len(split_of) == 120
    assert set(split_of.values()) == {"train", "valid", "test"}
    assert [n for n in range(60) if split_of[f"r{n:03}-0"] != split_of[f"r{n:03}-1"]] == []


def test_runs_of_one_user_stay_together(tmp_path: Path) -> None:
    rows = [run(f"r{n:03}", words(n), words(900 + n), task_id=f"t{n // 2}", user_id=f"u{n % 7}") for n in range(60)]
    made = build(rows, tmp_path, split_shares=(0.4, 0.3, 0.3))
    provenance = rows_of(made.folder / "provenance.parquet")
    assert len({row["split"] for row in provenance}) == 1  # tasks and users chain all of them
    assert len({row["cluster"] for row in provenance}) == 1


def test_what_is_held_out_elsewhere_is_not_trained_on(tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    chat = [{"role": "user", "content": words(3)}, {"role": "assistant", "content": words(1003)}]
    held.write_bytes(
        orjson.dumps({"messages": chat}) + b"\n\n" + orjson.dumps({"prompt": words(5), "completion": words(1005)})
    )
    made = build(distinct(10), tmp_path / "sft", held_out=held, **ALL_TRAIN)
    assert gates(made) == {"r003": "leakage", "r005": "leakage"}
    chunks = build(distinct(10), tmp_path / "rag", "rag", held_out=held)
    assert gates(chunks) == {"r003": "leakage", "r005": "leakage"}
    held.write_text('{"text": "a"}\n{"label": 1}\n')
    with pytest.raises(BadInput, match="line 2"):
        build(distinct(2), tmp_path / "bad", held_out=held)
    with pytest.raises(NotFound):
        build(distinct(2), tmp_path / "none", held_out=tmp_path / "none.jsonl")


def test_people_and_reviewers_make_pairs(tmp_path: Path) -> None:
    person = {"review_of": "draft", "by": "ann", "is_human": True}
    model = {"by": "m", "is_human": False, "verdict": "reject"}
    reviews = [
        {"run_id": "v1", **person, "verdict": "accept", "output": "Three can."},
        {"run_id": "v2", **person, "verdict": "accept", "output": "Nobody can."},
        {"run_id": "v3", **person, "verdict": "reject", "notes": ["too short"]},
        {"run_id": "v4", **model, "review_of": "bad", "output": "Four can, from Monday."},
        {"run_id": "v5", **model, "review_of": "draft", "output": "Not me."},
    ]
    maker = Maker()
    try:
        lines = [orjson.dumps({"recorded_at": "2026-03-04T10:00:00Z", **review}) for review in reviews]
        made = maker.make("reviews", {"raw/reviews/dt=2026-03-04/a.jsonl": b"\n".join(lines)})
    finally:
        maker.close()
    testimony = [{**record, "_score": None, "_day": None} for record in made.records]
    rows = [
        run("draft", "Who?", "Nobody can.", task_id="t"),
        run("bad", "And when?", "Never.", score="rejected", task_id="t"),
        run("good", "And when?", "On Monday.", task_id="t"),
        *testimony,
    ]
    corpus = build(rows, tmp_path, "preference", **ALL_TRAIN)
    provenance = rows_of(corpus.folder / "provenance.parquet")
    pairs = [(row["run_id"], row["other_run_id"], row["reason"]) for row in provenance if row["form"] == "pair"]
    assert pairs == [
        ("good", "bad", "verdicts"), ("v1", "draft", "human_edit"), ("v4", "bad", "reviewer_correction"),
    ]  # fmt: skip
    trl = rows_of(corpus.folder / "trl/pairs-train.parquet")
    assert [row["chosen"][0]["content"] for row in trl] == ["On Monday.", "Three can.", "Four can, from Monday."]
    openai = lines_of(corpus.folder / "openai/pairs-train.jsonl")
    for row in openai:
        assert set(row) == {"input", "preferred_output", "non_preferred_output"}
        assert set(row["input"]) == {"messages", "tools", "parallel_tool_calls"}
        check_openai_messages(row["input"]["messages"])
        for side in ("preferred_output", "non_preferred_output"):
            assert [message["role"] for message in row[side]] == ["assistant"]
            check_openai_messages(row[side])
    assert [row["openai_row"] for row in provenance if row["form"] == "pair"] == [0, 1, 2]
    assert corpus.manifest.inputs.runs == 3 + 2  # and the reviews that hold an edit


def test_streams_may_share_ids_of_runs(tmp_path: Path) -> None:
    rows = [
        run("same", "q", "rejected one", score="rejected", task_id="t"),
        run("same", "q", "accepted one", stream="replay_runs", task_id="t"),
        run("same", "q", "not scored", stream="reviews", score=None),
    ]
    made = build(rows, tmp_path / "sft")
    assert [row["stream"] for row in rows_of(made.folder / "provenance.parquet")] == ["replay_runs"]
    pairs = build(rows, tmp_path / "preference", "preference", **ALL_TRAIN)
    assert [row["chosen"][0]["content"] for row in rows_of(pairs.folder / "trl/pairs-train.parquet")] == [
        "accepted one"
    ]
    assert pairs.manifest.counts.candidates == 3


def test_answer_that_is_labelled_both_ways_is_neither(tmp_path: Path) -> None:
    rows = [run("a", words(1), words(2)), run("b", words(1), words(2), score="rejected"), run("c", words(3), words(4))]
    made = build(rows, tmp_path, "preference")
    reasons = {line["run_id"]: line["reason"] for line in lines_of(made.folder / "quarantine.jsonl")}
    assert set(reasons) == {"a", "b"}
    assert set(reasons.values()) == {"the same answer is labelled both ways"}


def test_nearly_equal_answers_with_other_labels_both_teach(tmp_path: Path) -> None:
    rows = [
        run("a", words(1), words(2)),
        run("b", words(1), words(2) + " not", score="rejected"),
        run("c", words(1), words(2) + " too"),
    ]
    assert gates(build(rows, tmp_path, "preference")) == {"c": "near_duplicate"}


def test_pairs_of_a_busy_task_are_limited(tmp_path: Path) -> None:
    rows = [
        run(f"{score}{n:02}", "the same", words(n * 2 + (score == "rejected"), 60), score=score, task_id="t")
        for n in range(20)
        for score in ("accepted", "rejected")
    ]
    made = build(rows, tmp_path, "preference", limit_per_task=5)
    assert made.manifest.counts.by_form == {"label": 5, "pair": 5}


def test_nothing_to_build_from_is_an_empty_build(tmp_path: Path) -> None:
    for kind in ("sft", "preference", "rag"):
        made = build([run("a", score="needs_human_review")], tmp_path / kind, kind)
        assert made.manifest.counts.samples == 0
        assert "configs" not in yaml.safe_load((made.folder / "README.md").read_text().split("---\n")[1])


def test_difference_names_runs_parameters_and_splits(tmp_path: Path) -> None:
    rows = distinct(40)
    one = build(rows[:-1], tmp_path)
    other = build(rows[1:], tmp_path, seed=5, split_shares=(0.5, 0.25, 0.25))
    found = diff_builds(one.folder, other.folder)
    assert (found.runs_added, found.runs_gone) == (("r039",), ("r000",))
    assert found.parameters == {"seed": (0, 5), "split_shares": ([0.9, 0.05, 0.05], [0.5, 0.25, 0.25])}
    assert found.split_changes_count == len(found.split_changes) > 5
    before = {row["sample_id"]: row["split"] for row in rows_of(one.folder / "provenance.parquet")}
    assert all(before[change.sample_id] == change.before != change.after for change in found.split_changes)
    same = diff_builds(one.folder, one.folder)
    assert [same.parameters, same.inputs, same.counts, same.runs_added, same.runs_gone] == [{}, {}, {}, (), ()]
    with pytest.raises(NotFound):
        diff_builds(one.folder, tmp_path / "none")
    with pytest.raises(BadInput):
        read_manifest(b'{"format_version": 1}')
