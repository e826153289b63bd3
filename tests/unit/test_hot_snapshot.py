"""Snapshots of a hot index: the same answers after a restart, and what is damaged or foreign is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.errors import Conflict, NotFound
from lakehouse.retrieval.filters import parse_filter
from tests.hot_rows import batch_of, clustered

SOURCE = {"table": "workers", "uri": "lance/workers.lance", "version": 7}


@pytest.fixture(scope="module")
def vectors() -> Any:
    return clustered(5_600, 16)


@pytest.fixture(scope="module")
def index(vectors: Any) -> HotIndex:
    """Codes, a tail without codes, dead rows, texts and metadata."""
    index = HotIndex(dimension=16)
    texts = [f"text{i % 7} ünïcode" if i % 5 else None for i in range(5_500)]
    index.upsert(batch_of(vectors[:5_500], texts=texts, metadata=[{"n": i % 3, "tags": ["a"]} for i in range(5_500)]))
    index.settle()
    index.upsert(batch_of(vectors[5_500:], [f"r{i}" for i in range(5_500, 5_600)]))
    index.delete(["r3", "r4"])
    return index


@pytest.fixture
def folder(index: HotIndex, tmp_path: Path) -> Path:
    index.save(tmp_path / "snapshot", source=SOURCE)
    return tmp_path / "snapshot"


def answers(index: HotIndex, vectors: Any) -> list[Any]:
    one, two = index.select(), index.select(filter=parse_filter({"n": 1, "tags": {"contains": "a"}}))
    found = [index.search_vector(vectors[i], 10, s) for i in (0, 3, 5_550) for s in (one, two)]
    rows = np.array([hit.row for hit in found[0]])
    return [found, index.search_text("text3", 10, two), index.metadata_of(rows), index.texts_of(rows)]


def test_loaded_index_gives_the_same_answers_and_goes_on(index: HotIndex, vectors: Any, folder: Path) -> None:
    loaded = HotIndex.load(folder, source=SOURCE)
    assert answers(loaded, vectors) == answers(index, vectors)
    before = loaded.stats()
    assert {k: v for k, v in before.items() if k != "bytes"} == {k: v for k, v in index.stats().items() if k != "bytes"}
    assert loaded.row_of("r3") is None
    loaded.upsert(batch_of(vectors[3:4], ["r3"], texts=["crane"]))
    assert loaded.search_vector(vectors[3], 1, loaded.select())[0].id == "r3"
    assert [hit.id for hit in loaded.search_text("crane", 5, loaded.select())] == ["r3"]
    assert len(loaded) == len(index) + 1


def test_snapshot_is_replaced_whole(index: HotIndex, folder: Path) -> None:
    index.save(folder, source={**SOURCE, "version": 8})
    assert [path.name for path in folder.parent.iterdir()] == ["snapshot"]
    HotIndex.load(folder, source={**SOURCE, "version": 8})
    with pytest.raises(Conflict, match="'version': 8"):
        HotIndex.load(folder, source=SOURCE)
    HotIndex.load(folder)


def test_saved_and_loaded_indexes_read_what_nobody_can_harm_and_go_on(vectors: Any, tmp_path: Path) -> None:
    made = HotIndex(dimension=16)
    metadata = [{"n": i % 3, "tags": ["a"]} for i in range(300)]
    made.upsert(batch_of(vectors[:300], texts=[f"text{i % 7}" for i in range(300)], metadata=metadata))
    asked = [vectors[i] for i in (0, 3, 250)]

    def told(index: HotIndex) -> list[Any]:
        rows = [np.array([hit.row for hit in index.search_vector(v, 5, index.select())]) for v in asked]
        return [(index.metadata_of(r), index.texts_of(r), index.ids_of(r)) for r in rows]

    before = told(made)
    made.save(tmp_path / "snapshot")
    loaded = HotIndex.load(tmp_path / "snapshot")
    for path in (tmp_path / "snapshot").glob("*"):
        if path.is_file():
            path.write_bytes(b"")
    for index in (made, loaded):
        assert told(index) == before
        index.upsert(batch_of(-vectors[:2], ["x0", "x1"]))  # without a text
        index.upsert(batch_of(-vectors[2:3], ["x2"], texts=["crane"], metadata=[{"n": 7}]))
        assert told(index) == before
        assert index.texts_of(np.array([300, 302])) == ["", "crane"]
        assert len(index.select(filter=parse_filter({"n": 7}))) == 1
    loaded.save(tmp_path / "again")
    assert told(HotIndex.load(tmp_path / "again")) == before


def test_snapshot_whose_strings_are_in_several_batches_is_read(index: HotIndex, folder: Path, vectors: Any) -> None:
    from lakehouse.adapters.hot_snapshot import _content_digest
    from lakehouse.storage.publish import hash_file

    path = folder / "strings.arrow"
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    manifest["content"]["files"]["strings.arrow"] = hash_file(path)
    manifest["sha256"] = _content_digest(manifest["content"])
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    assert answers(HotIndex.load(folder), vectors) == answers(index, vectors)


@pytest.mark.parametrize(
    "file", ["manifest.json", "vectors.npy", "alive.npy", "strings.arrow", "codes.faiss", "text/terms.arrow"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "empty"])
def test_damaged_snapshot_is_refused_by_name(folder: Path, file: str, damage: str) -> None:
    path = folder / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises((Conflict, NotFound), match="build the index from its table") as caught:
        HotIndex.load(folder)
    assert file == "manifest.json" or file in caught.value.detail


def test_snapshot_of_another_format_is_refused(folder: Path) -> None:
    from lakehouse.adapters.hot_snapshot import _content_digest

    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    manifest["content"]["format_version"] = 99
    manifest["sha256"] = _content_digest(manifest["content"])
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(Conflict, match="has format 99"):
        HotIndex.load(folder)


def test_no_snapshot_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no snapshot"):
        HotIndex.load(tmp_path / "nothing")


def test_interrupted_save_leaves_the_earlier_snapshot(index: HotIndex, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "snapshot.new-1")
    (tmp_path / "snapshot.new-1" / "manifest.json").unlink()
    assert len(HotIndex.load(folder, source=SOURCE)) == len(index)


def test_empty_index_is_kept_too(tmp_path: Path) -> None:
    for has_text in (True, False):
        HotIndex(dimension=4, distance="l2", has_text=has_text).save(tmp_path / "empty")
        loaded = HotIndex.load(tmp_path / "empty", source={})
        assert (len(loaded), loaded.distance, loaded.has_text) == (0, "l2", has_text)
        loaded.upsert(batch_of(np.ones((1, 4), np.float32)))
        assert loaded.search_vector(np.ones(4), 1, loaded.select())[0].value == 0
