"""An HTTP server that answers as a test's script says, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One answer; `is_cut` breaks the connection before the length that was announced is reached."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False


@dataclass
class Asked:
    """One request; of its body only the length and the first bytes."""

    method: str
    path: str
    headers: dict[str, str]
    length: int
    start: bytes


@dataclass
class ScriptedHttp:
    """The replies to come, the last of which is given again and again, and the requests so far."""

    replies: list[Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def scripted_http(*replies: Reply) -> Iterator[ScriptedHttp]:
    """A server on a free port of loopback."""
    script = ScriptedHttp(list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            left = length = int(self.headers.get("Content-Length", 0))
            start = b""
            while left:
                data = self.rfile.read(min(left, 1 << 16))
                if not data:
                    break
                start, left = start or data[:1000], left - len(data)
            script.asked.append(Asked(self.command, self.path, dict(self.headers), length - left, start))
            reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) + (1000 if reply.is_cut else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.is_cut

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - as the server calls them

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...  # a client that has gone says nothing in the test's own output

    with Server(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
