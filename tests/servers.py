"""Real servers for tests: SeaweedFS on free ports, and a store that accepts and never answers."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.adapters.seaweedfs import STOP_GRACE_S, EmbeddedStore, is_ready, load_or_make_credentials, server_command
from lakehouse.settings import process_environ

_FILER = 5  # the place of the filer's port among those of the server


_FIRST, _BLOCK, _BLOCKS = 18_000, 16, 750  # below the ephemeral range, out of which any connection may take a port
_claims = Path(tempfile.gettempdir()) / "lakehouse-test-ports"
_claimed: list[BinaryIO] = []  # held until this process ends, of which the system takes note however it ends


def free_port_block(size: int) -> int:
    """The first port of up to 16 free ports in a row, which no other process of tests gets while this one lives.

    Between this answer and the server that takes the port, seconds may pass: that it is free now is not enough.
    """
    assert size <= _BLOCK
    _claims.mkdir(mode=0o777, exist_ok=True)
    for number in random.SystemRandom().sample(range(_BLOCKS), _BLOCKS):
        claim = (_claims / str(number)).open("ab")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
            continue
        first = _FIRST + number * _BLOCK
        if all(map(_is_free, range(first, first + size))):
            _claimed.append(claim)
            return first
        claim.close()
    raise RuntimeError("no free block of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass
class StoreServer:
    """A SeaweedFS of its own that a test can stop, kill and start again on the same folder and ports.

    `has_one_thread`: one thread at a time runs Go. Several look for work in turns, which is a third of what the server
    takes; requests are served side by side all the same, in another order at each wait. Not for what is measured.
    """

    embedded: EmbeddedStore
    has_one_thread: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with (self.embedded.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                server_command(self.embedded),
                env=process_environ(**({"GOMAXPROCS": "1"} if self.has_one_thread else {})),
                stdout=log,
                stderr=log,
                cwd=self.embedded.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not is_ready(self.embedded):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.embedded.folder / "weed.log").read_text()[-2000:])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)  # a pause that ends at once should the server die

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, how)
            try:
                self.process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def location(self, *, bucket: str | None = None, **changes: float | int) -> S3Location:
        keys = load_or_make_credentials(self.embedded)
        return S3Location(
            self.embedded.endpoint,
            bucket or self.embedded.bucket,
            "us-east-1",
            keys["access_key_id"],
            keys["secret_access_key"],
            **changes,  # type: ignore[arg-type]
        )

    def objects(self, *, bucket: str | None = None, **changes: float | int) -> S3ObjectStore:
        store = S3ObjectStore(self.location(bucket=bucket, **changes))
        store.ensure_bucket()
        return store

    def empty_bucket(self, bucket: str) -> None:
        """Delete all that lies in a bucket, folder by folder: over S3 every object would be a request of its own."""
        filer = http.client.HTTPConnection(self.embedded.host, self.embedded.port + _FILER, timeout=60)
        with contextlib.closing(filer):
            for path in _entries(filer, f"/buckets/{bucket}/"):
                filer.request("DELETE", f"{urllib.parse.quote(path)}?recursive=true")
                answer = filer.getresponse()
                said = answer.read()
                if answer.status >= http.HTTPStatus.BAD_REQUEST:
                    raise RuntimeError(f"{path}: {answer.status} {said!r}")

    def drop_bucket(self, bucket: str) -> None:
        """Delete a bucket with all that lies in it: each holds volumes, and the server has only so many."""
        self.empty_bucket(bucket)
        self.objects(bucket=bucket)._client.delete_bucket(Bucket=bucket)


def _entries(filer: http.client.HTTPConnection, folder: str) -> list[str]:
    filer.request("GET", f"{urllib.parse.quote(folder)}?limit=100000", headers={"Accept": "application/json"})
    entries = json.loads(filer.getresponse().read())["Entries"]
    return [entry["FullPath"] for entry in entries or ()]


@contextlib.contextmanager
def store_server(folder: Path, *, has_one_thread: bool = False) -> Iterator[StoreServer]:
    """A running SeaweedFS under `folder`, killed at the end: what it would still write, nobody reads."""
    folder.mkdir(parents=True, exist_ok=True)
    server = StoreServer(EmbeddedStore(folder, free_port_block(10), "lakehouse"), has_one_thread)
    server.start()
    try:
        yield server
    finally:
        server.stop(how=signal.SIGKILL)


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]
