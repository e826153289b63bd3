"""Ports: which of those we need is taken, by whom, and which setting moves ours.

Belongs here: probing local ports. Not here: which child needs which (see children.py).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import psutil

from lakehouse.errors import Conflict

_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class PortNeed:
    """A port that a child will bind, and the setting that chooses it."""

    port: int
    purpose: str
    setting: str
    host: str = "127.0.0.1"


def taken(needs: Iterable[PortNeed]) -> list[PortNeed]:
    """The needed ports that cannot be bound."""
    return [need for need in needs if not _can_bind(need)]


def explain(need: PortNeed) -> str:
    """One sentence on who holds a port and what to do."""
    owner = _owner(need.port)
    holder = f"by {owner}" if owner else "by a process of another user"
    return (
        f"port {need.port} ({need.purpose}) is taken {holder}; stop that process, or choose another port with"
        f" {need.setting}"
    )


def require_free(needs: Iterable[PortNeed]) -> None:
    """Raise when a port is taken, or wanted twice.

    Raises:
        Conflict: Naming each port, its holder and the setting; or both settings that lead to one port.
    """
    wanted = list(needs)
    for one, other in combinations(wanted, 2):
        if one.port == other.port and (one.host == other.host or not _ANY.isdisjoint((one.host, other.host))):
            raise Conflict(_explain_twice(one, other), ports=[one.port])
    held = taken(wanted)
    if held:
        raise Conflict("; ".join(explain(need) for need in held), ports=[need.port for need in held])


def _explain_twice(one: PortNeed, other: PortNeed) -> str:
    return (
        f"port {one.port} is wanted by {one.purpose} ({one.setting}) and by {other.purpose} ({other.setting}):"
        " the store takes eight ports from its own on, Dagster takes its own and the next; put one of them elsewhere"
    )


def _can_bind(need: PortNeed) -> bool:
    family = socket.AF_INET6 if ":" in need.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection in TIME_WAIT does not count
        try:
            probe.bind((need.host, need.port))
        except OSError:
            return False
    return True


def _owner(port: int) -> str | None:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            is_it = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None) == port
            if is_it and connection.pid:
                process = psutil.Process(connection.pid)
                return f"pid {process.pid} ({' '.join(process.cmdline())[:80] or process.name()})"
    return None
