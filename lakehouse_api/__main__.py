"""`python -m lakehouse_api`: the API in one process, with uvicorn.

Belongs here: how it is served and how it ends. Not here: what is served (see app.py).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn

from lakehouse.adapters.spare_memory import keep_little
from lakehouse.settings import SettingsError, load_settings
from lakehouse.settings_folders import make_folders
from lakehouse_api.logs import configure_logs

# A collection of the oldest generation visits every object and stops all requests meanwhile. With Python's default
# thresholds the 99th percentile of writes was 180 ms because of it, with these it is 35 ms (bench/retrieval.py).
_GC_THRESHOLDS = (5_000, 50, 50)


def main() -> int:
    """Serve until SIGTERM or SIGINT, then finish what was accepted."""
    # OpenBLAS threads wait for each other by spinning. The matrix products here take tens of microseconds, and on a
    # busy machine the spinning takes many times that on every core. OpenBLAS reads this once, when numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 - a setting of the library, not of ours
    keep_little()
    try:
        settings = load_settings()
        configure_logs(settings.log_level)
        make_folders(settings)

        from lakehouse_api.app import create_app
        from lakehouse_api.auth import check_bind, make_authenticator

        check_bind(settings, make_authenticator(settings))
        app = create_app(settings)
    except SettingsError as error:
        sys.stderr.write(f"the API does not start: {error.detail}\n")
        return 2

    from lakehouse_api.http_protocol import bounded_protocol

    config = uvicorn.Config(
        app,
        http=bounded_protocol(settings.client_stall_s, app.state.short_way),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",  # no route is a WebSocket
        proxy_headers=False,  # ProxyMiddleware reads them, and from trusted proxies only
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        lifespan="on",
    )
    server = _Server(config, app.state.site.jobs.leave)
    _end_on_signals(server)
    server.run()
    return 0 if server.started else 3


class _Server(uvicorn.Server):
    """uvicorn's server; the garbage collector passes over the objects that existed when it began to serve.

    Args:
        config: How it serves.
        leave: Ends the streams of pages that watch long jobs.
    """

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._leave = leave

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the services and the port."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of pages that watch long jobs, then wait for the other requests under way."""
        self._leave()
        await super().shutdown(sockets)


def _end_on_signals(server: uvicorn.Server) -> None:
    """Make SIGTERM and SIGINT an orderly end, with exit code 0.

    uvicorn raises the signal again once it has finished; without a handler of ours that would kill the process.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
