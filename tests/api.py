"""The real API for tests: in this process behind ASGI, and as a process of its own behind a socket."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from fastapi import FastAPI

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.settings import Settings, load_settings, process_environ
from lakehouse_api.app import create_app
from lakehouse_api.services import Services
from tests.fakes.services import services_with_fakes
from tests.forked import ForkedProcess
from tests.servers import free_port_block

TOKEN = "test-token"
BASE_URL = "http://127.0.0.1"


def api_environ(store: S3ObjectStore, data_dir: Path, **settings: object) -> dict[str, str]:
    """The environment of an API over a test's bucket; `settings` by field name."""
    location = store.location
    given: dict[str, object] = {
        "data_dir": data_dir,
        "s3_endpoint": location.endpoint,
        "s3_bucket": location.bucket,
        "s3_access_key_id": location.access_key_id,
        "s3_secret_access_key": location.secret_access_key,
        "auth_token": TOKEN,
        "sql_workers": 1,
        # Two threads wait for each other at every layer, and on a machine that is busy with tests for their turns.
        "embedded_model_threads": 1,
        "disk_degraded_percent": 99.9,
        "disk_refuse_percent": 99.9,
        **settings,
    }
    return {f"LAKEHOUSE_{name.upper()}": str(value) for name, value in given.items() if value is not None}


def clean_environ() -> dict[str, str]:
    """This process's environment without anything that the platform would read."""
    return {k: v for k, v in process_environ().items() if not k.startswith(("LAKEHOUSE_", "AUTH_"))}


def api_settings(store: S3ObjectStore, data_dir: Path, **settings: object) -> Settings:
    """The same as `Settings`."""
    return load_settings(api_environ(store, data_dir, **settings), env_file=None)


@dataclass
class RunningApi:
    """An API in this process, its lifespan running."""

    app: FastAPI
    services: Services

    def client(
        self, *, token: str | None = TOKEN, address: str = "127.0.0.1", base_url: str = BASE_URL, **headers: str
    ) -> httpx.AsyncClient:
        """A client at an address with a token."""
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=base_url, headers=sent | headers)


@asynccontextmanager
async def running_api(
    settings: Settings,
    *,
    compose: Callable[[Settings], Services] = services_with_fakes,
    has_memory: bool = True,
) -> AsyncIterator[RunningApi]:
    """The API with its lifespan, in this process; `compose` swaps services.

    It has read its memory logs and the catalog, as a client of a healthy API finds it; `has_memory=False`: for stores
    that are away.
    """
    app = create_app(settings, compose=compose)
    async with app.router.lifespan_context(app):
        services = app.state.services
        logs = (services.retrieval.log, services.pathways.log)
        with anyio.fail_after(60):
            while has_memory and not (all(log.is_replayed for log in logs) and services.watcher.age_s is not None):
                await anyio.sleep(0.002)
        yield RunningApi(app, services)


@contextlib.contextmanager
def serving(app: FastAPI, **config: Any) -> Iterator[str]:
    """The app behind a real socket, in a thread of this process; gives its URL. `config` is uvicorn's."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # a client that is early waits
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", **config))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def call(
    app: FastAPI,
    method: str,
    raw_path: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    address: str = "127.0.0.1",
) -> tuple[int, dict[str, str], bytes]:
    """One request with a path exactly as given: clients normalise theirs. Returns status, headers, body."""
    from urllib.parse import unquote

    path, _, query = raw_path.partition(b"?")
    sent = {"host": "127.0.0.1", "authorization": f"Bearer {TOKEN}", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in sent.items()],
        "client": (address, 50_000),
        "server": ("127.0.0.1", 80),
    }
    messages: list[Any] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not given:
            await anyio.sleep_forever()  # the client stays
        return given.pop(0)

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    answered = {k.decode().lower(): v.decode() for k, v in start["headers"]}
    return start["status"], answered, b"".join(m.get("body", b"") for m in messages[1:])


def _answers(health: httpx.Response) -> bool:
    return health.status_code == 200


def _has_memory(health: httpx.Response) -> bool:
    return _answers(health) and "log is being read" not in health.text


@dataclass
class ApiProcess:
    """`python -m lakehouse_api` on a free port.

    `is_forked` spares a test the start of Python. Not for what is measured: a forked process begins before its start
    and shares memory.
    """

    environ: Mapping[str, str]
    log: Path
    port: int = 0
    is_forked: bool = False
    process: subprocess.Popen[bytes] | ForkedProcess | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(
        self,
        *,
        is_ready: Callable[[httpx.Response], bool] | None = None,
        port: int | None = None,
    ) -> None:
        """Start it, on a port of its own unless one is given, and wait until `/health` answers so."""
        self.port = free_port_block(1) if port is None else port
        self.process = self._begun()
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (is_ready or _answers)(httpx.get(f"{self.url}/health", timeout=2, trust_env=False, verify=False)):
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text()[-3000:])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def _begun(self) -> subprocess.Popen[bytes] | ForkedProcess:
        environ = {**clean_environ(), "LAKEHOUSE_API_PORT": str(self.port), **self.environ}
        folder = self.log.parent  # no `.env` of the developer's
        if self.is_forked:
            return ForkedProcess("lakehouse_api.__main__", environ=environ, folder=folder, log=self.log)
        command = [sys.executable, "-m", "lakehouse_api"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=environ, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )  # fmt: skip

    def client(self, *, token: str | None = TOKEN, timeout_s: float = 60) -> httpx.Client:
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=sent, timeout=timeout_s, trust_env=False)

    def connection(self) -> http.client.HTTPConnection:
        """A bare connection: what is sent is what is written."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def stop(self, *, how: signal.Signals = signal.SIGTERM, wait_s: float = 40) -> int:
        """Signal it and give its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(wait_s)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)


@contextlib.contextmanager
def api_process(
    store: S3ObjectStore, folder: Path, *, has_memory: bool = True, is_forked: bool = True, **settings: object
) -> Iterator[ApiProcess]:
    """A running API process over a test's bucket, stopped at the end; it has read its memory logs, as above."""
    folder.mkdir(parents=True, exist_ok=True)
    process = ApiProcess(api_environ(store, folder / "data", **settings), folder / "api.log", is_forked=is_forked)
    process.start(is_ready=_has_memory if has_memory else _answers)
    try:
        yield process
    finally:
        process.stop()
