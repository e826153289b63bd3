"""A service that answers a load as it should, in memory and over HTTP; a test turns its answers into others."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lakehouse.load.crew import Crew, Worker, make_crew
from lakehouse.load.mix import RequestKind
from lakehouse.load.plan import make_stage
from lakehouse.load.scenarios import Stage
from lakehouse.load.steps import Ask, Reply
from lakehouse.sample.workers import COLUMNS, worker_batches

WORKERS = [
    Worker(str(number), f"Ana María {number}", ("Electrician", "Welder", "Astronaut")[number % 3], "Toledo", "OH")
    for number in range(60)
]


def crew() -> Crew:
    return make_crew(WORKERS, [("C-0001", "1"), ("C-0002", "4")])


def stage(seed: int = 7) -> Stage:
    return make_stage(crew(), corpus="workers", seed=seed, mark="m")


class Service:
    """Answers as a right service does; a test turns what it answers into something else."""

    def __init__(self) -> None:
        self.asked: list[tuple[Ask, Any]] = []
        self.recorded: dict[str, str] = {}
        self.searched: set[str] = set()
        places = [COLUMNS.index(name) for name in ("worker_id", "role", "city", "state", "status", "skills")]
        self.sample = [[row[place] for place in places] for row in next(worker_batches(10))]
        self.listed: dict[str, Any] = {
            "/v1/catalog": {"datasets": [{"name": "workers"}], "broken": {}},
            "/v1/vectors/index": {"indexes": [{"name": "workers"}]},
            "/v1/matrix/playbooks": {"playbooks": [{"tags": ["load"]}], "next": None},
        }
        self.change: dict[RequestKind, Any] = {}
        self.missing: set[str] = {"/v1/catalog/client_blocks"}
        self.headers: list[dict[str, str]] = []

    def answer(self, ask: Ask) -> Reply:
        body = json.loads(ask.body) if ask.body else None
        self.asked.append((ask, body))
        status, document = self._right(ask, body)
        if (change := self.change.get(ask.kind)) is not None:
            changed = change(document)
            status, document = changed if isinstance(changed, tuple) else (status, changed)
        return Reply(status, document if isinstance(document, bytes) else json.dumps(document).encode())

    def _right(self, ask: Ask, body: Any) -> tuple[int, Any]:
        if ask.path in self.missing:
            return 404, {"detail": f"nothing at {ask.path}"}
        if ask.method in ("DELETE", "GET"):
            return 200, self.listed.get(ask.path.partition("?")[0], {})
        if ask.path == "/v1/sql" and "skills" in body["sql"]:
            return 200, {"rows": self.sample}
        if ask.path == "/v1/sql":
            return 200, {"rows": [[int(w.worker_id), w.name, w.role, w.city, w.state] for w in WORKERS]}
        if ask.path.endswith("/search") and "sql_filter" in body:
            return 200, {"results": [{"id": worker.worker_id} for worker in WORKERS]}
        if ask.path.endswith("/search"):
            is_known = body["query"] in self.searched
            self.searched.add(body["query"])
            timings = {"total": 0.1, "embed_cached": is_known, "answer_cached": is_known}
            results = self._results(body)
            return 200, {"query": body["query"], "results": results, "trace_id": "t", "timings_ms": timings}
        if ask.path.endswith("/record"):
            self.recorded[body["query"]] = body["answer_id"]
            return 200, {"playbook_id": f"p{len(self.recorded)}", "merged": False, "revision": "r"}
        return self._validated(body)

    def _results(self, body: Any) -> list[dict[str, Any]]:
        wanted = body.get("filter", {})
        endorsed = self.recorded.get(body["query"])
        ids = list(dict.fromkeys([*([endorsed] if endorsed else []), *(f"x{number}" for number in range(25))]))
        left = [one for one in ids if one not in body.get("exclude_ids", ())][: body["k"]]
        return [
            {
                "id": one,
                "score": 2 - place / 10,
                "metadata": {"role": wanted.get("role", "Welder"), "state": wanted.get("state"), "skills": []},
                "playbook": {"boost": 1.0, "playbook_ids": ["p"]} if one == endorsed else None,
            }
            for place, one in enumerate(left)
        ]

    def _validated(self, body: Any) -> tuple[int, Any]:
        text = json.dumps(body["artifact"])
        if not body["artifact"]:
            return 422, {"Schema": {"field": "operation", "reason": "is missing"}}
        if "phantom" in text:
            return 422, {"Consistency": {"reason": "nobody"}}
        if "219-09-9999" in text:
            return 422, {"Policy": {"reason": "holds a US Social Security number"}}
        if "x" * 161 in text:
            return 422, {"Schema": {"field": "body", "reason": "too long"}}
        return 200, {"findings": [], "elapsed_ms": 0.1}


class Broken(Exception):
    """Raised by a change: the connection breaks instead of an answer."""


@contextlib.contextmanager
def serving(service: Service) -> Iterator[str]:
    """The service on a free port of loopback; gives its URL. Kinds of requests are not told apart there."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.headers.append(dict(self.headers))
            kind = RequestKind.VALIDATE_SMS if b'"kind":"sms"' in body else RequestKind.SEARCH
            try:
                reply = service.answer(Ask(kind, self.path, body, self.command))
            except Broken:
                self.close_connection = True
                return
            head = f"HTTP/1.1 {reply.status} OK\r\nContent-Length: {len(reply.body)}\r\n\r\n"
            self.wfile.write(head.encode() + reply.body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the server calls them

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # a connection beyond it waits a second
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
