"""The ingest of one file: convert, upload under its content's key, commit.

Belongs here: `Ingester` and its answer. Not here: landing folders (see landing.py), conversion (see conversion.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.catalog.manifest import Column, DataObject, Manifest
from lakehouse.catalog.names import check_dataset_name, schema_fingerprint
from lakehouse.catalog.register import keep_marks
from lakehouse.catalog.service import Catalog, Draft
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import Conflict
from lakehouse.ingest.conversion import ConversionRequest, Converted, Converter
from lakehouse.ingest.grammar import widen
from lakehouse.ingest.options import IngestOptions
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import hash_file, put_once

if TYPE_CHECKING:
    from lakehouse.ingest.landing import Taken


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an ingest did. `existing` is True when nothing had to change."""

    manifest: Manifest
    existing: bool
    quarantined: int = 0
    quarantine_keys: tuple[str, ...] = ()

    @property
    def is_new_dataset(self) -> bool:
        """True when the name had no dataset before."""
        return not self.existing and self.manifest.created_at == self.manifest.updated_at

    def answer(self) -> dict[str, Any]:
        """The answer of CONTRACTS.md section 4."""
        manifest = self.manifest
        return {
            "dataset_id": manifest.dataset_id,
            "name": manifest.name,
            "schema_fingerprint": manifest.schema_fingerprint,
            "row_count": manifest.row_count,
            "bytes": manifest.size_bytes,
            "objects": len(manifest.objects),
            "version": manifest.version,
            "existing": self.existing,
            "quarantined": self.quarantined,
            "quarantine_keys": list(self.quarantine_keys),
        }


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file that is Parquet in the bucket, and not in any version yet."""

    columns: tuple[Column, ...]
    object: DataObject
    quarantined: int = 0
    quarantine_keys: tuple[str, ...] = ()
    undecided: frozenset[str] = frozenset()


class Ingester:
    """Ingests files into the catalog; stateless, so HTTP, the command and assets each have one.

    Args:
        store: The bucket.
        catalog: Its catalog.
        converter: Makes Parquet.
        work_dir: Local folder for temporary files.
        clock: The time now.
        require_space: Raises `InsufficientStorage` when the disk may take no more.
    """

    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog,
        converter: Converter,
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
        require_space: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.catalog = catalog
        self._converter = converter
        self._work_dir = work_dir
        self._clock = clock
        self._require_space = require_space

    def prepare(self) -> None:
        """Tell the engine that a file is on its way."""
        prepare = getattr(self._converter, "prepare", None)
        if prepare is not None:
            prepare()

    def ingest(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        actor: str,
        source_sha256: str | None = None,
        file_name: str = "",
    ) -> IngestResult:
        """Load a local file into a dataset.

        Args:
            path: The file; it is left as it is.
            name: The dataset.
            options: How to read it, and whether it replaces or appends.
            actor: Who does it.
            source_sha256: SHA-256 hex of the file where the caller has computed it on the way.
            file_name: Its name at the user's side, for the quarantine.

        Raises:
            BadInput: A name or an option is wrong.
            Unprocessable: The file is wrong; says where.
            Conflict: The file does not fit the dataset, or the dataset is fed from its landing folder.
            LakehouseError: As the store and the converter say; nothing has changed then.
        """
        check_dataset_name(name)
        sha256 = source_sha256 or hash_file(path)
        live = self.catalog.find(name)
        self._refuse_landing(live, options)
        if live is not None and _is_there(live, sha256, options):
            return IngestResult(live, existing=True)
        loaded = self.load(path, name, options, live=live, sha256=sha256, origin=file_name or f"upload {sha256[:12]}")

        def update(now: Manifest | None) -> Draft | None:
            if now is not None and _is_there(now, sha256, options):
                return None
            if not options.evolve and now is not None and _types(now.columns) != _types(loaded.columns):
                raise Conflict(
                    f"{name!r} was changed by another writer meanwhile; try again", name=name, retry_after_s=1
                )
            self._refuse_landing(now, options)
            is_appending = options.mode == "append" and now is not None
            columns = (
                merge_columns(now.columns, loaded.columns, undecided=loaded.undecided)
                if is_appending and now
                else loaded.columns
            )
            kept = now.objects if is_appending and now else ()
            note = f"evolve accepted by {actor}" if options.evolve and now is not None else ""
            # Of the version that is replaced, which may be newer than the one that the file was read by.
            return Draft(keep_marks(now, columns), (*kept, loaded.object), committed_by=actor, note=note)

        commit = self.catalog.commit(name, update)
        return IngestResult(
            commit.manifest,
            not commit.is_new_version,
            quarantined=loaded.quarantined,
            quarantine_keys=loaded.quarantine_keys,
        )

    def sync_landing(
        self,
        name: str,
        *,
        actor: str,
        evolve: bool = False,
        taken: Taken | None = None,
    ) -> IngestResult:
        """Make a dataset the union of the files in its landing folder; see `lakehouse.ingest.landing.sync_landing`."""
        from lakehouse.ingest.landing import sync_landing

        return sync_landing(self, name, actor=actor, evolve=evolve, taken=taken)

    def load(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        live: Manifest | None,
        sha256: str,
        origin: str,
        types: dict[str, str] | None = None,
    ) -> Loaded:
        """Convert and upload; the registered columns hold unless the options evolve them."""
        with self.folder() as folder:
            registered = None if live is None or options.evolve else live.columns
            request = ConversionRequest(path, folder, options, registered, types or {})
            made = self._converter.convert(request)
            if live is not None and options.evolve and options.mode == "append":
                # Rows of both schemas live in one dataset: each column takes the type that holds both.
                wanted = {c.name: c.type for c in merge_columns(live.columns, made.columns, undecided=made.undecided)}
                misfits = {c.name: wanted[c.name] for c in made.columns if c.type != wanted[c.name]}
                if misfits:
                    shutil.rmtree(folder)
                    folder.mkdir()
                    made = self._converter.convert(replace(request, types=misfits))
            made = replace(made, columns=keep_marks(live, made.columns))
            return self._upload(made, name, options, sha256=sha256, origin=origin)

    def _upload(self, made: Converted, name: str, options: IngestOptions, *, sha256: str, origin: str) -> Loaded:
        fingerprint = schema_fingerprint((c.name, c.type) for c in made.columns)
        content = hash_file(made.parquet)
        key = f"datasets/{name}/{fingerprint}/{content}.parquet"
        put_once(self.store, key, made.parquet, clock=self._clock, is_large=True)
        size = made.parquet.stat().st_size
        data = DataObject(key, size, content, sha256, made.row_count, options.reading_fingerprint)
        keys = self._keep_quarantine(made, name, origin, sha256)
        return Loaded(made.columns, data, made.quarantined, keys, made.undecided)

    def _keep_quarantine(self, made: Converted, name: str, origin: str, sha256: str) -> tuple[str, ...]:
        if made.quarantine is None:
            return ()
        now = self._clock()
        # Named by where it came from and what it holds: a file that is read again keeps it once, also after midnight.
        content = hashlib.sha256(f"{origin}\n{sha256}\n{hash_file(made.quarantine)}".encode()).hexdigest()
        keys = [f"quarantine/ingest/dt={day:%Y-%m-%d}/{name}-{content}.jsonl" for day in (now, now - timedelta(days=1))]
        if there := [key for key in keys if self.store.head(key) is not None]:
            return (there[0],)
        common = {"format_version": 1, "dataset": name, "origin": origin, "refused_at": now.isoformat()}
        tagged = made.quarantine.with_suffix(".tagged")
        with made.quarantine.open(encoding="utf-8") as lines, tagged.open("w", encoding="utf-8") as out:
            for line in lines:
                out.write(json.dumps({**common, **json.loads(line)}, ensure_ascii=False) + "\n")
        self.store.put(keys[0], tagged, content_type="application/x-ndjson")
        return (keys[0],)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty work folder that goes at the end.

        Raises:
            InsufficientStorage: The disk is used beyond its limit.
        """
        self._require_space()
        path = self._work_dir / f"ingest-{new_id()}"
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def _refuse_landing(live: Manifest | None, options: IngestOptions) -> None:
        if live is not None and options.mode == "replace" and any(o.source_key for o in live.objects):
            raise Conflict(
                f"{live.name!r} is the union of the files under landing/{live.name}/: a replace would be undone by the"
                " next file there. Put the file there instead, append with mode=append, or delete the dataset first",
                name=live.name,
            )


def merge_columns(
    before: tuple[Column, ...],
    after: tuple[Column, ...],
    *,
    undecided: frozenset[str] = frozenset(),
    open_before: frozenset[str] = frozenset(),
) -> tuple[Column, ...]:
    """The columns that hold the rows of both: those of `before` in order, then new ones; types widened.

    A column without a value, `undecided` in `after` or open in `before`, takes the type that the other has.
    """
    new = {c.name: c for c in after}
    merged = []
    for column in before:
        other = new.get(column.name, column)
        type_ = widen(column.type, other.type)
        if column.name in undecided | open_before:
            type_ = column.type if column.name in undecided else other.type
        merged.append(replace(column, type=type_, pii=column.pii or other.pii))
    known = {c.name for c in before}
    return (*merged, *(c for c in after if c.name not in known))


def _is_there(live: Manifest, sha256: str, options: IngestOptions) -> bool:
    same = [
        o.source_sha256 == sha256 and o.source_options == options.reading_fingerprint and o.source_key is None
        for o in live.objects
    ]
    if options.mode == "replace":
        return same == [True]
    return any(same) and not options.allow_duplicate


def _types(columns: tuple[Column, ...]) -> dict[str, str]:
    return {c.name: c.type for c in columns}
