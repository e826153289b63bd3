"""One Lance table as its readers and writers see it: the version that `live.json` names, and commits that move it.

Belongs here: reads of what serves, writes that are visible when they return. Not here: the files (see lance_files.py),
writes that run ahead of what serves (see lance_draft.py), tables by name (see lance_tables.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.adapters import lance_search, lance_upkeep
from lakehouse.adapters.lance_engine import LanceEngine, keyed
from lakehouse.adapters.lance_files import LanceFiles, conform
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, Conflict, NotFound, Unavailable
from lakehouse.retrieval.live_pointer import LivePointer, checked_fence
from lakehouse.retrieval.live_table import Committed, LiveTable, next_uri

if TYPE_CHECKING:
    import pyarrow as pa

MOVES = 5
"""How often a write begins anew because the table was rebuilt under it."""


class LanceTable:
    """A table of the bucket, for any number of threads and processes.

    A write is a commit to the files and then a swap of the pointer: it returns when every reader that looks again sees
    it. A commit whose swap failed is not shown; repeating the write is always safe, for a key occurs once.

    Args:
        engine: Opens the files.
        pointer: The table's pointer.
        live: What serves, as just read.
    """

    def __init__(self, engine: LanceEngine, pointer: LivePointer, live: LiveTable) -> None:
        self.pointer = pointer
        self.engine = engine
        self._lock = threading.Lock()
        self._live = live
        self._files = LanceFiles(engine, live.uri, live.key)

    @property
    def name(self) -> str:
        """The table's name."""
        return self.pointer.name

    @property
    def live(self) -> LiveTable:
        """What served when this process last looked."""
        return self._live

    @property
    def info(self) -> Mapping[str, Any]:
        """What the table is: kind, dimension, distance, embedder and so on."""
        return self._live.info

    @property
    def version(self) -> int:
        """The version that serves; rises with every change until the table is rebuilt."""
        return self._live.version

    @property
    def revision(self) -> str:
        """Rises with every change, rebuilds included; sorts as text."""
        return self._live.revision

    @property
    def folded_through(self) -> Mapping[str, int]:
        """By writer of the memory log, the last number that is in the table."""
        return self._live.folded_through

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.files.schema()

    @property
    def files(self) -> LanceFiles:
        """The files that serve."""
        return self._now()[1]

    def refresh(self) -> bool:
        """Look at the pointer; True when something else serves than before.

        Raises:
            NotFound: The table was dropped.
            StoreUnavailable: The store does not answer; the table goes on as it was.
        """
        live = self.pointer.read()
        if live is None:
            raise NotFound(f"no table {self.name!r}; it was dropped", name=self.name)
        return self._take(live)

    def scan(
        self, columns: Sequence[str] | None = None, version: int | None = None, *, where: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows, a batch at a time in flat memory, of what serves or of an earlier version of the same files."""
        live, files = self._now()
        return files.scan(live.version if version is None else version, columns, where=where)

    def take_ids(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows by key, in no order; keys that are not there are left out."""
        live, files = self._now()
        return files.take_ids(live.version, ids, columns)

    def count(self, *, where: str | None = None) -> int:
        """Rows that serve."""
        live, files = self._now()
        return live.rows if where is None else files.count(live.version, where=where)

    def upsert(
        self,
        rows: pa.RecordBatch | pa.Table,
        *,
        on: str | None = None,
        is_update: bool = True,
        folded_through: Mapping[str, int] | None = None,
        fence: int | None = None,
    ) -> int:
        """Insert rows; one whose key is there is replaced (`is_update`) or left as it is.

        Args:
            rows: In the table's columns; of rows with the same key the last one counts.
            on: The key, for the reader's sake; it is the table's and no other.
            is_update: False: what is there stays.
            folded_through: What `folded_through` becomes with these rows, in the same swap.
            fence: The writer's number, where there is a lease.

        Returns:
            The version that shows them.

        Raises:
            BadInput: The rows do not fit the table.
            Conflict: A writer with a higher fence has been here.
            Unavailable: Other writers kept winning; repeat it.
        """
        if on is not None and on != self._live.key:
            raise BadInput(f"the key of table {self.name!r} is {self._live.key!r}, not {on!r}")
        return self._write(
            lambda files: files.merge(conform(rows, files.schema()), is_update=is_update), folded_through, fence
        )

    def append(
        self,
        rows: pa.RecordBatch | pa.Table,
        *,
        folded_through: Mapping[str, int] | None = None,
        fence: int | None = None,
    ) -> int:
        """Add rows whose keys the caller knows to be new, in about half the time of `upsert`; else as `upsert`."""
        return self._write(lambda files: files.append(conform(rows, files.schema())), folded_through, fence)

    def delete(self, ids: Sequence[str]) -> int:
        """Take rows away by key, any number in one commit; gives the version that is without them."""
        return self._write(lambda files: files.delete(ids), None, None)

    def change_info(self, update: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change what the table says of itself; `update` may be called again after a lost race."""
        self.swap(lambda live: replace(live, info=update(dict(live.info))))

    def replace(
        self,
        batches: Iterator[pa.RecordBatch | pa.Table],
        *,
        schema: pa.Schema | None = None,
        info: Mapping[str, Any] | None = None,
        folded_through: Mapping[str, int] | None = None,
        fence: int | None = None,
    ) -> int:
        """Fill new files and let them serve; the old ones stay readable for the history that is kept.

        Args:
            batches: All rows; keys are taken to be different.
            schema: Other columns than now.
            info: Another description than now.
            folded_through: As `upsert`.
            fence: As `upsert`.

        Raises:
            Conflict: The table was written to meanwhile, so that what serves is newer than these rows; nothing changed.
        """
        before, files = self._now()
        schema = keyed(schema or files.schema(), before.key)
        made = LanceFiles.create(self.engine, next_uri(self.name, new_id()), schema, before.key)
        done = made.committed()
        for batch in batches:
            done = made.append(conform(batch, schema))

        def move(live: LiveTable) -> LiveTable:
            if (live.uri, live.version) != (before.uri, before.version):
                raise Conflict(f"table {self.name!r} was written to while it was rebuilt; do it again", name=self.name)
            return replace(
                live.succeeded_by(made.uri, done, now=utc_now()),
                info=live.info if info is None else dict(info),
                folded_through=live.folded_through if folded_through is None else dict(folded_through),
                fence=checked_fence(live, fence),
            )

        self.swap(move)
        return done.version

    def swap(self, update: Callable[[LiveTable], LiveTable | None]) -> LiveTable:
        """Swap the pointer and take what it says now; see `LivePointer.swap`."""
        live = self.pointer.swap(update)
        self._take(live)
        return live

    def optimize(self, *, history: timedelta = timedelta(days=7)) -> dict[str, Any]:
        """Compact small files, bring indexes up to date, remove versions that stopped serving before `history`."""
        return lance_upkeep.optimize(self, history=history)

    def stats(self) -> dict[str, Any]:
        """Rows, fragments, deleted rows, bytes, versions, indexes."""
        return lance_upkeep.stats(self)

    def build_index(self, *, column: str = "vector") -> dict[str, Any]:
        """Make Lance's own vector index, for a table over the memory budget; see lance_search.py."""
        return lance_search.build_index(self, column=column)

    def search(self, vector: Any, k: int, **options: Any) -> pa.Table:
        """The nearest rows by Lance's own index; see `lance_search.search`."""
        return lance_search.search(self, vector, k, **options)

    def publish(
        self,
        files: LanceFiles,
        done: Committed,
        *,
        folded_through: Mapping[str, int] | None = None,
        fence: int | None = None,
        update: Callable[[LiveTable], LiveTable] | None = None,
    ) -> LiveTable | None:
        """Move the pointer to a version of the files that serve; None when others serve by now.

        Args:
            files: What was written to.
            done: The version.
            folded_through: What it becomes.
            fence: The writer's number.
            update: Changes what else the pointer says; may raise.
        """
        is_elsewhere = False

        def move(live: LiveTable) -> LiveTable | None:
            nonlocal is_elsewhere
            fence_now = checked_fence(live, fence)
            is_elsewhere = live.uri != files.uri
            if is_elsewhere:
                return None
            moved = replace(live, fence=fence_now)
            if done.version > live.version:  # Lance's versions are linear, so a later one has these rows, too
                moved = moved.at(done)
            if folded_through is not None:
                moved = replace(moved, folded_through=dict(folded_through))
            if update is not None:
                moved = update(moved)
            return None if moved == live else moved

        live = self.swap(move)
        return None if is_elsewhere else live

    def _write(
        self, commit: Callable[[LanceFiles], Committed], folded_through: Mapping[str, int] | None, fence: int | None
    ) -> int:
        if fence is not None:
            self.refresh()
            checked_fence(self._live, fence)
        for _ in range(MOVES):
            files = self.files
            done = commit(files)
            if self.publish(files, done, folded_through=folded_through, fence=fence) is not None:
                return done.version
        raise Unavailable(f"table {self.name!r} is being rebuilt again and again; try later", retry_after_s=5)

    def _now(self) -> tuple[LiveTable, LanceFiles]:
        with self._lock:
            return self._live, self._files

    def _take(self, live: LiveTable) -> bool:
        with self._lock:
            before = self._live
            if _moment(live) < _moment(before):
                return False  # another thread has swapped since this was read
            self._live = live
            if live.uri != before.uri:
                self._files = LanceFiles(self.engine, live.uri, live.key)
            return (live.uri, live.version, live.info) != (before.uri, before.version, before.info)


def _moment(live: LiveTable) -> datetime:
    return live.updated_at or datetime.min.replace(tzinfo=UTC)
