"""The daemon: `python -m lakehouse_assets.daemon`, exactly one per instance, after the code server.

Belongs here: the lock, the order of things at boot. Not here: runs whose worker is dead (see code_server.py).
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import Conflict
from lakehouse.settings import Settings, load_settings
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import (
    DAEMON_LOCK_FILE,
    DAEMON_READY_FILE,
    LOCATION,
    LOOPBACK,
    code_server_port,
    wait_for_code_server,
)

HEARTBEAT_TOLERANCE_S = 300


def run_daemon(settings: Settings) -> None:
    """Run sensors, schedules, the queue and monitoring until told to stop.

    Raises:
        Conflict: Another daemon holds this instance.
    """
    home = settings.dagster_home_path
    with only_one(home):
        from dagster._core.workspace.load_target import GrpcServerTarget
        from dagster._daemon.controller import daemon_controller_from_instance
        from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

        setup_interrupt_handlers()
        target = GrpcServerTarget(host=LOOPBACK, port=code_server_port(settings), socket=None, location_name=LOCATION)
        with capture_interrupts(), open_instance(settings) as instance:
            wait_for_code_server(settings)
            with daemon_controller_from_instance(
                instance,
                workspace_load_target=target,
                heartbeat_tolerance_seconds=HEARTBEAT_TOLERANCE_S,
                log_level="warning",
                code_server_log_level="warning",
            ) as controller:
                (home / DAEMON_READY_FILE).touch()
                controller.check_daemon_loop()


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the instance's daemon lock; the system lets go of it when the process dies, however it dies.

    Raises:
        Conflict: Another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    ready = home / DAEMON_READY_FILE
    with (home / DAEMON_LOCK_FILE).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another Dagster daemon already serves {home}; stop it first") from None
        ready.unlink(missing_ok=True)
        try:
            yield
        finally:
            ready.unlink(missing_ok=True)


def main() -> None:
    """Run the daemon of the settings' instance."""
    try:
        run_daemon(load_settings())
    except Conflict as error:
        sys.exit(error.detail)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
