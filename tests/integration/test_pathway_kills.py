"""An API that is killed while traces come in: what was acknowledged is there, once, after every restart."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import ApiProcess, api_process
from tests.memory_logs import wait_until

ROUNDS = 3
WRITERS = 16
LEAST = 150  # acknowledged in each round before the kill


class Writers:
    """Threads that add distinct traces, and update them, until the process is gone."""

    def __init__(self, api: ApiProcess, number: int) -> None:
        self.acknowledged: dict[str, str] = {}  # by uid, the content that was acknowledged last
        self.attempted: dict[str, set[str]] = {}
        self._threads = [threading.Thread(target=self._write, args=(api, number, n)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, api: ApiProcess, number: int, writer: int) -> None:
        with api.client() as client:
            for n in range(1_000_000):
                content = f"round {number} writer {writer} trace {n}"
                try:
                    answer = client.post("/v1/pathway/add", json={"content": content})
                    if answer.status_code != 200:
                        return
                    uid = answer.json()["uid"]
                    self.attempted[uid] = {content}
                    self.acknowledged[uid] = content
                    if n % 3 == 0:
                        changed = f"{content} changed"
                        self.attempted[uid].add(changed)
                        if client.post("/v1/pathway/update", json={"uid": uid, "content": changed}).status_code == 200:
                            self.acknowledged[uid] = changed
                            self.attempted[uid] = {changed}
                except httpx.HTTPError:
                    return

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


def everything(api: ApiProcess) -> dict[str, Any]:
    with api.client() as client:
        wait_until(lambda: client.get("/v1/pathway/stats").status_code == 200)
        answer = client.post("/v1/sql", json={"sql": "SELECT uid, content FROM pathways", "max_rows": 100_000})
        assert answer.status_code == 200, answer.text
        rows = answer.json()["rows"]
        assert len({uid for uid, _ in rows}) == len(rows)
        return dict(rows)


@pytest.mark.slow
def test_acknowledged_traces_survive_kills(objects: S3ObjectStore, tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    attempted: dict[str, set[str]] = {}
    settings = {"pathway_embedder": "static", "memory_fold_s": 0.3}
    with api_process(objects, tmp_path, **settings) as api:
        for number in range(ROUNDS):
            writers = Writers(api, number)
            wait_until(lambda: len(writers.acknowledged) >= LEAST)  # noqa: B023 - called at once
            api.stop(how=signal.SIGKILL)
            writers.join()
            acknowledged |= writers.acknowledged
            attempted |= writers.attempted
            api.start()
            there = everything(api)
            assert set(acknowledged) <= set(there)
            for uid, content in attempted.items():
                assert there[uid].strip('"') in content
            contents = list(there.values())
            assert len(set(contents)) == len(contents)
            # Of each writer one that was not acknowledged may be there all the same.
            assert len(there) - len(acknowledged) <= WRITERS * (number + 1)
