"""The clients and the command ask for validations of the real API: a refusal is a result."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.client import LakehouseApiError, RetryPolicy, Validation
from lakehouse.client.validation_calls import Finding, Refusal
from tests.api import TOKEN, ApiProcess, api_process, clean_environ
from tests.clients import KINDS, opened_client
from tests.commands import run_command
from tests.fakes.scripted_http import Reply, scripted_http
from tests.servers import StoreServer

SMS = {"to": "+14155550132", "body": "We have a shift on Monday at 7 am."}


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="validating")
    yield store
    store_process.drop_bucket("validating")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(store, tmp_path_factory.mktemp("validating")) as process:
        yield process


@pytest.fixture(scope="module", params=KINDS)
def lake(request: pytest.FixtureRequest, api: ApiProcess) -> Iterator[Any]:
    with opened_client(str(request.param), api.url, TOKEN, retry=RetryPolicy(attempts=1)) as client:
        yield client


def test_artifact_that_passes_is_true_and_has_its_findings(lake: Any) -> None:
    verdict = lake.validate("sms", SMS | {"body": "Call (415) 555-0132"}, {})
    assert verdict
    assert (verdict.passed, verdict.error) == (True, None)
    assert verdict.findings == (Finding("personal.phone", "body", "the text holds a phone number", 1),)
    assert verdict.elapsed_ms >= 0


def test_refused_artifact_is_a_result_and_no_error(lake: Any) -> None:
    verdict = lake.validate("sms", SMS | {"to": ""})
    assert not verdict
    assert verdict.error == Refusal("Schema", "to is missing; give a phone number", "to")
    verdict = lake.validate("sms", SMS | {"body": "SSN 219-09-9999"}, {"allow_pay": True})
    assert (verdict.error.kind, verdict.error.field) == ("Policy", "")


def test_what_cannot_be_validated_is_an_error(lake: Any) -> None:
    fill = {"fills": [{"candidate_id": "1", "name": "Maria Lopez"}]}
    context = {"target_count": 1, "role": "Electrician", "city": "Toledo", "state": "OH"}
    for kind, artifact, status in (("telegram", {}, 400), ("fill", fill, 503)):
        with pytest.raises(LakehouseApiError) as refused:
            lake.validate(kind, artifact, context)
        assert refused.value.status == status


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"Schema":7}', b'{"findings":[{}]}', b"null"])
@pytest.mark.parametrize("kind", KINDS)
def test_answer_of_something_else_is_an_error(kind: str, body: bytes) -> None:
    with scripted_http(Reply(422, body)) as server, opened_client(kind, server.url, TOKEN) as client:
        with pytest.raises(LakehouseApiError) as refused:
            client.validate("sms", SMS)
        assert refused.value.status == 422


def test_verdict_is_exported_with_its_type() -> None:
    assert Validation.of(b'{"findings":[],"elapsed_ms":0.5}') == Validation(None, (), 0.5)


def command(api: ApiProcess, *arguments: str, stdin: str = "", url: str = "") -> subprocess.CompletedProcess[str]:
    port = url or str(api.port)
    environ = clean_environ() | dict(api.environ) | {"LAKEHOUSE_API_PORT": port}
    return run_command("validate", *arguments, environ=environ, cwd=api.log.parent, stdin=stdin)


def test_command_says_passed_with_findings(api: ApiProcess, tmp_path: Path) -> None:
    file = tmp_path / "sms.json"
    file.write_text(json.dumps(SMS | {"body": "Call (415) 555-0132"}))
    done = command(api, str(file), "--kind", "sms")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["passed", "note: body: the text holds a phone number [personal.phone]"]


def test_command_refuses_with_exit_code_one(api: ApiProcess) -> None:
    request = {"kind": "sms", "artifact": SMS | {"body": "it pays $25/hr"}, "context": {}}
    done = command(api, stdin=json.dumps(request))
    assert done.returncode == 1
    assert done.stdout.startswith("refused: Policy: the text tells a pay rate")
    assert command(api, "--context", '{"allow_pay": true}', stdin=json.dumps(request)).returncode == 0
    done = command(api, "--json", stdin=json.dumps(request))
    assert (done.returncode, list(json.loads(done.stdout))) == (1, ["Policy"])


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        ((), "{}", 2), (("--kind", "sms"), "no json", 2), (("absent.json",), "", 2), (("--kind", "letter"), "{}", 2),
        (("--kind", "sms", "--context", "{"), "{}", 2), (("--kind", "sms"), "[]", 3),
        (("--kind", "sms"), '{"to": "\\ud800"}', 3),
        (("--kind", "sms"), '{"to": NaN}', 3), ((), '{"kind": "telegram", "artifact": {}}', 3),
    ],
)  # fmt: skip
def test_command_that_cannot_ask_says_so_by_its_exit_code(
    api: ApiProcess, arguments: tuple[str, ...], stdin: str, code: int
) -> None:
    done = command(api, *arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_command_without_an_api_is_exit_code_three(api: ApiProcess) -> None:
    done = command(api, "--kind", "sms", stdin="{}", url="1")
    assert done.returncode == 3
    assert "no API answers" in done.stderr
