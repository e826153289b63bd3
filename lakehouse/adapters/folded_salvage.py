"""What can still be read of a memory table whose files or pointer are damaged.

A row never changes but for its end, so every row in any version of the table's files is a row of the table. The newest
version is read file by file; where one is damaged, older versions are asked for theirs, too.

Belongs here: finding and reading files. Not here: making the table anew (see folded_rows.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.lance_engine import LanceEngine, translated
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import LakehouseError, StoreUnavailable
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import TABLES
from lakehouse.storage.objects import list_all
from lakehouse.tables.memory import KEY

if TYPE_CHECKING:
    import pyarrow as pa

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Lance names the manifest of version n either n or, so that the newest is listed first, 2^64 − 1 − n.
_LARGEST = (1 << 64) - 1


@dataclass(slots=True)
class Salvage:
    """Rows, each once, and how many files could not be read."""

    rows: list[pa.Table] = field(default_factory=list)
    unreadable_files: int = 0
    _seen: set[str] = field(default_factory=set)

    def add(self, rows: pa.Table) -> None:
        """Take the rows that are not here yet."""
        import pyarrow as pa

        op_ids = rows.column(KEY).to_pylist()
        self.rows.append(rows.filter(pa.array([op_id not in self._seen for op_id in op_ids], pa.bool_())))
        self._seen.update(op_ids)


def salvage(objects: S3ObjectStore, name: str, schema: pa.Schema) -> Salvage:
    """Read what there is of a table; of one that was dropped, nothing.

    Args:
        objects: The bucket.
        name: The table.
        schema: Columns that rows must have.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    found = Salvage()
    engine = LanceEngine(objects.location)
    for uri in _uris(objects, name):
        _read_files(engine, uri, _versions(objects, uri), schema, found)
    return found


def _uris(objects: S3ObjectStore, name: str) -> list[str]:
    """The files that serve; where the pointer does not tell, all that bear the table's name."""
    try:
        live = LivePointer(objects, name).read()
    except StoreUnavailable:
        raise
    except LakehouseError:
        own = re.compile(rf"{re.escape(name)}(-{_UUID})?\.lance")
        return [f"{TABLES}{folder}" for folder in objects.folders(TABLES) if own.fullmatch(folder)]
    return [] if live is None else [live.uri]


def _versions(objects: S3ObjectStore, uri: str) -> list[int]:
    """Versions of some files, newest first."""
    stems = [info.key.rpartition("/")[2].partition(".")[0] for info in list_all(objects, f"{uri}/_versions/")]
    numbers = [int(stem) for stem in stems if stem.isdecimal()]
    return sorted((n if n <= _LARGEST >> 1 else _LARGEST - n for n in numbers), reverse=True)


def _read_files(engine: LanceEngine, uri: str, versions: list[int], schema: pa.Schema, found: Salvage) -> None:
    tried: set[str] = set()
    for version in versions:
        try:
            with translated(uri):
                fragments = engine.open(uri, version).get_fragments()
        except StoreUnavailable:
            raise
        except LakehouseError:
            continue  # its manifest is damaged
        damaged = [f for f in _untried(fragments, tried) if not _read_fragment(f, uri, schema, found)]
        found.unreadable_files += len(damaged)
        if not damaged:
            return


def _untried(fragments: list[Any], tried: set[str]) -> Iterator[Any]:
    for fragment in fragments:
        files = {file.path for file in fragment.data_files()}
        if not files <= tried:
            tried |= files
            yield fragment


def _read_fragment(fragment: Any, uri: str, schema: pa.Schema, found: Salvage) -> bool:
    try:
        with translated(uri):
            found.add(fragment.to_table(columns=schema.names).cast(schema))
    except StoreUnavailable:
        raise
    except LakehouseError:
        return False
    return True
