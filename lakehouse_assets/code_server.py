"""The code server: `python -m lakehouse_assets.code_server`, which serves the definitions and starts runs.

Belongs here: opening the instance in its turn, runs that a server before this one has left, what Dagster would read
again at each tick, then Dagster's own server. Not here: the definitions, which runs are dead (see reconcile.py).
"""

from __future__ import annotations

import logging
import math
from threading import Thread
from typing import TYPE_CHECKING

from lakehouse.settings import Settings, load_settings
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import (
    LOCATION,
    LOOPBACK,
    MODULE,
    PROJECT,
    code_server_port,
    wait_for_code_server,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alembic.config import Config

    from lakehouse_assets.reconcile import Worker

logger = logging.getLogger("lakehouse.dagster")


def prepare(settings: Settings) -> dict[str, Worker]:
    """Open the instance, and find the runs whose workers ended with the server before this one.

    Workers are its children: while it lives it notices their deaths itself, and theirs with its own nobody else would.
    """
    from lakehouse_assets.reconcile import dead_runs

    with open_instance(settings) as instance:  # its tables exist then, so the server may open it together with others
        return dead_runs(instance)


def report_when_serving(settings: Settings, dead: Mapping[str, Worker]) -> None:
    """Report dead runs as failed as soon as this server answers, so that Dagster can try them once more.

    Until somebody reports it such a run has one of the slots, and its partition waits.
    """
    from lakehouse_assets.reconcile import report_dead

    if not dead:
        return
    wait_for_code_server(settings, deadline_s=math.inf)  # this ends with the server
    with open_instance(settings) as instance:
        for run_id in report_dead(instance, dead):
            logger.warning("run %s was in work when its process was killed; reported as failed", run_id)


def read_migrations_once() -> None:
    """Let Alembic read a folder of migrations once in this process.

    Dagster opens its instance anew for each tick of a sensor, and each of its three storages asks which migration is
    the last one: reading them all was two thirds of what an idle code server did. They do not change while it runs.
    """
    from alembic.script import ScriptDirectory

    read, known = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        # Dagster holds a lock around it, so that no two threads use one at a time.
        location = config.get_main_option("script_location")
        if location not in known:
            known[location] = read(config)
        return known[location]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]


def main() -> None:
    """Serve the code location of the settings on loopback."""
    from dagster._cli.api import grpc_command

    settings = load_settings()
    read_migrations_once()
    dead = prepare(settings)
    Thread(target=report_when_serving, args=(settings, dead), daemon=True).start()
    grpc_command(
        [
            "--host", LOOPBACK, "--port", str(code_server_port(settings)), "--module-name", MODULE,
            "--working-directory", str(PROJECT), "--location-name", LOCATION,
            "--use-python-environment-entry-point", "--log-level", "warning",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
