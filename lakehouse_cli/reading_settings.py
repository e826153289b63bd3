"""Reading the settings for a command, and what holds from then on: its logs, its way to what is on this machine.

Belongs here: `read_settings`. Not here: settings (see lakehouse/settings.py), the edge for errors (see main.py).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.settings import Settings

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def read_settings() -> Settings:
    """Read the settings of this installation for a command that works on it itself.

    From then on warnings go to standard error, as programs read what a command prints, and this command and its
    children reach this machine without a proxy.

    Raises:
        SettingsError: Naming every setting that is unknown or wrong.
    """
    import structlog

    from lakehouse.settings import load_settings

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # looked up late, as it may be replaced
    )
    keep_loopback_direct(os.environ)  # noqa: TID251 - variables of all programs, and no setting of ours
    return load_settings()


def keep_loopback_direct(environ: MutableMapping[str, str]) -> None:
    """Add this machine to `NO_PROXY` when the environment names a proxy.

    A proxy would look for 127.0.0.1 on its own machine, and every S3 client reads these variables by itself.

    Args:
        environ: Environment variables; changed in place.
    """
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return
    for name in ("no_proxy", "NO_PROXY"):
        given = environ.get(name) or environ.get(name.swapcase()) or ""
        named = [part.strip() for part in given.split(",") if part.strip()]
        more = () if "*" in named else (host for host in _LOOPBACK if host not in named)
        environ[name] = ",".join([*named, *more])
