"""A roster in memory; passes tests/contract/test_roster.py like the real one."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from lakehouse.errors import Unavailable
from lakehouse.validation.roster import Roster, Worker


@dataclass
class FakeRoster:
    """Workers by id, and blocks as pairs of a client in small letters and a worker; `workers` None: no dataset."""

    workers: Mapping[str, Worker] | None = None
    blocks: Set[tuple[str, str]] = field(default_factory=frozenset)
    is_current: bool = True

    def current(self) -> Roster:
        if self.workers is None:
            raise Unavailable("there is no dataset 'workers'; load one with: lakehouse ingest FILE --name workers")
        return self

    def find(self, worker_id: str) -> Worker | None:
        assert self.workers is not None
        return self.workers.get(worker_id)

    def is_blocked(self, client_id: str, worker_id: str) -> bool:
        return (client_id.strip().lower(), worker_id) in self.blocks
