"""A chat provider of OpenAI's form that answers as a test scripts it: quirks, faults, streams that break off."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Document = dict[str, Any]


@dataclass
class Reply:
    """One answer: a document, raw bytes, or events of a stream. `hang`: it says nothing more, and keeps the line."""

    status: int = 200
    document: Any = None
    raw: bytes | None = None
    events: list[Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


def completion(content: str | None = "Hello.", **changes: Any) -> Document:
    """A completion as most providers give it."""
    message = {"role": "assistant", "content": content, **changes.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **changes}


def chunk(content: str | None = None, finish_reason: str | None = None, **changes: Any) -> Document:
    """A chunk of a stream."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **changes}


@dataclass
class ChatEndpointServer:
    """What it was asked, and what it answers next; the last reply is given again.

    `by_model` holds the reply to a model that always answers the same.
    """

    url: str = ""
    replies: list[Reply] = field(default_factory=lambda: [Reply(document=completion())])
    by_model: dict[str, Reply] = field(default_factory=dict)
    requests: list[Document] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    models: list[Any] = field(default_factory=lambda: [{"id": "qwen2.5:3b", "object": "model"}])
    gone: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextlib.contextmanager
def chat_endpoint() -> Iterator[ChatEndpointServer]:
    """Run one on a free port of loopback."""
    state = ChatEndpointServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(Reply(document={"object": "list", "data": state.models}))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append({"path": self.path, **asked})
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            self._send(state.by_model.get(asked.get("model")) or state.next_reply())

        def _send(self, reply: Reply) -> None:
            if reply.events is not None:
                self._stream(reply)
                return
            if reply.hang:
                state.ending.wait(120)
                self.close_connection = True
                return
            body = reply.raw if reply.raw is not None else json.dumps(reply.document).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            with contextlib.suppress(OSError):  # a client that has heard enough
                self.end_headers()
                self.wfile.write(body)

        def _stream(self, reply: Reply) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(OSError):
                for event in reply.events or ():
                    self.wfile.write(
                        event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n"
                    )
                    self.wfile.flush()
                if reply.hang:
                    state.ending.wait(120)

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
