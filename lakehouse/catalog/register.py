"""Registering Parquet files that users have put under `files/`: copied, checked, committed.

Belongs here: the use case and what makes two schemas differ. Not here: reading a Parquet footer (see
lakehouse/adapters/parquet_footer.py), conversion of other formats (see lakehouse/ingest).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lakehouse.catalog.manifest import Column, DataObject, Manifest
from lakehouse.catalog.names import check_dataset_name, schema_fingerprint
from lakehouse.catalog.service import Catalog, Commit, Draft
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, Conflict, Unprocessable
from lakehouse.storage.keys import check_key
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import put_once

SOURCE_PREFIX = "files/"


@dataclass(frozen=True, slots=True)
class ParquetFacts:
    """What a Parquet file's footer says: `(name, DuckDB type)` in order, and its rows."""

    columns: tuple[tuple[str, str], ...]
    row_count: int


class Registrar:
    """Makes datasets of Parquet files that are in the bucket already.

    Args:
        store: The bucket.
        catalog: The catalog in it.
        read_footer: Reads the facts of a local Parquet file; raises `Unprocessable` for anything else.
        is_personal: True for the name of a column that holds personal data by its name alone.
        work_dir: Where a file lies while it is checked.
        clock: Gives the time now, aware, in UTC.
    """

    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog,
        read_footer: Callable[[Path], ParquetFacts],
        is_personal: Callable[[str], bool],
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._read_footer = read_footer
        self._is_personal = is_personal
        self._work_dir = work_dir
        self._clock = clock

    def register(
        self, name: str, columns: Sequence[Column], keys: Sequence[str], *, actor: str, evolve: bool = False
    ) -> Commit:
        """Make the dataset consist of these files.

        Args:
            name: The dataset.
            columns: Its columns in order, as every file has them.
            keys: Parquet files under `files/`; they are copied, so that later changes to them do not matter.
            actor: Who does it.
            evolve: Accept columns that differ from the registered ones.

        Raises:
            BadInput: The name, a key or the columns are refused.
            NotFound: A key holds nothing.
            Unprocessable: A file is no Parquet, or its columns are not those given.
            Conflict: The dataset has other columns, and `evolve` is False; nothing has changed.
        """
        check_dataset_name(name)
        _check_request(columns, keys)
        # Before the copies: a refusal leaves nothing behind.
        refuse_drift(self._catalog.find(name), columns, evolve=evolve)
        objects = tuple(self._take(name, columns, key) for key in keys)

        def update(live: Manifest | None) -> Draft | None:
            refuse_drift(live, columns, evolve=evolve)
            marked = keep_marks(live, self._mark(columns))
            if live is not None and (live.columns, live.objects) == (marked, objects):
                return None
            is_evolved = live is not None and live.schema_fingerprint != _fingerprint(columns)
            note = f"evolve accepted by {actor}" if is_evolved else "registered"
            return Draft(marked, objects, committed_by=actor, note=note)

        return self._catalog.commit(name, update)

    def _mark(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        return tuple(replace(c, pii=c.pii or self._is_personal(c.name)) for c in columns)

    def _take(self, name: str, columns: Sequence[Column], key: str) -> DataObject:
        """Check one file and copy it to its content's own key."""
        local = self._work_dir / f"register-{new_id()}.parquet"
        try:
            sha256, size = self._download(key, local)
            facts = self._read_footer(local)
            _check_columns(key, facts, columns)
            target = f"datasets/{name}/{_fingerprint(columns)}/{sha256}.parquet"
            put_once(self._store, target, local, clock=self._clock, is_large=True)
        finally:
            local.unlink(missing_ok=True)
        return DataObject(target, size, sha256, sha256, facts.row_count)

    def _download(self, key: str, local: Path) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = 0
        with self._store.open(key) as reader, local.open("wb") as stream:
            for chunk in reader.chunks():
                digest.update(chunk)
                stream.write(chunk)
                size += len(chunk)
        return digest.hexdigest(), size


def refuse_drift(live: Manifest | None, columns: Sequence[Column], *, evolve: bool) -> None:
    """Raise `Conflict` when a dataset is there under another schema and that was not accepted."""
    if live is None or evolve or live.schema_fingerprint == _fingerprint(columns):
        return
    diff = diff_columns(live.columns, columns)
    raise Conflict(
        f"dataset {live.name!r} has other columns: {describe_diff(diff)}. Nothing was changed;"
        " send evolve=true to accept the new columns as a new version",
        diff=diff,
        accept="evolve=true",
    )


def diff_columns(before: Sequence[Column], after: Sequence[Column]) -> dict[str, Any]:
    """What separates two schemas: columns added, gone, retyped, and whether only their order differs."""
    old, new = {c.name: c.type for c in before}, {c.name: c.type for c in after}
    retyped = [{"name": n, "from": old[n], "to": new[n]} for n in old if n in new and old[n] != new[n]]
    added = [{"name": n, "type": new[n]} for n in new if n not in old]
    gone = [{"name": n, "type": old[n]} for n in old if n not in new]
    is_reordered = not (added or gone) and list(old) != list(new)
    return {"added": added, "gone": gone, "retyped": retyped, "reordered": is_reordered}


def describe_diff(diff: dict[str, Any]) -> str:
    """A diff in one line for people."""
    parts = [f"{c['name']!r} {c['type']} is new" for c in diff["added"]]
    parts += [f"{c['name']!r} {c['type']} is gone" for c in diff["gone"]]
    parts += [f"{c['name']!r} was {c['from']} and is {c['to']}" for c in diff["retyped"]]
    if diff["reordered"]:
        parts.append("the order differs")
    return "; ".join(parts)


def keep_marks(live: Manifest | None, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns, with those that were personal data still marked so: a new file does not lift a mask."""
    # SQL does not tell upper from lower case, so a mark does not either.
    marked = {c.name.casefold() for c in live.columns if c.pii} if live is not None else set()
    return tuple(replace(c, pii=c.pii or c.name.casefold() in marked) for c in columns)


def _check_request(columns: Sequence[Column], keys: Sequence[str]) -> None:
    for key in keys:
        check_key(key)
        if not key.startswith(SOURCE_PREFIX):
            raise BadInput(f"key {key!r} cannot be registered: only files under {SOURCE_PREFIX} can", key=key)
    if not keys or not columns:
        raise BadInput("a dataset needs at least one column and one object")
    if len(set(keys)) < len(keys):
        raise BadInput("a key stands in objects twice; its rows would count twice")
    folded = [c.name.casefold() for c in columns]
    if "" in folded or len(set(folded)) < len(folded):
        raise BadInput("each column needs a name of its own; SQL does not tell upper from lower case")


def _check_columns(key: str, facts: ParquetFacts, columns: Sequence[Column]) -> None:
    found = [Column(name, type_) for name, type_ in facts.columns]
    if [(c.name, c.type) for c in columns] != list(facts.columns):
        diff = diff_columns(columns, found)
        raise Unprocessable(f"{key!r} has other columns than those given: {describe_diff(diff)}", key=key, diff=diff)


def _fingerprint(columns: Sequence[Column]) -> str:
    return schema_fingerprint((c.name, c.type) for c in columns)
