"""Snapshots of a hot index: a folder of plain files with their checksums, for quick starts.

    manifest.json  vectors.npy  alive.npy  strings.arrow  codes.faiss  text/{terms.arrow,postings.npz}

Texts and metadata are read from a mapped file, as a search needs only those of its results: pages that are not read
take no memory, and the system drops pages when memory is short. The mapped file is an unlinked copy, because a process
crashes when somebody truncates a file that it has mapped.

A snapshot is a copy of what the table says; one that is damaged, or of another version of the table, is refused, and
the index is built from the table.

Belongs here: writing, checking, reading. Not here: where snapshots are kept (see open_corpus.py).
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from lakehouse.adapters import faiss_codes
from lakehouse.adapters.faiss_codes import SearchWidth
from lakehouse.adapters.hot_rows import HotRows
from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse.retrieval.row_batch import Distance
from lakehouse.retrieval.text_index import TextIndex
from lakehouse.storage.publish import hash_file

FORMAT_VERSION = 3  # 1 may hold wrongly measured widths for odd dimensions, 2 has codes that find less
_MANIFEST = "manifest.json"
_STRINGS = "strings.arrow"
_COPY_BYTES = 1 << 20


def save_rows(
    rows: HotRows, folder: Path, *, distance: Distance, source: Mapping[str, Any], writing: threading.Lock
) -> None:
    """Write a snapshot; what was there is replaced when the new one is whole.

    Args:
        rows: A generation.
        folder: Of the snapshot.
        distance: Of the index.
        source: What it belongs to, plain JSON.
        writing: Held by who appends; taken only while the text index is written.
    """
    fresh = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with writing:
        view, codes = rows.view, rows.codes
        if rows.text_index is not None:
            (fresh / "text").mkdir()
            rows.text_index.save(fresh / "text")
    np.save(fresh / "vectors.npy", rows.vectors.view(0, view.end))
    np.save(fresh / "alive.npy", view.alive)
    _write_strings(rows, view.end, fresh / _STRINGS)
    if codes is not None:
        codes.write(fresh / "codes.faiss")
    content = {
        "format_version": FORMAT_VERSION,
        "dimension": rows.dimension,
        "distance": distance,
        "has_text": rows.text_index is not None,
        "rows": view.end,
        "source": dict(source),
        "codes": None if codes is None else {"trained_rows": codes.trained_rows, "width": asdict(codes.width)},
        "files": {path: hash_file(fresh / path) for path in _files(fresh)},
    }
    manifest = {"sha256": _content_digest(content), "content": content}
    (fresh / _MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    _put_in_place(fresh, folder)
    with writing:
        if rows.view.end == view.end:
            with suppress(OSError):  # no space for a copy: texts and metadata stay in memory
                rows.read_from(_mapped_strings(folder / _STRINGS)[0])


def load_rows(folder: Path, *, source: Mapping[str, Any] | None) -> tuple[HotRows, Distance]:
    """Read a snapshot: its rows, and the distance of its index.

    Raises:
        NotFound: There is none.
        Conflict: It is damaged, of another format, or its source is not `source`.
    """
    content = _checked_manifest(folder)
    if source is not None and content["source"] != dict(source):
        raise Conflict(f"the snapshot in {folder.name} is of {content['source']}, not of {dict(source)}; {_REMEDY}")
    try:
        return _read(folder, content), content["distance"]
    except (OSError, ValueError, KeyError, RuntimeError, BadInput, pa.ArrowException) as error:
        raise Conflict(f"the snapshot in {folder.name} cannot be read ({error}); {_REMEDY}") from error


_REMEDY = "build the index from its table"


def _checked_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = orjson.loads((folder / _MANIFEST).read_bytes())
        content: dict[str, Any] = manifest["content"]
        is_whole = manifest["sha256"] == _content_digest(content)
    except FileNotFoundError:
        raise NotFound(f"there is no snapshot in {folder.name}; {_REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Conflict(f"the manifest of the snapshot in {folder.name} is damaged ({error}); {_REMEDY}") from error
    if not is_whole:
        raise Conflict(f"the manifest of the snapshot in {folder.name} is damaged; {_REMEDY}")
    if content["format_version"] != FORMAT_VERSION:
        version = content["format_version"]
        raise Conflict(f"the snapshot in {folder.name} has format {version}, this reads {FORMAT_VERSION}; {_REMEDY}")
    for path, digest in content["files"].items():
        if not (folder / path).is_file():
            raise Conflict(f"the snapshot in {folder.name} lacks {path}; {_REMEDY}")
        if hash_file(folder / path) != digest:
            raise Conflict(f"{path} of the snapshot in {folder.name} is damaged; {_REMEDY}")
    return content


def _read(folder: Path, content: Mapping[str, Any]) -> HotRows:
    text_index = TextIndex.load(folder / "text") if content["has_text"] else None
    vectors = np.load(folder / "vectors.npy")
    alive = np.load(folder / "alive.npy")
    strings, mapped = _mapped_strings(folder / _STRINGS)
    rows = HotRows.restored(content["dimension"], vectors, alive, strings, text_index)
    mapped.madvise(mmap.MADV_DONTNEED)  # checking it has read all pages, which are not needed now
    if (codes := content["codes"]) is not None:
        width = SearchWidth(**codes["width"])
        rows.codes = faiss_codes.read(
            folder / "codes.faiss",
            content["distance"],
            dimension=content["dimension"],
            trained_rows=codes["trained_rows"],
            width=width,
        )
    return rows


def _write_strings(rows: HotRows, end: int, path: Path) -> None:
    kind = pa.large_string()
    schema = pa.schema([("id", kind), ("text", kind), ("metadata", kind)])
    # One batch, so that each column is one piece when it is read; it is written without a copy.
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        parts = [strings.view(0, end) for strings in (rows.ids, rows.texts, rows.columns)]
        writer.write_batch(pa.record_batch(parts, schema=schema))


def _mapped_strings(path: Path) -> tuple[pa.Table, mmap.mmap]:
    with path.open("rb") as file, tempfile.TemporaryFile(dir=path.parent) as copy:
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.flush()
        mapped = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all(), mapped


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _content_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _put_in_place(fresh: Path, folder: Path) -> None:
    # A folder cannot be replaced in one step. Between the two renames there is no snapshot, but never half of one.
    old = folder.with_name(f"{folder.name}.old-{os.getpid()}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
