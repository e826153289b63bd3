"""A server under a sub-path, for tests: a proxy that strips the path and says so, as those of companies do."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding"})


@contextlib.contextmanager
def under_sub_path(port: int, path: str) -> Iterator[str]:
    """Pass requests below a path on to a port of this machine, without it; gives the URL.

    Args:
        port: Of the server behind it.
        path: Such as `/s3`.
    """

    class PassOn(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {n: v for n, v in self.headers.items() if n.lower() not in _OF_THE_CONNECTION}
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as behind:
                behind.request(
                    self.command, self.path.removeprefix(path) or "/", body, headers | {"X-Forwarded-Prefix": path}
                )
                answer = behind.getresponse()
                said = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_THE_CONNECTION | {"content-length", "date", "server"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(said))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(said)

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(PassOn, f"do_{method}", PassOn.pass_on)

    with ThreadingHTTPServer(("127.0.0.1", 0), PassOn) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{path}"
        finally:
            server.shutdown()
            thread.join()
