"""Landing folders: a dataset is the union of the files that lie in its folder now.

Belongs here: which files are new, changed or gone, and the one commit that follows. Not here: seeing them (see
sensors/landing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.catalog.manifest import Column, DataObject, Manifest
from lakehouse.catalog.names import check_dataset_name
from lakehouse.catalog.service import Catalog, Draft
from lakehouse.counted import counted
from lakehouse.errors import BadInput, Conflict, LakehouseError, NotFound, Unavailable, Unprocessable
from lakehouse.ingest.folder_options import OPTIONS_FILE, find_folder_options, parse_folder_options
from lakehouse.ingest.ingester import Ingester, IngestResult, Loaded, merge_columns
from lakehouse.ingest.landed_names import is_left_alone
from lakehouse.ingest.options import IngestOptions, make_options
from lakehouse.ingest.ways_out import landing_door
from lakehouse.storage.objects import ObjectInfo, ObjectStore, StoredObject, list_all
from lakehouse.storage.publish import hash_file

LANDING = "landing/"
_AT_ONCE = 2
_TRIES = 3

Taken = Callable[[Sequence[ObjectInfo]], None]
"""Hears what of a folder is taken in: files as they were read, which may not be how they were listed, and options."""


@dataclass(slots=True)
class _Refused:
    key: str
    etag: str
    error: LakehouseError


@dataclass(frozen=True, slots=True)
class _Folder:
    """A landing folder, and the options that each file is read with."""

    ingester: Ingester
    name: str
    options: Mapping[str, IngestOptions]

    def load(self, file: ObjectInfo, live: Manifest | None, types: dict[str, str]) -> Loaded | _Refused | None:
        """Fetch one file as it is now and convert it; None: it is gone since it was listed."""
        options = self.options[file.key]
        with self.ingester.folder() as folder:
            local = folder / "landed"
            etag = self._fetch(file.key, local)
            if etag is None:
                return None
            sha256 = hash_file(local)
            try:
                item = self.ingester.load(
                    local, self.name, options, live=live, sha256=sha256, origin=file.key, types=types
                )
            except (BadInput, Conflict) as error:
                return _Refused(file.key, etag, error)
        return replace(item, object=replace(item.object, source_key=file.key, source_etag=etag))

    def _fetch(self, key: str, local: Path) -> str | None:
        """The ETag of what is in the local file now; None where there is no such object."""
        try:
            with self.ingester.store.open(key) as reader, local.open("wb") as stream:
                for chunk in reader.chunks():
                    stream.write(chunk)
                return reader.info.etag
        except NotFound:
            return None


def sync_landing(
    ingester: Ingester, name: str, *, actor: str, evolve: bool = False, taken: Taken | None = None
) -> IngestResult:
    """Make the dataset the union of the objects under `landing/<name>/`, in key order.

    Objects that are known by key and ETag are kept as they are; a new ETag replaces what its key gave; a key that is
    gone takes its rows along. Rows from appended uploads stay. One commit for all files that can be read.

    Args:
        ingester: Converts and uploads.
        name: The dataset.
        actor: Who does it.
        evolve: Accept other columns than the registered ones.
        taken: Is told what was read, loaded or refused, before it is committed.

    Raises:
        NotFound: There is neither such a dataset nor a file in its folder.
        Unprocessable: Files could not be read; those that could are loaded.
        Conflict: Files do not fit the registered columns; those that do are loaded.
        Unavailable: Others kept changing the columns, or the files.
    """
    check_dataset_name(name)
    for _ in range(_TRIES):
        with suppress(_Overtaken):
            return _sync(ingester, name, actor=actor, evolve=evolve, taken=taken)
    raise Unavailable(
        f"the columns of {name!r} kept changing, or a file did, while the files of its folder were read; try again",
        name=name,
        retry_after_s=5,
    )


def is_synced(store: ObjectStore, catalog: Catalog, name: str) -> bool:
    """Whether the dataset holds just the files that lie in its folder, read as the folder says; or neither is there.

    Raises:
        LakehouseError: The store does not answer, or what lies there is refused.
    """
    live = catalog.find(name)
    folder = f"{LANDING}{name}/"
    files = _files(store, folder)
    options = _options(files, find_folder_options(store, folder))
    if live is None:
        return not files  # what was there could not be loaded, and was taken away
    return _known(live) == {(f.key, f.etag, options[f.key].reading_fingerprint) for f in files}


class _Overtaken(Exception):
    """Somebody changed what the files were read by, or a file between its two readings."""


def _sync(ingester: Ingester, name: str, *, actor: str, evolve: bool, taken: Taken | None) -> IngestResult:
    folder = f"{LANDING}{name}/"
    options_file = find_folder_options(ingester.store, folder)
    beside = [options_file.info] if options_file is not None else []
    listed = _files(ingester.store, folder)
    try:
        options = _options(listed, options_file)
    except Unprocessable:
        if taken is not None:
            taken([*listed, *beside])
        raise
    live = ingester.catalog.find(name)
    known = _known(live)
    new = [f for f in listed if (f.key, f.etag, options[f.key].reading_fingerprint) not in known]
    loaded, refused = _load_all(_Folder(ingester, name, options), new, live, evolve=evolve)
    files = _as_read(listed, new, loaded, refused)
    if taken is not None:
        taken([*files, *beside])
    if live is None and not files:
        raise NotFound(f"no data file under {LANDING}{name}/ and no such dataset; put one there", name=name)
    quarantined = sum(item.quarantined for item in loaded.values())
    if live is None and not loaded:
        raise _refusal(name, refused, kept=False)

    def update(now: Manifest | None) -> Draft | None:
        if _known(now) != known or _fingerprint(now) != _fingerprint(live):
            raise _Overtaken
        objects, columns = _union(now, files, loaded, refused), _columns(now, loaded, evolve=evolve)
        if now is not None and objects == now.objects and columns == now.columns:
            return None
        note = f"evolve accepted by {actor}" if evolve else ""
        return Draft(columns, objects, committed_by=actor, note=note)

    commit = ingester.catalog.commit(name, update)
    if refused:
        raise _refusal(name, refused, kept=True)
    keys = tuple(key for item in loaded.values() for key in item.quarantine_keys)
    return IngestResult(commit.manifest, not commit.is_new_version, quarantined, keys)


def _files(store: ObjectStore, folder: str) -> list[ObjectInfo]:
    """The files of a landing folder in key order."""
    found = sorted(list_all(store, folder), key=lambda info: info.key)
    return [f for f in found if not f.key.endswith("/") and not is_left_alone(f.key.removeprefix(folder))]


def _options(files: list[ObjectInfo], stated: StoredObject | None) -> dict[str, IngestOptions]:
    """How each file is read."""
    given = parse_folder_options(stated) if stated is not None else {}
    return {file.key: make_options(file_name=file.key, **given) for file in files}


def _as_read(
    listed: list[ObjectInfo], new: list[ObjectInfo], loaded: dict[str, Loaded], refused: list[_Refused]
) -> list[ObjectInfo]:
    """The files with the ETags that they had when they were read, without those that were gone by then."""
    read = {key: item.object.source_etag or "" for key, item in loaded.items()} | {r.key: r.etag for r in refused}
    gone = {file.key for file in new} - read.keys()
    return [replace(file, etag=read.get(file.key, file.etag)) for file in listed if file.key not in gone]


def _known(manifest: Manifest | None) -> set[tuple[str | None, str | None, str]]:
    """What of the folder a version holds."""
    objects = manifest.objects if manifest is not None else ()
    return {(o.source_key, o.source_etag, o.source_options) for o in objects if o.source_key}


def _fingerprint(manifest: Manifest | None) -> str | None:
    return None if manifest is None else manifest.schema_fingerprint


def _load_all(
    folder: _Folder, files: list[ObjectInfo], live: Manifest | None, *, evolve: bool
) -> tuple[dict[str, Loaded], list[_Refused]]:
    """Convert the new files; those of a first sync get the types that hold all of them."""
    loaded: dict[str, Loaded] = {}
    refused: list[_Refused] = []
    for file, result in zip(files, _load_side_by_side(folder, files, None if evolve else live), strict=True):
        if isinstance(result, _Refused):
            refused.append(result)
        elif result is not None:
            loaded[file.key] = result
    if live is not None and not evolve:
        return loaded, refused
    columns = _columns(live, loaded, evolve=evolve)
    by_name = {c.name: c.type for c in columns}
    first = {c.name for c in columns}
    for file in files:
        item = loaded.get(file.key)
        if item is None:
            continue
        etag = item.object.source_etag or ""
        if {c.name for c in item.columns} != first and not evolve:
            del loaded[file.key]
            refused.append(_Refused(file.key, etag, Conflict("its columns are not those of the folder's first file")))
            continue
        wrong = {c.name: by_name[c.name] for c in item.columns if c.type != by_name[c.name]}
        if wrong:
            again = folder.load(file, None, wrong)
            if not isinstance(again, Loaded) or again.object.source_etag != etag:
                raise _Overtaken  # other bytes may have other columns than those that all files were to have
            loaded[file.key] = again
    return loaded, refused


def _load_side_by_side(
    folder: _Folder, files: list[ObjectInfo], live: Manifest | None
) -> list[Loaded | _Refused | None]:
    """Convert a few files at a time, in their order: of many small ones most of the time is the start of children."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(folder.load, file, live, {}) for file in files]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)  # where one failed for a reason that is not its file's


def _columns(live: Manifest | None, loaded: dict[str, Loaded], *, evolve: bool) -> tuple[Column, ...]:
    if live is not None and not evolve:
        marked = {c.name for item in loaded.values() for c in item.columns if c.pii}
        return tuple(replace(c, pii=c.pii or c.name in marked) for c in live.columns)
    columns = live.columns if live is not None else ()
    open_columns: frozenset[str] = frozenset()
    for item in loaded.values():
        if not columns:
            columns, open_columns = item.columns, item.undecided
        elif evolve or {c.name for c in columns} == {c.name for c in item.columns}:
            # Else: the first file of a folder says what its columns are.
            known = {c.name for c in columns}
            columns = merge_columns(columns, item.columns, undecided=item.undecided, open_before=open_columns)
            open_columns = frozenset(n for n in item.undecided if n in open_columns or n not in known)
    return columns


def _union(
    now: Manifest | None, files: list[ObjectInfo], loaded: dict[str, Loaded], refused: list[_Refused]
) -> tuple[DataObject, ...]:
    before = {o.source_key: o for o in now.objects if o.source_key} if now is not None else {}
    uploads = tuple(o for o in now.objects if o.source_key is None) if now is not None else ()
    broken = {r.key for r in refused}
    landed = []
    for file in files:
        if file.key in loaded:
            landed.append(loaded[file.key].object)
        elif file.key in before and (file.key in broken or before[file.key].source_etag == file.etag):
            landed.append(before[file.key])  # a bad replacement leaves the rows of the file before it
    return (*landed, *uploads)


def _refusal(name: str, refused: list[_Refused], *, kept: bool) -> LakehouseError:
    door = landing_door(f"{LANDING}{name}/{OPTIONS_FILE}")
    shown = "; ".join(f"{r.key}: {door.says(r.error.detail)}" for r in refused[:5])
    more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
    tail = ". The other files are loaded" if kept else ""
    kind = Conflict if all(isinstance(r.error, Conflict) for r in refused) else Unprocessable
    keys = [r.key for r in refused]
    said = f"{counted(len(refused), 'file', 'was')} refused in the landing folder: {shown}{more}{tail}"
    return kind(said, keys=keys)
