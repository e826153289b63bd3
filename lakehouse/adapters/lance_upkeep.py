"""Upkeep of a Lance table: compaction, indexes brought up to date, old versions removed, and numbers about it.

Belongs here: what the scheduled `optimize` does, what `stats` tells. Not here: whole files that nothing refers to any
more (see lakehouse/operations/garbage.py), when it is done (see jobs/retrieval.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_files import committed_of
from lakehouse.clock import utc_now

if TYPE_CHECKING:
    from lakehouse.adapters.lance_table import LanceTable

MANY_FRAGMENTS = 16
"""Above this many, a table is worth compacting: a scan opens each, and rows past the index are searched one by one."""
ROWS_PER_FRAGMENT = 1 << 20


def needs_optimizing(fragments: int, rows: int) -> bool:
    """Whether a table has more fragments than its rows need."""
    return fragments > MANY_FRAGMENTS + rows // ROWS_PER_FRAGMENT


def optimize(table: LanceTable, *, history: timedelta) -> dict[str, Any]:
    """Compact small files, bring indexes up to date, remove versions that stopped serving before `history`.

    Rows, and what serves, stay as they are. While the files are ahead of what serves (a build is under way, or was
    killed), they are not compacted, for that would show what is not to be seen yet.

    Returns:
        `fragments_before`, `fragments`, `is_compacted`, `versions_removed`, `bytes_removed`.

    Raises:
        Unavailable: Other writers kept winning; the next run tries again.
    """
    table.refresh()
    live, files = table.live, table.files
    with files.exclusive() as head:
        is_ahead = head.version != live.version
        if not is_ahead:
            _compact(head)
        done = committed_of(head)
    if not is_ahead and done.version != live.version:
        table.publish(files, done)
    with files.exclusive() as head:
        removed = _remove_versions(head, table.live.version, older_than=utc_now() - history)
    return {
        "fragments_before": live.fragments,
        "fragments": done.fragments,
        "is_compacted": not is_ahead,
        **removed,
    }


def stats(table: LanceTable) -> dict[str, Any]:
    """Numbers of what serves: rows, fragments, deleted rows, bytes, versions, indexes.

    `versions` are those that the files hold, `is_ahead` says that the newest of them does not serve.
    """
    live, files = table.live, table.files
    dataset = files.at(live.version)
    with translated(live.uri):
        summary = dataset.get_version()["metadata"]
        fragments = dataset.get_fragments()
        indexes = [
            {"name": i.name, "type": i.index_type, "rows": i.num_rows_indexed} for i in dataset.describe_indices()
        ]
        versions = len(dataset.versions())
    return {
        "rows": live.rows,
        "fragments": len(fragments),
        "deleted_rows": int(summary.get("total_deletion_file_rows", 0)),
        "bytes": int(summary.get("total_files_size", 0)),
        "version": live.version,
        "versions": versions,
        "generation": live.generation,
        "is_ahead": files.committed().version != live.version,
        "uri": live.uri,
        "indexes": indexes,
    }


def stored_bytes(table: LanceTable) -> int:
    """What the files of the rows that serve take, 0 for a table without rows; the store is asked for a manifest."""
    live, files = table.live, table.files
    if not live.rows:
        return 0
    dataset = files.at(live.version)
    with translated(live.uri):
        return int(dataset.get_version()["metadata"].get("total_files_size", 0))


def _compact(head: Any) -> None:
    head.optimize.compact_files(target_rows_per_fragment=ROWS_PER_FRAGMENT, num_threads=1)
    if head.describe_indices():
        head.optimize.optimize_indices()


def _remove_versions(head: Any, serving: int, *, older_than: datetime) -> dict[str, int]:
    expired = expired_versions(
        [(v["version"], v["timestamp"].astimezone(UTC)) for v in head.versions()],
        kept={serving, head.version},
        older_than=older_than,
    )
    if not expired:
        return {"versions_removed": 0, "bytes_removed": 0}
    done = head.cleanup_old_versions(versions=expired)
    return {"versions_removed": int(done.old_versions), "bytes_removed": int(done.bytes_removed)}


def expired_versions(versions: Sequence[tuple[int, datetime]], *, kept: set[int], older_than: datetime) -> list[int]:
    """Versions whose successor was made before a time: so long ago they stopped being the newest.

    Args:
        versions: Number and time of each version.
        kept: Versions that stay whatever their age.
        older_than: The time; aware.
    """
    ordered = sorted(versions)
    pairs = itertools.pairwise(ordered)
    return [number for (number, _), (_, ended) in pairs if ended < older_than and number not in kept]
