"""Lines of an answer reach a command as they come, not when the answer ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from lakehouse.errors import Unavailable
from lakehouse_cli.client import ApiClient
from lakehouse_cli.main import app

RUN = b'{"event":"run","run_id":"r","workflow":"w","state":"running"}\n'
_PATIENCE_S = 10


class Server:
    """Sends a line, and the next one when the first was seen; `ends_early`: it breaks off then."""

    def __init__(self, *, ends_early: bool) -> None:
        self.seen = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(RUN)
                self.wfile.flush()
                if not ends_early and server.seen.wait(_PATIENCE_S):
                    self.wfile.write(b'{"event":"end"')
                    self.wfile.flush()
                    self.wfile.write(b"}\n")

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(ends_early=getattr(request, "param", False))
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_a_line_is_there_before_the_answer_ends(server: Server) -> None:
    with ApiClient(f"http://127.0.0.1:{server.port}", None) as api, api.lines("POST", "/x", json={}) as lines:
        assert next(lines) == RUN.rstrip(b"\n")
        server.seen.set()
        assert list(lines) == [b'{"event":"end"}']


def test_nobody_answers() -> None:
    with (
        ApiClient("http://127.0.0.1:9", None) as api,
        pytest.raises(Unavailable, match="no API answers"),
        api.lines("GET", "/x"),
    ):
        pass


@pytest.mark.parametrize("server", [True], indirect=True)
def test_a_run_whose_end_never_came_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_API_PORT", str(server.port))
    monkeypatch.setenv("LAKEHOUSE_AUTH_TOKEN", "t")
    done = CliRunner().invoke(app, ["workflow", "run", "w"])
    assert done.exit_code == 1
    assert "the end of run r did not come; what ran is on record: GET /v1/observer/workflow/runs/r" in done.stderr


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_an_input_that_is_no_json_is_a_text(number: str) -> None:
    from lakehouse_cli.workflow_commands import _inputs

    assert _inputs([f"x={number}", "y=1.5", 'z="7"'], None) == {"x": number, "y": 1.5, "z": "7"}
