"""`lakehouse parity` against real HTTP servers: exit codes, the table, and what never shows."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.parity.cases import builtin_cases
from lakehouse.sample.workers import write_workers
from tests.api import TOKEN, api_process
from tests.commands import run_command
from tests.fakes.scripted_http import Reply, scripted_http
from tests.retrieving import STATIC
from tests.servers import free_port_block, silent_server

SECRET = "left-secret-token"
CASES = [
    {
        "name": "passes",
        "request": {"kind": "email", "artifact": {}, "context": {}},
        "status": 200,
        "error": None,
        "field": None,
    },
    {
        "name": "is refused",
        "request": {"kind": "email", "artifact": {}},
        "status": 422,
        "error": "Schema",
        "field": "to",
    },
    {"name": "[red]malformed", "request": [], "status": 400},
]
PASSED = Reply(200, b'{"findings": [], "elapsed_ms": 0.1}')
TAGGED = Reply(422, b'{"Schema": {"field": "to", "reason": "these words"}}')
FLAT = Reply(422, b'{"Kind": "schema", "Field": "to", "Reason": "those words"}')
MALFORMED = Reply(400, b'{"status": 400, "detail": "no object"}')


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"),
        "LAKEHOUSE_API_PORT": str(free_port_block(1)),
        "AUTH_TOKEN": "token-of-this-installation",
    }


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(CASES))
    return file


def parity(environ: dict[str, str], left: str, right: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    sides = ("--left", left, "--right", right)
    return run_command("parity", *sides, *arguments, environ=environ, cwd=environ["HOME"])


def in_order(cases: Path, *more: str) -> tuple[str, ...]:
    """Arguments by which the servers are asked the cases one after the other."""
    return ("--cases", str(cases), "--concurrency", "1", *more)


def test_same_answers_are_exit_code_zero_and_tokens_go_where_they_belong(environ: dict[str, str], cases: Path) -> None:
    with scripted_http(PASSED, TAGGED, MALFORMED) as left, scripted_http(PASSED, FLAT, MALFORMED) as right:
        done = parity(
            environ | {"LEFT_TOKEN": SECRET}, left.url, f"{right.url}/", *in_order(cases, "--right-form", "flat")
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["case", "left", "right", "verdict", "what", "differs"]
    assert [line.split()[-1] for line in lines[1:4]] == ["same"] * 3
    assert '422 Schema "to"' in lines[2]
    assert lines[3].startswith("[red]malformed")
    assert lines[4] == "3 cases: 3 same"
    assert SECRET not in done.stdout + done.stderr
    assert [(asked.method, asked.path) for asked in left.asked] == [("POST", "/v1/validate")] * 3
    assert json.loads(left.asked[0].start) == CASES[0]["request"]
    assert {asked.headers["Authorization"] for asked in left.asked} == {f"Bearer {SECRET}"}
    assert not any("Authorization" in asked.headers for asked in right.asked)
    assert {asked.headers["Accept"] for asked in left.asked} == {"application/json"}
    assert {asked.headers["Accept"] for asked in right.asked} == {"application/vnd.lakehouse.flat+json"}


def test_divergence_is_exit_code_one_and_json_says_what_differs(environ: dict[str, str], cases: Path) -> None:
    with scripted_http(PASSED, TAGGED, MALFORMED) as left, scripted_http(PASSED, PASSED, MALFORMED) as right:
        done = parity(environ, left.url, right.url, *in_order(cases, "--json"))
        shown = parity(environ, left.url, right.url, *in_order(cases))
    assert done.returncode == shown.returncode == 1
    document = json.loads(done.stdout)
    assert document["left"] == {"url": left.url, "form": "tagged"}
    assert document["counts"] == {"same": 2, "differs": 1, "unexpected": 0, "unanswered": 0}
    assert document["cases"][1] == {
        "case": "is refused",
        "left": '422 Schema "to"',
        "right": "200",
        "verdict": "differs",
        "differences": [
            "status: 422 ≠ 200",
            "right: status 200, expected 422",
            "right: no error, expected Schema",
            'right: no field, expected field "to"',
        ],
    }


def test_both_alike_and_not_as_expected_is_exit_code_one(environ: dict[str, str], cases: Path) -> None:
    with scripted_http(PASSED) as left, scripted_http(PASSED) as right:
        done = parity(environ, left.url, right.url, *in_order(cases))
    assert done.returncode == 1
    assert "both: status 200, expected 422" in done.stdout
    assert "3 cases: 1 same, 2 unexpected" in done.stdout


@pytest.mark.parametrize("status", [401, 404, 500])
def test_services_that_refuse_everything_are_not_called_the_same(
    environ: dict[str, str], tmp_path: Path, status: int
) -> None:
    (tmp_path / "bare.json").write_text('[{"name": "a", "request": {}}]')
    with scripted_http(Reply(status)) as left, scripted_http(Reply(status)) as right:
        done = parity(environ, left.url, right.url, "--cases", str(tmp_path / "bare.json"))
    assert done.returncode == 3
    assert f"left: {status}" in done.stdout


def test_service_that_is_not_there_or_says_nothing_is_exit_code_three(environ: dict[str, str], cases: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port_block(1)}"
    with scripted_http(PASSED) as left, silent_server() as port:
        gone = parity(environ, left.url, nobody)
        silent = parity(environ, left.url, f"http://127.0.0.1:{port}", *in_order(cases, "--timeout", "0.3"))
    assert (gone.returncode, gone.stdout) == (3, "")
    assert gone.stderr.startswith(f"error: right: nothing answers at {nobody} (")
    assert len(gone.stderr.splitlines()) == 1
    assert silent.returncode == 3
    assert "right: no answer within 0.3 s" in silent.stdout


def test_answer_that_breaks_off_or_never_ends_is_no_answer(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bare.json").write_text('[{"name": "a", "request": {}}]')
    broken = Reply(200, b"{", is_cut=True)
    endless = Reply(200, b'"' + b"x" * (2 << 20) + b'"')
    with scripted_http(broken) as left, scripted_http(endless) as right:
        done = parity(environ, left.url, right.url, "--cases", str(tmp_path / "bare.json"))
    assert done.returncode == 3
    assert "left: the connection broke (RemoteProtocolError)" in done.stdout
    assert "right: an answer of more than 1 MiB" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cases", "absent.json"), "absent.json cannot be read: No such file or directory"),
        (("--cases", "."), ". cannot be read: Is a directory"),
        (
            ("--left", "ftp://127.0.0.1"),
            "--left must be an address such as http://127.0.0.1:8000, not 'ftp://127.0.0.1'",
        ),
        (("--left", "127.0.0.1:8000"), "--left must be an address"),
        (("--left", "http://127.0.0.1:80000"), "--left is not an address"),
        (("--left", "http://127.0.0.1/?a=1"), "--left must be an address"),
        (("--left", f"http://me:{SECRET}@127.0.0.1"), "--left must not hold a user or a password"),
        (("--left-token", f"{SECRET}\n"), "the token for --left has characters that no token has"),
    ],
)
def test_wrong_file_address_or_token_is_exit_code_three_and_never_shows_a_secret(
    environ: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    done = parity(environ, "http://127.0.0.1:1", "http://127.0.0.1:1", *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {said}")
    assert SECRET not in done.stderr


def test_token_of_this_installation_goes_to_its_own_api_alone(environ: dict[str, str], cases: Path) -> None:
    with scripted_http(PASSED, TAGGED, MALFORMED) as own, scripted_http(PASSED, TAGGED, MALFORMED) as other:
        own_port = own.url.rpartition(":")[2]
        done = parity(
            environ | {"LAKEHOUSE_API_PORT": own_port}, f"http://localhost:{own_port}", other.url, *in_order(cases)
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {asked.headers["Authorization"] for asked in own.asked} == {"Bearer token-of-this-installation"}
    assert not any("Authorization" in asked.headers for asked in other.asked)


@pytest.mark.slow
def test_real_api_is_as_the_builtin_cases_expect_in_both_forms(
    environ: dict[str, str], objects: S3ObjectStore, tmp_path: Path
) -> None:
    write_workers(tmp_path / "workers.csv", 200)
    with api_process(objects, tmp_path / "api", **STATIC) as api:
        with api.client() as client, (tmp_path / "workers.csv").open("rb") as file:
            client.post("/v1/ingest?name=workers", files={"file": file}).raise_for_status()
        tokens = {"LEFT_TOKEN": TOKEN, "RIGHT_TOKEN": TOKEN}
        done = parity(environ | tokens, api.url, api.url, "--right-form", "flat", "--json")
        without = parity(environ | tokens | {"RIGHT_TOKEN": "wrong"}, api.url, api.url)
    document = json.loads(done.stdout)
    odd = [case for case in document["cases"] if case["verdict"] != "same"]
    assert (done.returncode, odd) == (0, [])
    assert document["counts"]["same"] == len(builtin_cases())
    assert without.returncode == 3
    assert "right: 401" in without.stdout
    assert "wrong" not in without.stdout + without.stderr
