"""The guard's rules on scopes alone; the running server is tested in tests/integration/test_dagster_ui.py."""

from __future__ import annotations

import pytest

from lakehouse_assets.guard import Guard


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("not reached")


GUARD = Guard(app, allowed_hosts=("127.0.0.1", "localhost", "[::1]"))


def scope(method: str = "GET", path: str = "/", *, kind: str = "http", host: str = "127.0.0.1:3000", **headers: str):
    named = {"host": host, **{k.replace("_", "-"): v for k, v in headers.items()}}
    pairs = [(k.encode(), v.encode()) for k, v in named.items()]
    return {"type": kind, "method": method, "path": path, "headers": pairs}


OWN = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    "allowed",
    [
        scope(),
        scope(host="localhost:3000", path="/assets/dataset"),
        scope(host="[::1]:3000"),
        scope("POST", "/graphql", content_type="application/json", origin=OWN),
        scope("POST", "/graphql", content_type="application/json; charset=utf-8"),
        scope(kind="websocket", path="/graphql", origin=OWN),
    ],
)
def test_request_of_the_ui_itself_passes(allowed: dict[str, object]) -> None:
    assert GUARD.reason_against(allowed) is None


@pytest.mark.parametrize(
    "attack",
    [
        scope("GET", "/graphql"),
        scope("GET", "/graphql/"),
        scope("POST", "/graphql", content_type="text/plain"),
        scope("POST", "/graphql", content_type="application/x-www-form-urlencoded"),
        scope("POST", "/graphql", content_type="multipart/form-data; boundary=x"),
        scope("POST", "/graphql"),
        scope("POST", "/graphql", content_type="application/json", origin="http://evil.example"),
        scope("POST", "/graphql", content_type="application/json", origin="null"),
        scope("POST", "/graphql", content_type="application/json", origin="http://127.0.0.1:4000"),
        scope("POST", "/graphql", content_type="application/json", origin="http://["),
        scope(kind="websocket", path="/graphql", origin="http://["),
        scope("POST", "/graphql", content_type="application/json", host="evil.example:3000"),
        scope(host="127.0.0.1.evil.example"),
        scope(host=""),
        scope(host="[::1"),
        scope(kind="websocket", path="/graphql", origin="http://evil.example"),
        scope(kind="websocket", path="/graphql"),
        scope("POST", "/report_asset_materialization/dataset"),
        scope("DELETE", "/"),
    ],
)
def test_request_that_another_page_could_cause_is_refused(attack: dict[str, object]) -> None:
    assert GUARD.reason_against(attack) is not None


def test_second_host_or_origin_header_is_refused() -> None:
    twice = scope()
    twice["headers"].append((b"host", b"evil.example"))
    assert GUARD.reason_against(twice) is not None
    without = {"type": "http", "method": "GET", "path": "/", "headers": []}
    assert GUARD.reason_against(without) is not None
