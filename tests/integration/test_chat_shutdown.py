"""The API is stopped while a chat goes on: its grace is kept, the client hears why, and the process ends."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import api_process
from tests.fakes.chat_endpoint import Reply, chat_endpoint


def test_chat_past_the_grace_is_told_so_and_the_process_ends(objects: S3ObjectStore, tmp_path: Path) -> None:
    with chat_endpoint() as provider:
        provider.replies = [Reply(hang=True)]
        settings = {"chat_providers": f'{{"ollama": {{"url": "{provider.url}"}}}}', "shutdown_grace_s": 1}
        with api_process(objects, tmp_path, **settings) as api:
            answers: list[httpx.Response] = []

            def chat() -> None:
                with api.client() as client:
                    asked = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
                    answers.append(client.post("/v1/chat", json=asked))

            asking = threading.Thread(target=chat)
            asking.start()
            while not provider.requests:
                threading.Event().wait(0.01)
            assert api.stop() == 0
            asking.join()
    (answer,) = answers
    assert answer.status_code == 503
    assert "stopping" in answer.json()["detail"]
    assert "Traceback" not in (tmp_path / "api.log").read_text()
