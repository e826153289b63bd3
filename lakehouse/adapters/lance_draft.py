"""A draft: what a build writes to a Lance table, commits that serve all at once when the build ends.

A draft in place commits to the files that serve, as versions after the one that serves. A draft of a successor commits
to new files. In both cases a build that was killed leaves its commits, and the next draft for the same purpose begins
with them.

Belongs here: opening a draft, its commits, showing it. Not here: what is built (see corpus_builder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.lance_engine import keyed
from lakehouse.adapters.lance_files import LanceFiles, conform
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import Conflict, NotFound, Superseded, Unavailable
from lakehouse.retrieval.live_table import LiveTable, Successor, next_uri

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

TAG = "fingerprint"
"""The field of a table's info that says what its files were built for."""
NOT_BUILT = "content_hash IS NULL"
ROUNDS = 20

Adapt = Callable[["pa.RecordBatch"], "pa.Table"]


class LanceDraft:
    """One build's view of a table; only the build that began last may write, an earlier one gets `Superseded`.

    Args:
        table: The table.
        files: What is written to.
        part: The part of the table that this build makes.
        claim: The build's own id.
        successor: What the files are for, where they do not serve yet.
    """

    def __init__(
        self, table: LanceTable, files: LanceFiles, *, part: str, claim: str, successor: Successor | None
    ) -> None:
        self.table = table
        self.successor = successor
        self._files = files
        self._part = part
        self._claim = claim
        self._done = files.committed()
        self.is_changed = False

    @property
    def rows(self) -> int:
        """Rows of the draft as it is now."""
        return self._done.rows

    @property
    def version(self) -> int:
        """The files' version as of the last commit here."""
        return self._done.version

    @property
    def uri(self) -> str:
        """The files that are written to."""
        return self._files.uri

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._files.schema().field("vector").type.list_size)

    def scan(self, columns: Sequence[str], *, where: str | None = None) -> Iterator[pa.RecordBatch]:
        """The draft's rows as of its last commit, in stored order."""
        return self._files.scan(self.version, columns, where=where)

    def take(self, version: int, positions: NDArray[Any], columns: Sequence[str]) -> pa.Table:
        """Rows by their position in `scan` at a version."""
        return self._files.take(version, positions, columns)

    def merge(self, rows: pa.Table) -> None:
        """Commit rows, replacing those of the same key.

        Raises:
            Superseded: Another build of this part has begun.
        """
        self.check_claim()
        self._done = self._files.merge(conform(rows, self._files.schema()))
        self.is_changed = True

    def delete(self, ids: Sequence[str]) -> None:
        """Commit the absence of rows; raises as `merge`."""
        if ids:
            self.check_claim()
            self._done = self._files.delete(ids)
            self.is_changed = True

    def check_claim(self) -> None:
        """See that no other build of this part has begun.

        Raises:
            Superseded: One has.
        """
        self.table.refresh()
        self._checked(self.table.live)

    def publish(self, info: Mapping[str, Any], built: Mapping[str, Any], *, parts: int, adapt: Adapt) -> LiveTable:
        """Let a draft in place serve; or record a part of a successor, which serves when all its parts are there.

        Args:
            info: What the table says of itself from then on, all but `built`; a table in place keeps what else it said.
            built: What to remember of this part.
            parts: How many parts make the table.
            adapt: Makes rows that no build made, which a successor takes over, fit its columns.

        Raises:
            Superseded: Another build of this part has begun.
        """
        if self.successor is not None:
            return self._record(info, built, parts, adapt)

        def update(live: LiveTable) -> LiveTable:
            self._checked(live)
            known = {**live.info.get("built", {}), self._part: dict(built)}
            return replace(live, info={**live.info, **info, "built": known})

        live = self.table.publish(self._files, self._done, update=update)
        if live is None:
            raise Conflict(f"table {self.table.name!r} was rebuilt meanwhile; build again", name=self.table.name)
        return live

    def _record(self, info: Mapping[str, Any], built: Mapping[str, Any], parts: int, adapt: Adapt) -> LiveTable:
        for _ in range(ROUNDS):
            self.check_claim()
            seen = self.table.live
            if seen.successor is not None and len(seen.successor.built.keys() | {self._part}) >= parts:
                self._carry_over(adapt)

            def move(live: LiveTable, seen: LiveTable = seen) -> LiveTable | None:
                successor = self._checked(live)
                assert successor is not None
                known = {**successor.built, self._part: dict(built)}
                if len(known) < parts:
                    return replace(live, successor=replace(successor, built=known))
                if (live.uri, live.version) != (seen.uri, seen.version):
                    return None  # rows that no build makes were written meanwhile; they must be carried over first
                moved = live.succeeded_by(self._files.uri, self._files.committed(), now=utc_now())
                return replace(moved, info={**info, "built": known})

            live = self.table.swap(move)
            if live.uri == self._files.uri or (live.successor is not None and self._part in live.successor.built):
                return live
        raise Unavailable(f"table {self.table.name!r} is written to without a pause; build again", retry_after_s=5)

    def _carry_over(self, adapt: Adapt) -> None:
        """Bring the rows that no build made up to date with those that serve."""
        wanted: set[str] = set()
        for batch in self.table.scan(where=NOT_BUILT):
            rows = adapt(batch)
            wanted.update(rows.column("id").to_pylist())
            self._done = self._files.merge(conform(rows, self._files.schema()))
        there = {i for b in self.scan(["id"], where=NOT_BUILT) for i in b.column("id").to_pylist()}
        if there - wanted:
            self._done = self._files.delete(sorted(there - wanted))

    def _checked(self, live: LiveTable) -> Successor | None:
        is_same = live.successor is not None and live.successor.uri == self._files.uri
        if live.claims.get(self._part) != self._claim or (self.successor is not None and not is_same):
            raise Superseded(
                f"another build of {self.table.name!r} has begun since; this one ends and shows nothing",
                name=self.table.name,
            )
        return live.successor


def open_draft(table: LanceTable, *, part: str, tag: str, schema: pa.Schema) -> LanceDraft:
    """Claim a part of a table and open what is to be written.

    Args:
        table: The table.
        part: The part.
        tag: What the rows are built for. The files that serve are used when their tag is the same, else the successor
            of that tag, which is made when there is none.
        schema: Columns of a new successor.
    """
    claim = new_id()
    uri = next_uri(table.name, claim)

    def move(live: LiveTable) -> LiveTable:
        successor = live.successor
        if live.info.get(TAG) == tag:
            successor = None
        elif successor is None or successor.tag != tag:
            successor = Successor(uri, tag)
        return replace(live, claims={**live.claims, part: claim}, successor=successor)

    live = table.swap(move)
    files = table.files if live.successor is None else _open_or_create(table, live, schema)
    return LanceDraft(table, files, part=part, claim=claim, successor=live.successor)


def _open_or_create(table: LanceTable, live: LiveTable, schema: pa.Schema) -> LanceFiles:
    assert live.successor is not None
    files = LanceFiles(table.engine, live.successor.uri, live.key)
    try:
        files.newest()
    except NotFound:
        with suppress(Conflict):  # the build of another part has just made them
            return LanceFiles.create(table.engine, files.uri, keyed(schema, live.key), live.key)
    return files
