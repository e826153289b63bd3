"""The code server: `python -m lakehouse_assets.code_server`, which serves the definitions and starts runs.

Belongs here: opening the instance in its turn, runs that a server before this one has left, then Dagster's own server.
Not here: the definitions, which runs are dead (see reconcile.py).
"""

from __future__ import annotations

import logging

from lakehouse.settings import Settings, load_settings
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import LOCATION, LOOPBACK, MODULE, PROJECT, code_server_port

logger = logging.getLogger("lakehouse.dagster")


def prepare(settings: Settings) -> None:
    """Open the instance, and report runs as failed whose workers ended with the server before this one.

    Workers are its children: while it lives it notices their deaths itself, and theirs with its own nobody else would.
    Until somebody reports it such a run has one of the slots, and its partition waits.
    """
    from lakehouse_assets.reconcile import fail_dead_runs

    with open_instance(settings) as instance:  # its tables exist then, so the server may open it together with others
        for run_id in fail_dead_runs(instance):
            logger.warning("run %s was in work when its process was killed; reported as failed", run_id)


def main() -> None:
    """Serve the code location of the settings on loopback."""
    from dagster._cli.api import grpc_command

    settings = load_settings()
    prepare(settings)
    grpc_command(
        [
            "--host", LOOPBACK, "--port", str(code_server_port(settings)), "--module-name", MODULE,
            "--working-directory", str(PROJECT), "--location-name", LOCATION,
            "--use-python-environment-entry-point", "--log-level", "warning",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
