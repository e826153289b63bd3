"""`/v1/validate` on the real store: every case of the contract, both forms, every status, and what is logged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import InsufficientStorage, Unavailable
from lakehouse.sample.workers import COLUMNS, worker_batches
from lakehouse.validation import RULES_VERSION
from tests.api import RunningApi, api_settings, call, running_api
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
CASES = Path(__file__).resolve().parents[3] / "shared" / "design" / "validate_cases.json"
FLAT = "application/vnd.lakehouse.flat+json"
SMS = {"to": "+14155550132", "body": "We have a shift on Monday at 7 am."}
EMAIL = {"to": "maria@example.com", "subject": "Shift", "body": "We have a shift on Monday at 7 am."}
FILL_CONTEXT = {"target_count": 1, "role": "Electrician", "city": "Toledo", "state": "OH", "client_id": "C-0001"}
FILL = {"fills": [{"candidate_id": "1", "name": "Maria Lopez"}]}
WORKERS = "worker_id,name,role,city,state,status\n1,Maria Lopez,Electrician,Toledo,OH,active\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(api_settings(objects, tmp_path / "data")) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


async def ask(
    client: httpx.AsyncClient, kind: str, artifact: Any, context: Any = None, **headers: str
) -> httpx.Response:
    body = {"kind": kind, "artifact": artifact, "context": context}
    return await client.post("/v1/validate", json=body, headers=headers)


async def ingest(client: httpx.AsyncClient, name: str, text: str, **params: str) -> None:
    files = {"file": (f"{name}.csv", text.encode())}
    answer = await client.post("/v1/ingest", params={"name": name, **params}, files=files)
    assert answer.status_code in (200, 201), answer.text


def lines(api: RunningApi) -> list[dict[str, Any]]:
    return [line for stream, line in api.services.events.lines if stream == "validations"]  # type: ignore[attr-defined]


async def test_every_case_of_the_contract_is_answered_so(client: httpx.AsyncClient) -> None:
    if not CASES.is_file():
        pytest.skip(f"needs-shared-data: {CASES} is not there")
    await ingest(client, "workers", WORKERS)
    for case in json.loads(CASES.read_text()):
        answer = await client.post("/v1/validate", json=case["request"])
        assert answer.status_code == case["status"], (case["name"], answer.text)
        if case["status"] == 422:
            assert list(answer.json()) == [case["error"]], case["name"]
            assert answer.json()[case["error"]].get("field") == case["field"], case["name"]
        if case["status"] == 200:
            assert set(answer.json()) == {"findings", "elapsed_ms"}


async def test_refusal_is_tagged_and_flat_when_asked_for(client: httpx.AsyncClient) -> None:
    tagged = await ask(client, "sms", SMS | {"to": ""})
    assert (tagged.status_code, tagged.headers["content-type"]) == (422, "application/json")
    assert tagged.json() == {"Schema": {"field": "to", "reason": "to is missing; give a phone number"}}
    assert tagged.headers["vary"] == "Accept"
    flat = await ask(client, "sms", SMS | {"to": ""}, Accept=FLAT)
    assert (flat.status_code, flat.headers["content-type"]) == (422, FLAT)
    assert flat.json() == {"Kind": "schema", "Field": "to", "Reason": "to is missing; give a phone number"}
    policy = await ask(client, "sms", SMS | {"body": "SSN 219-09-9999"}, Accept=FLAT)
    assert (policy.json()["Kind"], policy.json()["Field"]) == ("policy", "")
    assert "Social Security number" in policy.json()["Reason"]


ACCEPTED = [
    ("*/*", False), ("application/json", False), (FLAT, True), (FLAT.upper(), True),
    (f"{FLAT};q=0.5, */*;q=0.1", True),
    (f"application/json, {FLAT}", True), (f"application/json, {FLAT};q=0.5", False), (f"{FLAT};q=0", False),
    ("application/vnd.lakehouse.flatter+json", False), (f"{FLAT};q=high", False), ("", False), ("flat", False),
]  # fmt: skip


async def test_accept_header_chooses_the_form(client: httpx.AsyncClient) -> None:
    for accept, is_flat in ACCEPTED:
        answer = await ask(client, "sms", {}, Accept=accept)
        assert ("Kind" in answer.json()) == is_flat, accept


async def test_other_spelling_of_the_path_is_answered_alike(api: RunningApi) -> None:
    body = json.dumps({"kind": "sms", "artifact": {}}).encode()
    for path in (b"/v1/validate", b"/v1/validat%65"):
        headers = {"content-type": "application/json", "accept": FLAT}
        status, answered, sent = await call(api.app, "POST", path, headers=headers, body=body)
        assert (status, answered["content-type"], json.loads(sent)["Kind"]) == (422, FLAT, "schema"), path


NO_REQUESTS = [
    (b"", "not JSON"), (b"{", "not JSON"), (b"[]", "object"), (b"null", "object"), (b'{"kind":"sms"}', "artifact"),
    (b'{"artifact":{}}', "kind"), (b'{"kind":"telegram","artifact":{}}', "email, sms, fill, playbook"),
    (b'{"kind":7,"artifact":{}}', "kind"), (b'{"kind":"sms","artifact":[]}', "artifact"),
    (b'{"kind":"sms","artifact":"x"}', "artifact"), (b'{"kind":"sms","artifact":{},"context":[]}', "context"),
    (b'{"kind":"sms","artifact":{},"contxt":{}}', "contxt"),
    (b'{"kind":"sms","artifact":{"a":"\\ud800"}}', "not JSON"),
    (b'{"kind":"sms","artifact":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", "deep"),
    (b'{"kind":"sms","artifact":{"a":"\xff"}}', "not JSON"), (b'{"kind":"219-09-9999","artifact":{}}', "unknown"),
]  # fmt: skip


async def test_body_that_is_no_request_is_a_problem_that_says_where(client: httpx.AsyncClient) -> None:
    for body, what in NO_REQUESTS:
        answer = await client.post("/v1/validate", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
        assert what in answer.json()["detail"]
        assert "09-9999" not in answer.text


HOSTILE = [
    None, True, 0, -1, 1e308, 10**30, "", " ", "\x00", "x" * 900_000, "١٢٣", "\u202e", "9" * 10_000,
    [], [[]], [None] * 5000, {}, {"a": {"b": []}},
]  # fmt: skip
FIELDS = {
    "email": ["to", "subject", "body"], "sms": ["to", "body"], "fill": ["fills"],
    "playbook": ["operation", "endorsed_names", "score"],
}  # fmt: skip
CONTEXT_FIELDS = ["allow_pay", "candidate_name", "other_names", "target_count", "role", "city", "state", "client_id"]


async def test_any_value_in_any_field_is_judged(client: httpx.AsyncClient) -> None:
    await ingest(client, "workers", WORKERS)
    good: dict[str, dict[str, Any]] = {
        "email": EMAIL, "sms": SMS, "fill": FILL, "playbook": {"operation": "x", "endorsed_names": ["A"], "score": 0.5},
    }  # fmt: skip
    for kind, fields in FIELDS.items():
        for value in HOSTILE:
            for field in fields:
                answer = await ask(client, kind, good[kind] | {field: value}, FILL_CONTEXT)
                assert answer.status_code in (200, 422), (kind, field, answer.text[:300])
            for field in CONTEXT_FIELDS:
                answer = await ask(client, kind, good[kind], FILL_CONTEXT | {field: value})
                assert answer.status_code in (200, 422), (kind, field, answer.text[:300])


async def test_body_of_more_than_a_mebibyte_is_too_large(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "email", EMAIL | {"body": "x" * (1 << 20)})
    assert answer.status_code == 413


async def test_fill_without_workers_is_unavailable_and_says_what_to_load(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "fill", FILL, FILL_CONTEXT)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["dataset"] == "workers"
    assert "lakehouse ingest FILE --name workers" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert (await ask(client, "fill", {"fills": []}, FILL_CONTEXT)).status_code == 422  # its shape needs nobody
    await ingest(client, "workers", "worker_id,name\n1,Maria Lopez\n")
    answer = await ask(client, "fill", FILL, FILL_CONTEXT)
    assert answer.status_code == 503
    assert "lacks role, city, state, status" in answer.json()["detail"]


async def test_fill_is_checked_against_what_was_just_ingested(client: httpx.AsyncClient) -> None:
    await ingest(client, "workers", WORKERS)
    assert (await ask(client, "fill", FILL, FILL_CONTEXT)).status_code == 200
    await ingest(client, "client_blocks", "client_id,worker_id\nC-0001,1\n")
    answer = await ask(client, "fill", FILL, FILL_CONTEXT)
    assert "blocked for client" in answer.json()["Consistency"]["reason"]
    assert (await ask(client, "fill", FILL, FILL_CONTEXT | {"client_id": "C-0002"})).status_code == 200
    await ingest(client, "workers", WORKERS.replace("active", "inactive"))
    answer = await ask(client, "fill", FILL, FILL_CONTEXT | {"client_id": "C-0002"})
    assert "is not active" in answer.json()["Consistency"]["reason"]
    await client.delete("/v1/catalog/workers")
    assert (await ask(client, "fill", FILL, FILL_CONTEXT)).status_code == 503


async def test_fill_sees_what_another_process_changed_within_two_seconds(
    api: RunningApi, client: httpx.AsyncClient, objects: S3ObjectStore, tmp_path: Path
) -> None:
    await ingest(client, "workers", WORKERS)
    assert (await ask(client, "fill", FILL, FILL_CONTEXT)).status_code == 200
    async with running_api(api_settings(objects, tmp_path / "other")) as other, other.client() as elsewhere:
        await ingest(elsewhere, "workers", WORKERS.replace("active", "inactive"))
    with anyio.fail_after(60):  # the promise is two seconds; a slow machine is no failure
        while (await ask(client, "fill", FILL, FILL_CONTEXT)).status_code == 200:
            await anyio.sleep(0.05)


async def test_sample_workers_are_checked_one_by_one(client: httpx.AsyncClient) -> None:
    rows = next(worker_batches(200))
    text = "\n".join([",".join((*COLUMNS[:5], "status")), *(",".join(map(str, (*row[:5], row[8]))) for row in rows)])
    await ingest(client, "workers", text)
    for row in rows[:50]:
        context = {"target_count": 1, "role": row[2], "city": row[3], "state": row[4], "client_id": "C-0001"}
        answer = await ask(client, "fill", {"fills": [{"candidate_id": str(row[0]), "name": row[1]}]}, context)
        assert answer.status_code == (200 if row[8] == "active" else 422), answer.text


async def test_validation_is_logged_with_its_ids_and_without_social_security_numbers(
    api: RunningApi, client: httpx.AsyncClient
) -> None:
    artifact = SMS | {"body": "SSN 219-09-9999, call (415) 555-0132"}
    answer = await ask(client, "sms", artifact, {"note": "x"}, **{"X-Request-Id": "r-1", "X-Task-Id": "t-1"})
    await ask(client, "sms", SMS)
    refused, passed = lines(api)
    assert answer.headers["x-request-id"] == "r-1"
    assert (refused["trace_id"], refused["task_id"], refused["actor"]) == ("r-1", "t-1", "primary")
    assert refused["error"] == {"kind": "Policy", "field": "", "reason": answer.json()["Policy"]["reason"]}
    assert (refused["passed"], refused["rule"], refused["rules_version"]) == (False, "message.ssn", RULES_VERSION)
    assert refused["failure_markers"] == ["message.ssn", "personal.phone", "personal.ssn"]
    assert "9999" not in json.dumps(refused)
    assert "***-**-****" in refused["input_text"]
    assert (passed["passed"], passed["error"], passed["success_markers"]) == (True, None, ["validation.passed"])
    assert json.loads(passed["input_text"]) == SMS
    streams = [stream for stream, _ in api.services.events.lines]  # type: ignore[attr-defined]
    assert streams == ["validations", "validations"]  # and no second line of each


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Unavailable("the run-log spool is full", retry_after_s=5), 503),
        (InsufficientStorage("the disk refused it"), 507),
    ],
)
async def test_validation_whose_line_has_no_place_is_refused(
    api: RunningApi, client: httpx.AsyncClient, failure: Any, status: int
) -> None:
    api.services.events.failure = failure  # type: ignore[attr-defined]
    answer = await ask(client, "sms", SMS)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_full_disk_refuses_validations(api: RunningApi, client: httpx.AsyncClient) -> None:
    api.services.disk.current = "full"  # type: ignore[attr-defined]
    assert (await ask(client, "sms", SMS)).status_code == 507


async def test_token_needs_the_scope_read(objects: S3ObjectStore, tmp_path: Path) -> None:
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"], writer=["write"])
    async with running_api(api_settings(objects, tmp_path / "data", tokens_file=tokens)) as api:
        for token, status in (("reader", 200), ("writer", 403), ("nobody", 401), (None, 401)):
            async with api.client(token=token) as client:
                assert (await ask(client, "sms", SMS)).status_code == status


async def test_validations_are_counted(api: RunningApi, client: httpx.AsyncClient) -> None:
    await ask(client, "sms", SMS)
    await ask(client, "sms", {})
    metrics = (await client.get("/metrics")).text
    assert 'lakehouse_validations_total{error="none",kind="sms"} 1.0' in metrics
    assert 'lakehouse_validations_total{error="Schema",kind="sms"} 1.0' in metrics
