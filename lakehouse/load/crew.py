"""The crew: workers of the dataset whom scenarios speak of, in groups of one role and place, and who is blocked where.

Belongs here: the crew as values. Not here: reading it from a service (see lakehouse_cli/load_check.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

MOST_PER_GROUP = 3
_SAMPLE_CLIENTS = tuple(f"C-{number:04d}" for number in range(1, 41))


@dataclass(frozen=True, slots=True)
class Worker:
    """One active worker; `worker_id` is text, as ids of corpora are."""

    worker_id: str
    name: str
    role: str
    city: str
    state: str


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers, the same in groups of one role and place, and pairs of client and worker that are blocked."""

    workers: Sequence[Worker]
    groups: Sequence[Sequence[Worker]]
    blocked: Collection[tuple[str, str]]

    def client_for(self, workers: Iterable[Worker], wish: int) -> str:
        """A client that none of these workers is blocked for: the `wish`-th of the sample, or the next that will do."""
        ids = [worker.worker_id for worker in workers]
        for step in range(len(_SAMPLE_CLIENTS)):
            client = _SAMPLE_CLIENTS[(wish + step) % len(_SAMPLE_CLIENTS)]
            if not any((client, worker_id) in self.blocked for worker_id in ids):
                return client
        return "C-unblocked"


def make_crew(workers: Iterable[Worker], blocked: Iterable[tuple[str, str]] = ()) -> Crew:
    """Group workers, in the order in which they come."""
    everybody = tuple(workers)
    groups: dict[tuple[str, str, str], list[Worker]] = defaultdict(list)
    for worker in everybody:
        groups[worker.role, worker.city, worker.state].append(worker)
    return Crew(everybody, tuple(tuple(group[:MOST_PER_GROUP]) for group in groups.values()), frozenset(blocked))
