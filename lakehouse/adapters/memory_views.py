"""Memory tables for SQL: what this process holds in memory, as a file that its SQL workers read.

A view is written when a query names it and it has changed since: a query sees every write that this process had seen
before it. The files lie in the process's own folder, which is all of this disk that workers may read.

Belongs here: when a file is written, when it goes. Not here: rows (see lakehouse/retrieval/playbook_table.py), the
text of views (see lakehouse/query/views.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from lakehouse.query.views import ViewSpec, memory_view

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class _Source:
    """A view: its rows now and in the past, the number that tells a change, and the files written from it."""

    rows: Callable[[], pa.Table]
    version: Callable[[], int]
    past: Callable[[datetime], pa.Table] | None = None
    written: ViewSpec | None = None
    written_version: int = -1
    number: int = 0
    superseded: list[tuple[float, Path]] = field(default_factory=list)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class MemoryViews:
    """The views of memory tables, for one event loop.

    Args:
        folder: Where files are written; one that workers may read.
        keep_s: How long a file stays after the next one was written: longer than any query runs.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder = folder
        self._keep_s = keep_s
        self._sources: dict[str, _Source] = {}

    def add(
        self,
        name: str,
        rows: Callable[[], pa.Table],
        *,
        version: Callable[[], int],
        past: Callable[[datetime], pa.Table] | None = None,
    ) -> None:
        """Serve a reserved view.

        Args:
            name: The view's.
            rows: Gives its rows; called in a thread.
            version: A number that is another one after every change; read before the rows.
            past: Gives its rows as they were at a time; called in a thread. None: its past is not known.
        """
        self._sources[name] = _Source(rows, version, past)

    async def of(self, name: str) -> ViewSpec | None:
        """The view as it is now; None: nothing is stored behind this name."""
        source = self._sources.get(name)
        if source is None:
            return None
        async with source.writing:
            version = source.version()
            if source.written is None or version != source.written_version:
                source.number += 1
                path = self._folder / f"{name}-{source.number}.parquet"
                await anyio.to_thread.run_sync(_write, source.rows, path)
                self._supersede(source, path)
                source.written = memory_view(name, str(path), identity=f"{name}-{source.number}")
                source.written_version = version
            return source.written

    async def as_of(self, name: str, moment: datetime) -> ViewSpec | None:
        """The view as it was at a time; None: nothing is stored behind this name, or its past is not known.

        It is made anew for every query, and removed when none can read it any more: what was erased must not stay.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        source = self._sources.get(name)
        if source is None or source.past is None:
            return None
        source.number += 1
        path = self._folder / f"{name}-{source.number}.parquet"
        await anyio.to_thread.run_sync(_write, partial(source.past, moment), path)
        asyncio.get_running_loop().call_later(self._keep_s, partial(path.unlink, missing_ok=True))
        return memory_view(name, str(path), identity=f"{name}-{source.number}")

    def _supersede(self, source: _Source, path: Path) -> None:
        """Remove files that no running query can name any more."""
        now_s = time.monotonic()
        if source.superseded:
            _, newest = source.superseded.pop()
            source.superseded.append((now_s, newest))
        source.superseded.append((now_s, path))
        while source.superseded[0][0] < now_s - self._keep_s and len(source.superseded) > 1:
            source.superseded.pop(0)[1].unlink(missing_ok=True)


def _write(rows: Callable[[], pa.Table], path: Path) -> None:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows(), path)
