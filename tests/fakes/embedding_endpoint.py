"""A server of OpenAI's `/v1/embeddings`: answers from a fake embedder, or with whatever a test makes of it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.embedders import FakeEmbedder

Document = dict[str, Any]


@dataclass
class EmbeddingServer:
    """What it was asked, and what it answers next: statuses first, then vectors, changed by `spoil`."""

    embedder: FakeEmbedder
    url: str = ""
    requests: list[Document] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    spoil: Callable[[Document], Document] = lambda document: document
    raw: bytes | None = None
    is_silent: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: Document) -> bytes:
        if self.raw is not None:
            return self.raw
        vectors = self.embedder.embed(asked["input"]).tolist()
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        document = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
        return json.dumps(self.spoil(document)).encode()


@contextlib.contextmanager
def embedding_server(embedder: FakeEmbedder) -> Iterator[EmbeddingServer]:
    """Run one on a free port of loopback."""
    state = EmbeddingServer(embedder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append({"path": self.path, **asked})
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            if state.is_silent.is_set():
                state.ending.wait(120)
                self.close_connection = True
                return
            status, headers = state.statuses.pop(0) if state.statuses else (200, {})
            body = state.answer(asked) if status == 200 else b'{"error": {"message": "key sk-secret is wrong"}}'
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        state.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
