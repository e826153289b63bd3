"""Children: what `lakehouse up` runs, in which order, and when each counts as ready.

Belongs here: commands, needs, ports, readiness. Not here: starting and restarting them (see supervisor.py).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lakehouse.client.installation import api_url
from lakehouse.settings import Settings, process_environ
from lakehouse_cli.ports import PortNeed
from lakehouse_cli.tokens import require_token


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line and its environment."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stuck:
    """A state that a process does not leave by itself, out of which a new start helps.

    `says` is what its log says in it; `can_start` is asked until a new start would help, and meanwhile `waits_for` is
    the child's message.
    """

    says: re.Pattern[bytes]
    can_start: Callable[[], bool]
    waits_for: str


@dataclass(frozen=True, slots=True)
class Child:
    """One process. `needs` are names of children that must be ready before it starts and must outlive it; `uses`
    must outlive it too, but it can start without them.

    `launch` makes what the process needs on disk and says how to start it; it is called only then, so that `status`
    changes nothing. `is_ready` asks the running process; `after_ready` runs once each time it has become ready, before
    those that need it start. `stuck` says when it is started again although it runs. `url` is what a user opens, empty
    when there is nothing to open. `grace_s` is the time to end after SIGTERM.
    """

    name: str
    launch: Callable[[], Launch]
    is_ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    after_ready: Callable[[], None] | None = None
    ports: tuple[PortNeed, ...] = ()
    url: str = ""
    grace_s: float = 10.0
    stuck: Stuck | None = None


def make_children(settings: Settings) -> tuple[Child, ...]:
    """All children of an installation, those that others need first."""
    store = (_store(settings),) if settings.is_store_embedded else ()
    names = tuple(child.name for child in store)
    return (*store, _api(settings, needs=names), *_dagster(settings, uses=names))


def child_environ(settings: Settings) -> dict[str, str]:
    """The environment of every child: ours, the data folder as an absolute path, the token.

    Children are started by `python -m`, which would look for modules in the folder where the command was typed: a file
    of somebody's called `json.py` there would be taken for the library's.
    """
    token = require_token(settings, process_environ())
    own = {"LAKEHOUSE_DATA_DIR": str(settings.data_dir), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    return process_environ(**own, **{settings.auth_token_env: token})


def _store(settings: Settings) -> Child:
    from lakehouse.adapters.connect import connect_store, embedded_store
    from lakehouse.adapters.seaweedfs import (
        INDEX_REFUSES,
        STOP_GRACE_S,
        has_room_to_start,
        is_ready,
        require_fsync,
        server_command,
    )

    store = embedded_store(settings)

    def prepare() -> None:
        connect_store(settings).ensure_bucket()
        require_fsync(store)

    ports = tuple(
        PortNeed(store.port + i, "the embedded store", "LAKEHOUSE_EMBEDDED_S3_PORT", store.host) for i in range(8)
    )
    return Child(
        "store",
        lambda: Launch(tuple(server_command(store)), process_environ()),
        lambda: is_ready(store),
        after_ready=prepare,
        ports=ports,
        url=store.endpoint,
        grace_s=STOP_GRACE_S,
        stuck=Stuck(
            INDEX_REFUSES,
            lambda: has_room_to_start(store),
            "its disk was full and it refuses writes: it is started again when there is room",
        ),
    )


def _api(settings: Settings, *, needs: tuple[str, ...]) -> Child:
    return Child(
        "api",
        lambda: Launch((sys.executable, "-m", "lakehouse_api"), child_environ(settings)),
        lambda: _answers(f"{api_url(settings)}/health"),
        needs=needs,
        ports=(PortNeed(settings.api_port, "the API", "LAKEHOUSE_API_PORT", settings.api_host),),
        url=api_url(settings),
        grace_s=settings.shutdown_grace_s + 5,  # its requests have `shutdown_grace_s` to end; then it ends by itself
    )


def _dagster(settings: Settings, *, uses: tuple[str, ...]) -> tuple[Child, ...]:
    from lakehouse_assets.processes import DagsterCommand, dagster_commands

    def child(command: DagsterCommand) -> Child:
        need = None if command.port is None else PortNeed(command.port, command.name, "LAKEHOUSE_DAGSTER_PORT")
        return Child(
            command.name,
            lambda: Launch(command.argv, {**child_environ(settings), **command.env}),
            command.is_ready,
            needs=command.needs,
            uses=uses,  # sensors and runs need the store, but Dagster starts without it
            ports=() if need is None else (need,),
            url=command.url,
        )

    return tuple(child(command) for command in dagster_commands(settings))


def _answers(url: str) -> bool:
    import httpx

    try:
        # Plain HTTP on this machine: to load the certificates takes a hundred times as long as to ask.
        return httpx.get(url, timeout=2.0, verify=False).status_code == 200  # noqa: S501
    except httpx.HTTPError:
        return False
