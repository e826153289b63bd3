"""What a fill is checked against: the workers there are, and who is blocked for which client.

Belongs here: the Protocols. Not here: how they are loaded (see lakehouse/adapters/roster.py, tests/fakes/roster.py;
both pass tests/contract/test_roster.py).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

WORKERS, BLOCKS = "workers", "client_blocks"
WORKER_COLUMNS = ("worker_id", "name", "role", "city", "state", "status")
BLOCK_COLUMNS = ("client_id", "worker_id")


class Worker(NamedTuple):
    """One worker as the dataset has it; an empty field is ""."""

    name: str
    role: str
    city: str
    state: str
    status: str


class Roster(Protocol):
    """Workers and blocks at one moment; a lookup takes microseconds.

    `is_current` is False while it is not known whether the datasets have changed.
    """

    @property
    def is_current(self) -> bool: ...

    def find(self, worker_id: str) -> Worker | None:
        """The worker of an id as text; the last one when the dataset has the id several times."""
        ...

    def is_blocked(self, client_id: str, worker_id: str) -> bool:
        """Whether a worker must not be sent to a client; clients compare without case."""
        ...


class RosterSource(Protocol):
    """Gives the roster of this moment."""

    def current(self) -> Roster:
        """The roster.

        Raises:
            Unavailable: There is no usable dataset `workers`, or it is being read; says what to do.
        """
        ...
