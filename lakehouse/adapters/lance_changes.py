"""What changed in the rows of a Lance table between two versions, read without the rows that did not change.

A compaction moves rows into new fragments and changes none. A deleted or replaced row leaves a deletion mark, and its
fragment disappears when it was the last row. Lance's transactions tell the two apart.

Belongs here: which fragments bring rows, which rows went. Not here: what an index makes of it (see open_corpus.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_files import LanceFiles
from lakehouse.adapters.lance_fragments import OFFSET_BITS, read_living

if TYPE_CHECKING:
    import pyarrow as pa

MOST_VERSIONS = 500
_IDS_PER_FILTER = 10_000
# Operations whose effect on rows is known; any other one may have changed everything.
_PLAIN = frozenset({"Append", "Update", "Delete", "CreateIndex", "BaseOperation", "ReserveFragments", "UpdateConfig"})


@dataclass(slots=True)
class Changes:
    """What came and what went.

    Args:
        reads: Fragments that bring rows, each with the version to read them at, in the order in which they came.
        spans: Fragments whose rows are known as of a version, and the version up to which they are looked at; None: to
            their end.
    """

    files: LanceFiles
    reads: list[tuple[int, list[int]]] = field(default_factory=list)
    spans: list[tuple[int, int, int | None]] = field(default_factory=list)

    def rows(self, *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows that came, those of an id in the order in which they were written."""
        for version, numbers in self.reads:
            if numbers:
                yield from self.files.scan_fragments(version, numbers, batch_rows=batch_rows)

    def gone(self) -> Iterator[list[str]]:
        """The ids of rows that went; they may have come again with `rows`."""
        for number, start, end in self.spans:
            before = _fragment(self.files, start, number)
            after = None if end is None else _fragment(self.files, end, number)
            if after is not None and after.num_deletions == before.num_deletions:
                continue
            mask = read_living(self.files.uri, before)
            if after is not None:
                mask &= ~read_living(self.files.uri, after)
            addresses = (number << OFFSET_BITS) + np.flatnonzero(mask)
            for first in range(0, len(addresses), _IDS_PER_FILTER):
                few = ", ".join(map(str, addresses[first : first + _IDS_PER_FILTER].tolist()))
                dataset = self.files.at(start)
                with translated(self.files.uri):
                    ids = dataset.scanner(columns=["id"], filter=f"_rowid IN ({few})").to_table()
                yield ids.column("id").to_pylist()


def changes_between(files: LanceFiles, before: int, now: int) -> Changes | None:
    """What changed; None where only reading everything will tell.

    Args:
        files: The table's files.
        before: The version that is known.
        now: A later one.

    Raises:
        NotFound: A version is gone.
    """
    old, new = files.fragments(before), files.fragments(now)
    changes = Changes(files)
    known = dict.fromkeys(old, before)
    if not old.keys() <= new.keys():
        moves = _moves(files, before, now)
        if moves is None:
            return None
        for version, sources, made in moves:
            fresh = [number for number in sources if number not in known]
            changes.reads.append((version - 1, fresh))
            known |= dict.fromkeys(fresh, version - 1)
            changes.spans += [(number, known.pop(number), version - 1) for number in sources]
            known |= dict.fromkeys(made, version)
    changes.reads.append((now, sorted(new.keys() - known.keys())))
    changes.spans += [(number, at, now if number in new else None) for number, at in known.items()]
    return changes


def _moves(files: LanceFiles, before: int, now: int) -> list[tuple[int, list[int], list[int]]] | None:
    """The compactions: version, fragments they took, fragments they made; None where something else happened."""
    if now - before > MOST_VERSIONS:
        return None
    dataset = files.at(now)
    moves = []
    for version in range(before + 1, now + 1):
        kind = _operation(dataset, version)
        if kind == "Rewrite":
            was, became = files.fragments(version - 1), files.fragments(version)
            moves.append((version, sorted(was.keys() - became.keys()), sorted(became.keys() - was.keys())))
        elif kind not in _PLAIN:
            return None
    return moves


def _operation(dataset: Any, version: int) -> str | None:
    """What made a version, by Lance's name; None where that is not known."""
    try:
        transaction = dataset.read_transaction(version)
    except TypeError as error:
        # Lance's Python API cannot represent a compaction that rewrote an index, and raises this.
        return "Rewrite" if "RewrittenIndex" in str(error) else None
    except (OSError, ValueError, RuntimeError):
        return None  # cleaned up, or the store is away; reading everything will show which
    return None if transaction is None else type(transaction.operation).__name__


def _fragment(files: LanceFiles, version: int, number: int) -> Any:
    dataset = files.at(version)
    with translated(files.uri):
        return dataset.get_fragment(number)
