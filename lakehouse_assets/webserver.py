"""The guarded webserver: `python -m lakehouse_assets.webserver [--read-only]`.

Belongs here: serving Dagster's UI behind the guard. Not here: the guard's rules (see guard.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse.settings import Settings, load_settings
from lakehouse_assets.guard import Guard
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import LOCATION, LOOPBACK, code_server_port, wait_for_code_server

if TYPE_CHECKING:
    from dagster._core.workspace.load_target import GrpcServerTarget


def serve(settings: Settings, *, is_read_only: bool) -> None:
    """Serve the UI over the shared code server until the process is told to stop.

    Args:
        settings: Address, port and allowed host names.
        is_read_only: True for people who may look but not launch.
    """
    import uvicorn
    from dagster import __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster_webserver.app import create_app_from_workspace_process_context

    with open_instance(settings) as instance:
        wait_for_code_server(settings)
        instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
        with WorkspaceProcessContext(
            instance, _code_server(settings), version=__version__, read_only=is_read_only
        ) as workspace:
            app = create_app_from_workspace_process_context(workspace, live_data_poll_rate=2000)
            guarded = Guard(app, allowed_hosts=(*settings.allowed_hosts, settings.dagster_host))
            uvicorn.run(
                guarded,
                host=settings.dagster_host,
                port=settings.dagster_port,
                log_level="warning",
                timeout_graceful_shutdown=3,  # the UI's websockets would hold it up for ever
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read settings and arguments, serve."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse_assets.webserver", description=__doc__)
    parser.add_argument("--read-only", action="store_true", help="look, but launch nothing")
    serve(load_settings(), is_read_only=parser.parse_args(arguments).read_only)


def _code_server(settings: Settings) -> GrpcServerTarget:
    from dagster._core.workspace.load_target import GrpcServerTarget

    return GrpcServerTarget(host=LOOPBACK, port=code_server_port(settings), socket=None, location_name=LOCATION)


if __name__ == "__main__":
    main()
