"""The modes over chat: what they ask, what counts of what a model says, what is repaired, what fails loudly."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.errors import ProviderFailed
from lakehouse.validation import validate
from lakehouse.workflow.claims import claims_of, overlap, passages_of
from lakehouse.workflow.repair import read_json
from tests.workflows import MODEL, Bench, Say, workflow

PASSAGES = ["Ann Lee is a welder in Toledo with 12 years of experience.", {"metadata": {"name": "Bo", "city": "Akron"}}]


def node(mode: str, **given: Any) -> dict[str, Any]:
    return {"name": "w", "version": 1, "nodes": [{"id": "a", "mode": mode, "with": given}]}


def run(mode: str, say: Say, *, retries: int = 0, **given: Any) -> tuple[Bench, dict[str, Any]]:
    bench = Bench(say)
    asked = node(mode, **given)
    asked["nodes"][0]["retries"] = retries
    bench.run(asked)
    return bench, bench.row("a")


def test_chat_is_asked_at_temperature_0_with_a_seed() -> None:
    bench, row = run("llm.chat", lambda body: "Hello.", prompt="Say hello.", system="Be short.")
    [asked] = bench.provider.asked
    assert (asked["temperature"], asked["seed"], asked["max_tokens"]) == (0, 7, 256)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert row["output"] == {"content": "Hello.", "finish_reason": "stop"}
    assert (row["model"], row["provider"], len(row["calls"])) == (MODEL, "embedded", 1)


def test_each_further_attempt_asks_with_another_seed() -> None:
    def say(body: Mapping[str, Any]) -> Any:
        return {"name": "Ann"} if body["seed"] == 9 else "{ rubbish"

    bench, row = run("extract", say, retries=2, text="Ann works.", fields=["name"])
    assert [asked["seed"] for asked in bench.provider.asked] == [7, 8, 9]
    assert (row["success"], row["attempts"], len(row["tried"])) == (True, 3, 2)


def test_rubbish_fails_loudly() -> None:
    for said in ("I would rather not.", '{"name": "An', '{"name": 7}', '{"other": "x"}', "[]", '{"name": "a", "x": 1}'):
        _, row = run("extract", lambda body, said=said: said, text="Ann works.", fields=["name"])
        assert (row["success"], row["output"]) == (False, None), said
        assert row["error"]["kind"] == "Misfit"


def test_an_answer_that_was_cut_is_never_completed() -> None:
    bench = Bench(lambda body: '{"name": "Ann"}')
    bench.provider.finish_reason = "length"
    bench.run(node("extract", text="Ann works.", fields=["name"]))
    assert "was cut at 256 tokens" in bench.row("a")["error"]["detail"]


def test_what_is_repaired_is_counted() -> None:
    bench, row = run(
        "extract", lambda body: "Sure!\n```json\n{'name': 'Ann',}\n```", text="Ann works.", fields=["name"]
    )
    assert row["output"] == {"data": {"name": "Ann"}, "not_in_text": []}
    assert row["repairs"] == ["fence", "quotes", "comma"]
    assert bench.seen[-1]["repairs"] == 3
    [asked] = bench.provider.asked
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["name"]


def test_facts_that_the_text_does_not_say_are_named() -> None:
    schema = {
        "type": "object",
        "properties": {"who": {"type": "object"}, "pay": {"type": "number"}, "is_new": {"type": "boolean"}},
    }  # fmt: skip
    said = {"who": {"name": "Ann Lee", "city": "Paris", "note": ""}, "pay": 30, "is_new": True}
    _, row = run("extract", lambda body: said, text="ANN  lee earns 31.", schema=schema)
    assert row["output"]["not_in_text"] == ["who.city", "pay"]


def test_a_schema_that_reaches_outside_is_refused() -> None:
    schema = {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}, "required": ["x"]}
    _, row = run("extract", lambda body: {"x": 1}, text="a b", schema=schema)
    assert "refers to what is not in it" in row["error"]["detail"]


def test_a_validator_asks_for_each_rule_and_rejects_where_one_does_not_hold() -> None:
    def say(body: Mapping[str, Any]) -> Any:
        return {"reason": "so it is", "holds": "polite" in body["messages"][-1]["content"]}

    bench, row = run("validator", say, artifact={"body": "Hi"}, rules=["It is polite.", "It is long."], about="run-9")
    assert (row["success"], row["error"]["kind"]) == (False, "Rejected")
    assert [check["holds"] for check in row["output"]["checks"]] == [True, False]
    [event] = bench.told
    assert (event["subject"], event["verdict"], event["kind"], event["model"]) == (
        "run-9",
        "reject",
        "validator",
        MODEL,
    )
    _, open_ = run("validator", say, artifact="Hi", rules=["It is long."], gate=False)
    assert (open_["success"], open_["output"]["verdict"]) == (True, "reject")


def test_a_claim_needs_a_passage_that_says_it_whatever_the_model_says() -> None:
    text = "Ann Lee is a welder in Toledo. She has 15 years of experience. Ann Lee speaks fluent Portuguese and Greek."
    _, row = run("hallucination", lambda body: {"passage": 1}, text=text, context=PASSAGES, gate=False)
    told = [(claim["supported"], claim["why"]) for claim in row["output"]["claims"]]
    assert told == [
        (True, None), (False, "the passage does not say 15"),
        (False, "the passage has 33% of the claim's words; 60% are needed"),
    ]  # fmt: skip
    assert (row["output"]["verdict"], row["output"]["supported_share"]) == ("reject", 0.333333)
    _, denied = run("hallucination", lambda body: {"passage": 0}, text="Ann Lee is a welder.", context=PASSAGES)
    assert (denied["success"], denied["output"]["claims"][0]["why"]) == (False, "the model finds no passage")
    _, made_up = run("hallucination", lambda body: {"passage": 7}, text="Ann Lee is a welder.", context=PASSAGES)
    assert made_up["error"]["kind"] == "Misfit"


def test_claims_and_passages_are_found() -> None:
    assert claims_of("- One is here.\n- Two, at 3.5 percent!  Why? ") == [
        "One is here.",
        "Two, at 3.5 percent!",
        "Why?",
    ]
    assert passages_of(PASSAGES)[1] == "name Bo; city Akron"
    assert overlap("Bo is not in Akron", "Bo in Akron").share < 1
    assert overlap("3.5 percent", "3 percent").missing_numbers == ("3.5",)


@pytest.mark.parametrize(
    ("claim", "passage", "is_contrary"),
    [
        ("Ann Lee is not a welder in Toledo.", "Ann Lee is a welder in Toledo.", True),
        ("Ann Lee is a welder in Toledo.", "Ann Lee is not a welder in Toledo.", True),
        ("Ann Lee isn’t a welder in Toledo.", "Ann Lee is not a welder in Toledo.", False),
        ("Ann Lee is a welder in Toledo.", "Do not call at night. Ann Lee is a welder in Toledo.", False),
        ("Ann Lee has never worked nights in Toledo.", "name Ann Lee; city Toledo; nights worked", True),
        ("Bo has no badge.", "name Bo; badge none", False),
        ("Bo has a badge.", "", False),
    ],
)
def test_a_claim_that_denies_what_its_passage_says_is_not_borne_out(
    claim: str, passage: str, is_contrary: bool
) -> None:
    assert overlap(claim, passage).is_contrary == is_contrary
    if is_contrary:
        _, row = run("hallucination", lambda body: {"passage": 1}, text=claim, context=[passage], gate=False)
        assert (row["output"]["verdict"], row["output"]["claims"][0]["supported"]) == ("reject", False)


def votes(*answers: Any) -> Say:
    left = list(answers)
    return lambda body: left.pop(0) if isinstance(left[0], Exception) else {"answer": left.pop(0)}


MODELS = [MODEL, "qwen2.5:3b", "llama3.1:8b"]
CONSENSUS: dict[str, Any] = {"prompt": "Good?", "choices": ["yes", "no"], "models": MODELS}


def test_agreement_is_measured_and_one_model_by_two_routes_is_one_lineage() -> None:
    _, row = run("consensus", votes("yes", "no", "yes"), **CONSENSUS)
    output = row["output"]
    assert (output["verdict"], output["answer"], output["agreement"]) == ("accept", "yes", 0.666667)
    assert (output["lineages"], output["lineages_for"]) == (3, 2)
    _, alone = run(
        "consensus", votes("yes", "yes", "yes"), **{**CONSENSUS, "models": [MODEL, f"embedded/{MODEL}", MODEL]}
    )
    assert (alone["output"]["agreement"], alone["output"]["lineages"]) == (1.0, 1)


def test_models_that_do_not_agree_or_do_not_answer_reject() -> None:
    _, split = run("consensus", votes("yes", "no"), **{**CONSENSUS, "models": [MODEL, "qwen2.5:3b"]})
    assert (split["success"], split["output"]["answer"]) == (False, None)
    _, short = run("consensus", votes("yes", "yes", "no"), **CONSENSUS, min_agreement=0.9)
    assert (short["success"], short["output"]["verdict"]) == (False, "reject")
    _, unwanted = run("consensus", votes("no", "no", "yes"), **CONSENSUS, accept=["yes"])
    assert "agree on 'no', which is none of yes" in unwanted["error"]["detail"]
    dead = ProviderFailed("the provider died")
    _, one_dead = run("consensus", votes("yes", dead, "yes"), **CONSENSUS)
    assert (one_dead["success"], one_dead["output"]["failed"], one_dead["output"]["agreement"]) == (True, 1, 0.666667)
    _, most_dead = run("consensus", votes("yes", dead, dead), **CONSENSUS)
    assert (most_dead["success"], most_dead["error"]["kind"]) == (False, "ProviderFailed")


def test_a_model_that_stands_in_for_another_votes_for_its_own_lineage() -> None:
    def say(body: Mapping[str, Any]) -> Any:
        return {"answer": "yes"} if body["model"] == MODEL else ProviderFailed("the provider died")

    bench = Bench(say, fallbacks={"qwen2.5:3b": [MODEL]})
    bench.run(node("consensus", **{**CONSENSUS, "models": [MODEL, "qwen2.5:3b"]}))
    output = bench.row("a")["output"]
    assert [(vote["model"], vote["by"]) for vote in output["votes"]] == [(MODEL, MODEL), ("qwen2.5:3b", MODEL)]
    assert (output["lineages"], output["lineages_for"]) == (1, 1)


def test_findings_of_a_red_team_must_quote_the_text() -> None:
    said = {
        "findings": [
            {"quote": "Call me  now", "reason": "pushy", "severity": "high"},
            {"quote": "never said", "reason": "made up", "severity": "high"},
        ]
    }
    _, row = run("redteam", lambda body: said, text="Please call me now.")
    assert (row["success"], row["output"]["dropped"], len(row["output"]["findings"])) == (False, 1, 1)
    _, ssn = run("redteam", lambda body: {"findings": []}, text="His SSN is 123-45-6789.")
    assert (ssn["success"], ssn["output"]["findings"][-1]["by"]) == (False, "social_security")
    _, clean = run("redteam", lambda body: {"findings": []}, text="A shift on Monday.")
    assert (clean["success"], clean["output"]["verdict"]) == (True, "accept")


def test_a_provider_that_dies_in_the_middle_of_a_chain_is_on_record() -> None:
    def say(body: Mapping[str, Any]) -> Any:
        if "rules" in str(body) or "Rule:" in body["messages"][-1]["content"]:
            return ProviderFailed("the provider went away", provider="embedded")
        return {"name": "Ann"}

    bench = Bench(say)
    done = bench.run(
        workflow(
            "{id: facts, mode: extract, with: {text: Ann works., fields: [name]}}",
            "{id: checked, mode: validator, needs: [facts],"
            " with: {artifact: '{{ nodes.facts.output }}', rules: [It is short.]}}",
            "{id: shown, mode: render, needs: [checked], with: {text: '{{ nodes.checked.output.verdict }}'}}",
        )
    )
    assert [(node.id, node.state) for node in done.nodes] == [
        ("facts", "succeeded"), ("checked", "failed"), ("shown", "skipped"),
    ]  # fmt: skip
    assert bench.row("checked")["error"] == {
        "kind": "ProviderFailed",
        "status": 502,
        "detail": "the provider went away",
    }
    assert not done.success


def test_a_refused_artifact_fails_its_node_unless_the_gate_is_off() -> None:
    async def judge(kind: str, artifact: Any, context: Any, who: Any) -> Any:
        return validate(kind, artifact, context)

    bench = Bench(services={"validate": judge})
    bench.run(node("validate", kind="sms", artifact={"to": "nobody", "body": "Hi"}))
    row = bench.row("a")
    assert (row["success"], row["output"]["passed"]) == (False, False)
    assert row["output"]["error"]["Schema"]["field"] == "to"
    bench.rows.clear()
    bench.run(node("validate", kind="sms", artifact={"to": "nobody", "body": "Hi"}, gate=False))
    assert bench.row("a")["success"]


def test_sql_rows_come_as_objects() -> None:
    asked: list[Any] = []

    async def sql(request: Any, who: Any) -> Any:
        asked.append(request)
        return SimpleNamespace(columns=[{"name": "a"}, {"name": "b"}], body=b'[[1,"x"]]', row_count=1, truncated=False)

    bench = Bench(services={"sql": sql})
    text = workflow('{id: a, mode: sql, with: {query: "SELECT * FROM w WHERE n = {{ inputs.n | sql }}"}}', inputs="[n]")
    bench.run(text, n="O'Hara; DROP TABLE w")
    assert asked[0].sql == "SELECT * FROM w WHERE n = 'O''Hara; DROP TABLE w'"
    assert asked[0].max_rows == 100
    assert bench.row("a")["output"]["rows"] == [{"a": 1, "b": "x"}]


def test_drift_of_scores_is_compared_with_a_baseline() -> None:
    runs = [f"r{number}" for number in range(400)]
    evidence = [{"run_id": run_id, "record_sha256": "s"} for run_id in runs]
    baseline = {
        "rules_version": "scoring/1",
        "scores": dict.fromkeys(runs, "accepted"),
        "evidence": dict.fromkeys(runs, "s"),
    }
    same = [{"run_id": run_id, "score": "accepted"} for run_id in runs]
    moved = [{"run_id": run_id, "score": "rejected"} for run_id in runs]
    bench = Bench()
    bench.run(node("drift.scorer", evidence=evidence, scored=same, baseline=baseline))
    assert (bench.row("a")["success"], bench.row("a")["output"]["verdict"]) == (True, "stable")
    bench.rows.clear()
    bench.run(node("drift.scorer", evidence=evidence, scored=moved, baseline=baseline))
    assert (bench.row("a")["success"], bench.row("a")["output"]["moved"]) == (False, 400)


@pytest.mark.parametrize(
    ("text", "value", "repairs"),
    [
        ('{"a": 1}', {"a": 1}, []),
        (" [1, 2]\n", [1, 2], []),
        ('Here: {"a": 1}. Bye', {"a": 1}, ["prose"]),
        ('```json\n{"a": 1}\n```', {"a": 1}, ["fence"]),
        ("{'a': 'it\\'s', 'b': \"x'y\"}", {"a": "it's", "b": "x'y"}, ["quotes"]),
        ('{"a": [1, 2,],}', {"a": [1, 2]}, ["comma"]),
        ('{"a": True, "b": None}', {"a": True, "b": None}, ["literal"]),
        ('{"a": "x\ny"}', {"a": "x\ny"}, ["line break"]),
        ('{"a": "True, }"}', {"a": "True, }"}, []),
    ],
)
def test_json_is_repaired_where_nothing_is_guessed(text: str, value: Any, repairs: list[str]) -> None:
    assert read_json(text) == (value, repairs)


@pytest.mark.parametrize(
    "text", ["", "no", '{"a": ', '{"a": "x', "{]", "[1, 2", '{"a" 1}', "{a: 1}", '{"a": 1 "b": 2}']
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        read_json(text)
