"""Answers of the SQL workbench on disk, so that a page costs what it shows and not what the whole answer is.

An answer is streamed into an Arrow file once, with a small document beside it that names its owner; pages and charts
read the batches that they need. Both are in the data folder and survive a restart, until they are too old.

Belongs here: keeping, forgetting. Not here: reading rows (see result_rows.py), asking (see sql_page.py).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import anyio.to_thread

from lakehouse.clock import new_id
from lakehouse.errors import InsufficientStorage, NotFound
from lakehouse_api.ui.kept_files import PRIVATE, private_folder, read_document, write_document

_FORMAT = 1
_KEPT = 24
_MOST_BYTES = 256 << 20
_OWNER_BYTES = 512 << 20
_ALL_BYTES = 2 << 30
# A file without a document belongs to an answer that is still coming in, or to a process that was killed.
_ABANDONED_S = 3600
_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


@dataclass(slots=True)
class Result:
    """An answer that is kept.

    Attributes:
        owner: Who may see it.
        has_pii: It was asked with the scope `pii`, and is shown with no less.
        rows: How many are here.
        is_cut: There were more than are kept.
        at_s: When it was asked, since the epoch.
    """

    id: str
    owner: str
    sql: str
    path: Path
    has_pii: bool = False
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    is_cut: bool = False
    elapsed_ms: float = 0.0
    batches: list[int] = field(default_factory=list)
    at_s: float = 0.0


class Results:
    """The answers of a data folder, for any number of processes; the oldest of an owner goes when there are too many.

    Args:
        folder: Where they lie.
        keep_s: Seconds that they stay.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder = folder
        self._keep_s = keep_s

    async def keep(
        self,
        chunks: AsyncIterator[bytes],
        *,
        sql: str,
        owner: str,
        most_rows: int,
        has_pii: bool = False,
        begun_s: float | None = None,
    ) -> Result:
        """Write an Arrow stream down.

        Args:
            chunks: Of an Arrow IPC stream, of `most_rows` + 1 rows at the most.
            sql: What was asked.
            owner: Who may see it.
            most_rows: Rows that are shown; one more says that there are more.
            has_pii: What was asked for may hold personal data as it is.
            begun_s: When it was asked, on the monotonic clock; None: now.

        Raises:
            InsufficientStorage: The answer is larger than a workbench keeps, or the disk refuses it.
        """
        name, begun_s = new_id(), time.monotonic() if begun_s is None else begun_s
        result = Result(name, owner, sql, self._folder / f"{name}.arrows", has_pii=has_pii, at_s=time.time())
        try:
            result.bytes = await self._write(result.path, chunks)
            await anyio.to_thread.run_sync(_measure, result, most_rows)
            result.elapsed_ms = (time.monotonic() - begun_s) * 1000
            await anyio.to_thread.run_sync(self._finish, result)
        except OSError as error:
            result.path.unlink(missing_ok=True)
            raise InsufficientStorage(f"the disk refused the answer: {error.strerror}; download it instead") from None
        except BaseException:
            result.path.unlink(missing_ok=True)
            raise
        return result

    def get(self, result_id: str, *, owner: str, has_pii: bool = False) -> Result:
        """An answer by its id.

        Raises:
            NotFound: It is not here any longer, somebody else's, or was asked with more rights than are left.
        """
        result = self._read(result_id) if _ID.fullmatch(result_id) else None
        if result is None or result.owner != owner or (result.has_pii and not has_pii):
            raise NotFound("this answer is not kept any longer; run the query again")
        return result

    def forget(self, owner: str) -> None:
        """Take all answers of an owner away; blocking work."""
        for result in self._all():
            if result.owner == owner:
                self._remove(result.id)

    def expire(self) -> None:
        """Take away what is too old or too much, and what was never finished; blocking work."""
        owners: dict[str, list[int]] = {}
        total = 0
        newest = sorted(self._all(), key=lambda one: one.id, reverse=True)
        for result in newest:
            mine = owners.setdefault(result.owner, [])
            mine.append(result.bytes)
            total += result.bytes
            if len(mine) > _KEPT or sum(mine) > _OWNER_BYTES or total > _ALL_BYTES:
                self._remove(result.id)
        known = {result.id for result in newest}
        for path in self._folder.glob("*"):
            try:
                is_left = path.stem not in known and time.time() - path.stat().st_mtime > _ABANDONED_S
            except FileNotFoundError:  # another process has removed it
                continue
            if is_left:
                path.unlink(missing_ok=True)

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> int:
        written = 0
        private_folder(self._folder)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        async with anyio.wrap_file(os.fdopen(handle, "wb")) as file:
            async for chunk in chunks:
                written += len(chunk)
                if written > _MOST_BYTES:
                    raise InsufficientStorage(
                        f"the answer is larger than the {_MOST_BYTES >> 20} MiB that a page looks through;"
                        " choose fewer columns or rows, or download it"
                    )
                await file.write(chunk)
        return written

    def _finish(self, result: Result) -> None:
        document = {one.name: getattr(result, one.name) for one in fields(result) if one.name != "path"}
        write_document(self._document(result.id), {"format_version": _FORMAT, **document})
        self.expire()

    def _all(self) -> Iterator[Result]:
        for path in self._folder.glob("*.json"):
            result = self._read(path.stem)
            if result is not None:
                yield result

    def _read(self, result_id: str) -> Result | None:
        found = read_document(self._document(result_id))
        path = self._folder / f"{result_id}.arrows"
        if found is None or found.pop("format_version", None) != _FORMAT or not path.exists():
            return None
        try:
            result = Result(**{**found, "columns": [(name, kind) for name, kind in found["columns"]], "path": path})
        except (KeyError, TypeError, ValueError):
            return None
        return None if time.time() - result.at_s > self._keep_s else result

    def _remove(self, result_id: str) -> None:
        self._document(result_id).unlink(missing_ok=True)
        (self._folder / f"{result_id}.arrows").unlink(missing_ok=True)

    def _document(self, result_id: str) -> Path:
        return self._folder / f"{result_id}.json"


def _measure(result: Result, most_rows: int) -> None:
    import pyarrow as pa

    with pa.memory_map(str(result.path)) as source, pa.ipc.open_stream(source) as reader:
        result.columns = [
            (name, str(kind)) for name, kind in zip(reader.schema.names, reader.schema.types, strict=True)
        ]
        result.batches = [batch.num_rows for batch in reader]
    found = sum(result.batches)
    result.rows, result.is_cut = min(found, most_rows), found > most_rows
