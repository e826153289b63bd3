"""A query that waits for a store that accepts and never answers is told of the store, not to be narrower."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.api import api_process
from tests.servers import store_server


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the store, which has two seconds here, has answered in time."""
    give_up = time.monotonic() + 60
    while not (answer := ask()).is_success:
        assert answer.status_code in (503, 504), answer.text
        assert time.monotonic() < give_up
    return answer


@pytest.mark.slow
def test_query_that_waits_for_a_hung_store_says_so(tmp_path: Path) -> None:
    with store_server(tmp_path / "store") as server:
        objects = server.objects()
        limits = {"sql_timeout_s": 4, "s3_read_timeout_s": 2, "s3_max_attempts": 1}
        with api_process(objects, tmp_path / "api", **limits) as api, api.client() as client:
            for name in ("seen", "fresh"):
                files = {"file": ("f.csv", b"a,b\n1,2\n")}
                answered(lambda name=name, files=files: client.post(f"/v1/ingest?name={name}", files=files))
            seen = answered(lambda: client.post("/v1/sql", json={"sql": "SELECT a FROM seen"}))
            assert seen.json()["rows"] == [[1]]
            assert server.process is not None
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                give_up = time.monotonic() + 60
                while client.get("/health").json()["parts"]["store"]["state"] != "unavailable":
                    assert time.monotonic() < give_up
                    time.sleep(0.2)
                answer = client.post("/v1/sql", json={"sql": "SELECT a FROM fresh"})
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
    assert answer.status_code == 503, answer.text
    assert "the object store" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0
