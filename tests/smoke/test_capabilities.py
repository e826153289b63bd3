"""One short check from outside for each capability, in the order in which data goes through the platform."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.smoke.conftest import DAY, WORKERS, Stack

SEARCH = {"corpora": ["crew"], "k": 4, "use_playbook": False}


def test_health_says_that_every_part_is_well(stack: Stack) -> None:
    health = stack.ask("GET", "/health")
    assert {part["state"] for part in health["parts"].values()} == {"ok"}


def test_auth_lets_in_whom_it_should_and_no_further(stack: Stack) -> None:
    url = stack.api.url
    assert httpx.get(f"{url}/v1/catalog", trust_env=False).status_code == 401
    narrow = {"Authorization": f"Bearer {stack.tokens['reader']}"}
    assert httpx.get(f"{url}/v1/catalog", headers=narrow, trust_env=False).status_code == 200
    assert httpx.put(f"{url}/v1/storage/files/x", headers=narrow, content=b"x", trust_env=False).status_code == 403


def test_storage_gives_back_what_was_put(stack: Stack) -> None:
    stack.ask("PUT", "/v1/storage/files/smoke/a", content=b"hello")
    assert stack.http.get("/v1/storage/files/smoke/a").content == b"hello"
    assert [one["key"] for one in stack.ask("GET", "/v1/storage?prefix=files/smoke/")["keys"]] == ["files/smoke/a"]
    stack.ask("DELETE", "/v1/storage/files/smoke/a", status=204)
    stack.ask("GET", "/v1/storage/files/smoke/a", status=404)


def test_ingest_types_a_file_and_refuses_a_ragged_one(stack: Stack) -> None:
    good = {"file": ("a.csv", b"code,n\n0527A,1\n007,2\n")}
    assert stack.ask("POST", "/v1/ingest?name=codes", status=201, files=good)["row_count"] == 2
    bad = {"file": ("a.csv", b"code,n\n1\n")}
    assert stack.ask("POST", "/v1/ingest?name=codes", status=422, files=bad)["line"] == 2
    assert stack.sql("SELECT code, n FROM codes ORDER BY n") == [["0527A", 1], ["007", 2]]


def test_catalog_lists_describes_and_keeps_versions(stack: Stack) -> None:
    assert stack.ask("GET", "/v1/catalog/workers")["row_count"] == WORKERS
    assert "workers" in stack.command("datasets")
    for body in (b"a\n1\n", b"a\n1\n2\n"):
        stack.http.post("/v1/ingest?name=kept", files={"file": ("a.csv", body)}).raise_for_status()
    assert stack.ask("GET", "/v1/catalog/kept?version=1")["row_count"] == 1
    stack.ask("DELETE", "/v1/catalog/kept", status=204)
    stack.ask("GET", "/v1/catalog/kept", status=404)


def test_sql_reads_and_does_not_write(stack: Stack) -> None:
    assert stack.sql("SELECT count(*) FROM workers") == [[WORKERS]]
    stack.ask("POST", "/v1/sql", status=403, json={"sql": "DROP TABLE workers"})


def test_personal_data_is_masked_for_a_narrow_token(stack: Stack) -> None:
    narrow = {"Authorization": f"Bearer {stack.tokens['reader']}"}
    body = {"sql": "SELECT DISTINCT phone FROM workers"}
    assert stack.ask("POST", "/v1/sql", json=body, headers=narrow)["rows"] == [["[masked]"]]


def test_embed_gives_vectors_in_both_forms(stack: Stack) -> None:
    ours = stack.ask("POST", "/v1/embed", json={"texts": ["a welder"], "model": "static"})
    theirs = stack.ask("POST", "/v1/embeddings", json={"input": "a welder", "model": "static"})
    assert ours["vectors"][0] == theirs["data"][0]["embedding"]
    assert len(ours["vectors"][0]) == ours["dimension"]


def test_vectors_are_found_replaced_and_deleted(stack: Stack) -> None:
    stack.ask("POST", "/v1/vectors/index", status=201, json={"name": "small", "dimension": 2})
    items = [{"id": "a", "vector": [1, 0]}, {"id": "b", "vector": [0, 1]}]
    stack.ask("POST", "/v1/vectors/index/small/add", json={"items": items})
    stack.ask("POST", "/v1/vectors/index/small/add", json={"items": [{"id": "a", "vector": [-1, 0]}]})
    found = stack.ask("POST", "/v1/vectors/index/small/search", json={"vector": [-1, 0.1], "k": 2})["results"]
    assert [one["id"] for one in found] == ["a", "b"]
    assert stack.ask("POST", "/v1/vectors/index/small/delete", json={"ids": ["a"]})["deleted"] == 1
    stack.ask("DELETE", "/v1/vectors/index/small", status=204)


def test_matrix_filters_before_it_retrieves(stack: Stack) -> None:
    asked = {"query": "electrician in Ohio", "filter": {"state": "TX"}, **SEARCH}
    found = stack.ask("POST", "/v1/matrix/search", json=asked)["results"]
    assert {one["id"] for one in found} == {"102", "103"}


def test_playbook_lifts_what_was_recorded(stack: Stack) -> None:
    asked = {"query": "somebody for the switchboard", **SEARCH, "use_playbook": True}
    record = {"query": asked["query"], "answer_id": "103", "answer_corpus": "crew", "score": 1}
    before = stack.ask("POST", "/v1/matrix/search", json=asked)["results"][0]
    stack.ask("POST", "/v1/matrix/playbooks/record", json=record)
    after = stack.ask("POST", "/v1/matrix/search", json=asked)["results"][0]
    assert (before["id"] != "103", after["id"], after["playbook"]["boost"] > 0) == (True, "103", True)


def test_pathway_is_linked_found_and_retired(stack: Stack) -> None:
    content = {"task": "wire a panel", "steps": ["lock out", "test"]}
    made = stack.ask("POST", "/v1/pathway/add", json={"content": content, "tags": ["smoke"]})
    assert stack.ask("POST", "/v1/pathway/add", json={"content": content})["uid"] == made["uid"]
    found = stack.ask("POST", "/v1/pathway/search", json={"text": "wiring a panel", "k": 1})["results"]
    assert found[0]["uid"] == made["uid"]
    stack.ask("POST", "/v1/pathway/retire", json={"uid": made["uid"], "reason": "smoke"})
    assert stack.ask("POST", "/v1/pathway/search", json={"tags": ["smoke"], "k": 1})["results"] == []


def test_chat_answers_by_the_embedded_model(stack: Stack) -> None:
    said = stack.ask("POST", "/v1/chat", json={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4})
    assert (said["provider"], said["usage"]["completion_tokens"] > 0) == ("embedded", True)


def test_answer_says_that_it_does_not_know_without_records(stack: Stack) -> None:
    stack.ask("POST", "/v1/vectors/index", status=201, json={"name": "nobody", "embedder": "static"})
    body = {"task": "Who welds?", "corpora": ["nobody"]}
    assert stack.ask("POST", "/v1/answer", json=body)["answer"].startswith("I do not know")


def test_outcome_is_taken_for_a_trace_and_refused_for_a_forged_one(stack: Stack) -> None:
    trace = stack.ask("POST", "/v1/matrix/search", json={"query": "a welder", **SEARCH})["trace_id"]
    stack.ask("POST", "/v1/outcomes", status=201, json={"trace_id": trace, "success": True, "answer_id": "102"})
    stack.ask("POST", "/v1/outcomes", status=404, json={"trace_id": "forged.AAAA", "success": True})


def test_validate_passes_a_phone_and_refuses_a_social_security_number(stack: Stack) -> None:
    message = {"kind": "sms", "artifact": {"to": "+14155550132", "body": "Call 415-555-0132"}, "context": {}}
    stack.ask("POST", "/v1/validate", json=message)
    message["artifact"] = {"to": "+14155550132", "body": "SSN 219-09-9999"}
    assert "Social Security" in stack.ask("POST", "/v1/validate", status=422, json=message)["Policy"]["reason"]


def test_materializer_makes_evidence_of_raw_lines(stack: Stack) -> None:
    assert f"agent_trajectories {DAY}: 8 new" in stack.command("materialize", "agent_trajectories")
    stack.command("materialize", "chat_calls", "reviews", "--to", str(DAY))
    assert stack.command("materialize", "agent_trajectories") == "nothing new\n"


def test_scorer_scores_the_day(stack: Stack) -> None:
    assert f"{DAY}: 9 runs" in stack.command("score")


@pytest.mark.parametrize("kind", ["sft", "preference", "rag"])
def test_corpus_is_built_and_is_there_already_the_second_time(stack: Stack, kind: str) -> None:
    told = json.loads(stack.command("export", kind, "--json"))
    assert told["is_new"]
    assert told["counts"]["samples"] > 0
    assert stack.command("export", kind).startswith(f"there already: {kind} {told['build_id']}")


def test_lineage_leads_from_a_run_to_its_raw_line(stack: Stack) -> None:
    assert f"raw/agent_trajectories/dt={DAY}/a.jsonl" in stack.command("lineage", "bench/task-1/1")


def test_replay_finds_the_better_arm(stack: Stack) -> None:
    arms = "version: 1\nbaseline: cold\narms:\n"
    arms += "  - {name: cold, playbook: false, model: ollama/cold}\n  - {name: warm, model: ollama/warm}\n"
    (stack.folder / "arms.yaml").write_text(arms)
    task = {"task_id": "t-0", "question": "Who is an electrician in Ohio?", "corpora": ["crew"],
            "expected": {"ids": ["100"]}}  # fmt: skip
    (stack.folder / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    stack.command("replay", "run", "--tasks", "tasks.jsonl", "--arms", "arms.yaml", "--batch", "smoke", "--by", "me")
    assert "# Replay smoke" in stack.command("replay", "show", "smoke")


def test_drift_sets_a_baseline_and_reports(stack: Stack) -> None:
    days = ("--from", str(DAY), "--to", str(DAY))
    stack.command("drift", "baseline", "scorer", "--by", "dana", "--why", "as agreed", *days)
    of = {one["kind"]: one for one in stack.ask("GET", "/v1/drift")["kinds"]}
    assert of["scorer"]["baseline"] is not None
    assert stack.ask("GET", "/v1/drift")["is_frozen"] is False


def test_observer_counts_and_lists_an_event(stack: Stack) -> None:
    event = {"source": "smoke", "kind": "look", "verdict": "accept"}
    made = stack.ask("POST", "/v1/observer/event", status=202, json=event)["event_id"]
    assert [one["event_id"] for one in stack.ask("GET", "/v1/observer/events?source=smoke")["events"]] == [made]
    assert stack.ask("GET", "/v1/observer/stats")["by_source"]["smoke"] == 1


def test_workflow_runs_its_nodes_in_order(stack: Stack) -> None:
    nodes = [
        {"id": "a", "mode": "render", "with": {"text": "{{ inputs.name }}"}},
        {"id": "b", "mode": "render", "needs": ["a"], "with": {"text": "hi {{ nodes.a.output.text }}"}},
    ]
    workflow = {"name": "smoke", "version": 1, "inputs": {"name": "text"}, "nodes": nodes,
                "output": "{{ nodes.b.output.text }}"}  # fmt: skip
    body = {"workflow": workflow, "input": {"name": "you"}}
    ran = stack.ask("POST", "/v1/observer/workflow/run", json=body)
    assert (ran["success"], ran["output"]) == (True, "hi you")


def test_review_converges_by_two_lineages(stack: Stack) -> None:
    names = "openrouter/openai/gpt-4o,openrouter/moonshotai/kimi-k2"
    told = json.loads(stack.command("review", "--diff", "pay.diff", "--reviewers", names, "--json", exit_code=1))
    assert (told["verdict"], len(told["points"])) == ("reject", 1)


def test_triage_lists_what_needs_a_person_and_takes_a_decision(stack: Stack) -> None:
    stack.command("triage", "fill")
    items = stack.ask("GET", "/v1/triage")["items"]
    assert items
    item = items[0]
    body = {"decision": "assign", "version": item["version"], "assignee": "dana"}
    stack.ask("POST", f"/v1/triage/{item['item_id']}/decision", json=body)
    stack.ask("POST", f"/v1/triage/{item['item_id']}/decision", status=409, json={**body, "assignee": "robin"})


def test_ui_asks_for_a_login_and_shows_its_pages(stack: Stack) -> None:
    with httpx.Client(base_url=stack.api.url, trust_env=False) as browser:
        assert browser.get("/ui/search").status_code == 303
        assert browser.post("/ui/login", data={"token": "test-token", "next": "/ui/search"}).status_code == 303
        for page in ("search", "datasets", "memory", "runs", "corpora", "health", "triage", "drift", "replay"):
            shown = browser.get(f"/ui/{page}")
            assert (page, shown.status_code) == (page, 200)
            assert "<main" in shown.text


def test_audit_finds_nothing_wrong(stack: Stack) -> None:
    assert "raw lines" in stack.command("audit")
