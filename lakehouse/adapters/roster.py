"""The roster from the store: the datasets `workers` and `client_blocks` in memory, as the catalog has them now.

A thread compares the catalog's snapshot with what is in memory, and reads what differs; readers never wait for the
store. Data files are immutable, so that a roster is of one version of each dataset.

Belongs here: following and reading. Not here: the columns (see roster_columns.py), the rules (see
lakehouse/validation), the catalog's own thread (see lakehouse/catalog/snapshot.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from lakehouse.adapters.object_file import ObjectFile
from lakehouse.adapters.roster_columns import BlockColumns, WorkerColumns
from lakehouse.adapters.spare_memory import give_back
from lakehouse.catalog.manifest import Manifest
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import LakehouseError, StoreUnavailable, Unavailable
from lakehouse.storage.objects import ObjectStore
from lakehouse.validation.roster import BLOCK_COLUMNS, BLOCKS, WORKER_COLUMNS, WORKERS, Roster, Worker

if TYPE_CHECKING:
    import pyarrow as pa

_LOOK_S = 0.1
_RETRY_S = 0.5
_CATEGORIES = ("role", "city", "state", "status")
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_log = structlog.get_logger("lakehouse.roster")


class Snapshots(Protocol):
    """The catalog as this process sees it; `age_s` is None before the first look."""

    @property
    def age_s(self) -> float | None: ...

    @property
    def is_stale(self) -> bool: ...

    def current(self) -> CatalogSnapshot: ...


@dataclass(frozen=True, slots=True)
class LoadedRoster:
    """Workers and blocks of one version each; `fault` says why there are none."""

    version: tuple[str, str] | None = None
    workers: WorkerColumns | None = None
    blocks: BlockColumns | None = None
    fault: str | None = None
    is_current: bool = True

    def find(self, worker_id: str) -> Worker | None:
        """The worker of an id as text."""
        return None if self.workers is None else self.workers.find(worker_id)

    def is_blocked(self, client_id: str, worker_id: str) -> bool:
        """Whether a worker must not be sent to a client."""
        return self.blocks is not None and self.blocks.has(client_id, worker_id)


class StoredRoster:
    """Keeps the roster in memory and fresh; any number of threads read it.

    Args:
        objects: The bucket.
        catalog: The catalog's snapshots.
    """

    def __init__(self, objects: ObjectStore, catalog: Snapshots) -> None:
        self._objects = objects
        self._catalog = catalog
        self._loaded = LoadedRoster()
        self._named: tuple[CatalogSnapshot | None, tuple[str, str]] = None, ("", "")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow the catalog."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="roster", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def is_loaded(self) -> bool:
        """Whether memory holds what the catalog's snapshot names, or says why it cannot."""
        return self._catalog.age_s is not None and self._loaded.version == self._version()

    @property
    def given(self) -> frozenset[str]:
        """First words of the names of the workers that are in memory, folded."""
        return frozenset() if self._loaded.workers is None else self._loaded.workers.given

    @property
    def family(self) -> frozenset[str]:
        """Their last words."""
        return frozenset() if self._loaded.workers is None else self._loaded.workers.family

    def current(self) -> Roster:
        """The roster of this moment.

        Raises:
            StoreUnavailable: The catalog is not known yet.
            Unavailable: There is no usable dataset `workers`, or a new version is being read; says what to do.
        """
        loaded, version = self._loaded, self._version()
        if self._catalog.age_s is None:
            raise StoreUnavailable("the object store did not answer, so workers are not known", retry_after_s=5)
        if loaded.version != version:
            raise Unavailable(f"the dataset {WORKERS!r} is being read; try again", dataset=WORKERS, retry_after_s=1)
        if loaded.fault is not None:
            raise Unavailable(loaded.fault, dataset=WORKERS, retry_after_s=10)
        return replace(loaded, is_current=False) if self._catalog.is_stale else loaded

    def _version(self) -> tuple[str, str]:
        """The version that the catalog names now; told once for each of its snapshots."""
        snapshot, (seen, version) = self._catalog.current(), self._named
        if seen is not snapshot:
            version = _version(snapshot)
            self._named = snapshot, version
        return version

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            if self._catalog.age_s is None or self.is_loaded:
                continue
            snapshot = self._catalog.current()
            try:
                self._loaded = self._load(snapshot)
            except LakehouseError as error:
                _log.warning("workers could not be read", reason=error.detail)
                self._stopping.wait(_RETRY_S)
            give_back()

    def _load(self, snapshot: CatalogSnapshot) -> LoadedRoster:
        version = _version(snapshot)
        fault = _fault(snapshot, WORKERS, WORKER_COLUMNS) or (
            _fault(snapshot, BLOCKS, BLOCK_COLUMNS) if snapshot.knows(BLOCKS) else None
        )
        if fault is not None:
            return LoadedRoster(version, fault=fault)
        import pyarrow as pa

        try:
            workers = WorkerColumns(_read(self._objects, snapshot.manifests[WORKERS], WORKER_COLUMNS))
            blocks = snapshot.manifests.get(BLOCKS)
            blocked = None if blocks is None else BlockColumns(_read(self._objects, blocks, BLOCK_COLUMNS))
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"the datasets {WORKERS!r} and {BLOCKS!r} cannot be read as text ({type(error).__name__}); load"
            return LoadedRoster(version, fault=f"{reason} them again with plain columns")
        return LoadedRoster(version, workers, blocked)


def _version(snapshot: CatalogSnapshot) -> tuple[str, str]:
    """What tells one version of the two datasets from another."""
    return _version_of(snapshot, WORKERS), _version_of(snapshot, BLOCKS)


def _version_of(snapshot: CatalogSnapshot, name: str) -> str:
    manifest = snapshot.manifests.get(name)
    if manifest is not None:
        return f"{manifest.version} {manifest.commit_id}"
    return f"broken: {snapshot.broken[name]}" if name in snapshot.broken else "none"


def _fault(snapshot: CatalogSnapshot, name: str, columns: Sequence[str]) -> str | None:
    """Why a dataset cannot be used, and what to do."""
    wanted = f"load one with the columns {', '.join(columns)}: lakehouse ingest FILE --name {name}"
    if name in snapshot.broken:
        return f"the dataset {name!r}, which fills are checked against, is broken: {snapshot.broken[name]}"
    manifest = snapshot.manifests.get(name)
    if manifest is None:
        return f"there is no dataset {name!r}, which fills are checked against; {wanted}"
    missing = [column for column in columns if column not in {c.name for c in manifest.columns}]
    if missing:
        return f"the dataset {name!r}, which fills are checked against, lacks {', '.join(missing)}; {wanted}"
    return None


def _read(objects: ObjectStore, manifest: Manifest, columns: Sequence[str]) -> pa.Table:
    """Some columns of a dataset, in the order of its files.

    Returns:
        Integer ids of workers as int64, what repeats as dictionaries, all else as text.

    Raises:
        StoreUnavailable, NotFound: The store does not answer, or a file is gone (a newer version is on its way).
        pyarrow.ArrowException, OSError: A column cannot be text, or a file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {column.name: column.type for column in manifest.columns}
    schema = pa.schema([(name, _type_in_memory(manifest.name, name, types[name])) for name in columns])
    repeating = [
        field.name for field in schema if pa.types.is_dictionary(field.type) and types[field.name] == "VARCHAR"
    ]
    tables = [schema.empty_table()]
    for data in manifest.objects:
        stored = ObjectFile(objects, data.key, data.size)
        with pq.ParquetFile(stored, pre_buffer=True, read_dictionary=repeating) as file:
            read = file.read(columns=list(columns))
        tables.append(pa.table([_as(read[field.name], field.type) for field in schema], schema=schema))
    return pa.concat_tables(tables)


def _type_in_memory(dataset: str, column: str, type_: str) -> pa.DataType:
    import pyarrow as pa

    if dataset == WORKERS and column == "worker_id" and type_ in _INTEGERS:
        return pa.int64()
    return pa.dictionary(pa.int32(), pa.string()) if column in _CATEGORIES else pa.string()


def _as(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    if column.type == type_:
        return column
    return column.cast(pa.string()).dictionary_encode() if pa.types.is_dictionary(type_) else column.cast(type_)
