"""What the memory log needs of others: the state that entries make, and the table that they are folded into.

Belongs here: the Protocols. Not here: their implementations (states: lakehouse/retrieval; the table:
lakehouse/adapters/folded_rows.py; fakes: tests/fakes/memory.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lakehouse.memory.entry import Entry


class MemoryState(Protocol):
    """Playbooks, pathways: what entries add up to in memory.

    `apply` is called from the log's threads, one call at a time, while other threads read the state. The same entry
    may come again, after a restart of the table or a gap that was healed, and entries may come in any order: a state
    takes each `op_id` once, and depends only on which entries it has seen.
    """

    def apply(self, entries: Sequence[Entry]) -> None: ...


class FoldedRows(Protocol):
    """The entries that were moved out of the log, one row each; thread-safe.

    Errors: `StoreUnavailable` when the store does not answer, another `LakehouseError` when the table is damaged.
    """

    @property
    def folded_through(self) -> Mapping[str, int]:
        """By writer, the last object whose entries are all here: as of the last `refresh` or `merge`."""
        ...

    @property
    def fence(self) -> int:
        """The number of the lease under which the table was changed last, as of then; 0 when it never was."""
        ...

    def refresh(self) -> None:
        """Look at the table as it is now; one that is not there is an empty one."""
        ...

    def read(self) -> Iterator[Entry]:
        """Every entry of one version, in no order: that of the last `refresh` or a later one."""
        ...

    def merge(self, entries: Sequence[Entry], folded_through: Mapping[str, int], *, fence: int) -> None:
        """Add the entries that are not there yet, then say so; both may be repeated.

        Args:
            entries: In any order; an `op_id` that is there already is left as it is.
            folded_through: The new state of all streams; one that is not named is forgotten.
            fence: The number of the lease under which this is done.

        Raises:
            Conflict: The holder of a later lease has been here.
        """
        ...

    def rebuild(self, entries: Iterator[Entry], folded_through: Mapping[str, int], *, fence: int) -> dict[str, int]:
        """Make the table anew of the rows that can still be read and these entries; tells how many came from where."""
        ...
