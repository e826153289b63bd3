"""An open corpus on the real store: it follows its table, and starts from a snapshot of its very version alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.adapters.corpora import Corpora
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.lance_text import build_text_index
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.open_corpus import OpenCorpus
from lakehouse.clock import new_id
from lakehouse.tables.corpus import corpus_schema

DIMENSION = 16
INFO = {"dimension": DIMENSION, "distance": "cosine", "embedder": "static"}


def rows(first: int, count: int, *, seed: int = 0) -> pa.Table:
    vectors = np.random.default_rng(seed + first).standard_normal((count, DIMENSION)).astype(np.float32)
    ids = [str(n) for n in range(first, first + count)]
    columns = [
        pa.array(ids),
        pa.array([new_id()] * count),
        pa.array([f"text {i}" for i in ids]),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIMENSION),
        pa.array(["{}"] * count),
        pa.nulls(count, pa.string()),
    ]
    return pa.table(columns, schema=corpus_schema(DIMENSION))


def nearest(corpus: OpenCorpus, vector: np.ndarray, k: int = 5) -> list[str]:  # type: ignore[type-arg]
    reader = corpus.reader
    return [hit.id for hit in reader.search_vector(vector, k, reader.select())]


def own_vector(table: pa.Table, position: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(table.column("vector").combine_chunks().flatten()).reshape(-1, DIMENSION)[position]


@pytest.fixture
def tables(objects: S3ObjectStore) -> LanceTables:
    return LanceTables(objects.location, objects)


def test_others_writes_deletes_and_rebuilds_are_followed(tables: LanceTables) -> None:
    mine = OpenCorpus(tables.create("c", corpus_schema(DIMENSION), info=INFO))
    theirs_table = tables.open("c")
    assert theirs_table is not None
    theirs = OpenCorpus(theirs_table)
    first, second = rows(0, 50), rows(50, 50)
    mine.upsert(first)
    theirs.follow()
    assert nearest(theirs, own_vector(first, 7))[0] == "7"
    theirs.upsert(second)  # on top of a version that it had to read
    mine.delete(["7"])
    theirs.follow()
    mine.follow()
    for corpus in (mine, theirs):
        assert len(corpus.reader.index) == 99
        assert nearest(corpus, own_vector(second, 3))[0] == "53"
        assert "7" not in nearest(corpus, own_vector(first, 7))
    replaced = rows(0, 10, seed=1000)
    mine.upsert(replaced)
    theirs.follow()
    assert nearest(theirs, own_vector(replaced, 4))[0] == "4"
    theirs_table.refresh()
    theirs_table.replace(iter(second.to_batches()))
    mine.follow()
    assert len(mine.reader.index) == 50


@pytest.mark.anyio
async def test_corpora_that_nobody_could_look_at_for_long_are_stale(tables: LanceTables) -> None:
    corpora = Corpora(tables, poll_s=0.1, hidden=frozenset())
    await corpora.create("c", INFO)
    assert not (await corpora.open("c")).is_stale
    corpora._looked_s = time.monotonic() - 11  # the follower hangs in a call to the store
    assert (await corpora.open("c")).is_stale
    assert corpora.stats()["c"]["stale"]
    corpora.start()
    while (await corpora.open("c")).is_stale:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(corpora.stop)


def test_own_write_that_the_follower_saw_first_is_taken_in_once(
    tables: LanceTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = OpenCorpus(tables.create("c", corpus_schema(DIMENSION), info=INFO))
    commit = mine.table.upsert

    def commit_and_look(table: pa.Table) -> int:
        version = commit(table)
        mine.follow()
        return version

    monkeypatch.setattr(mine.table, "upsert", commit_and_look)
    mine.upsert(first := rows(0, 50))
    stats = mine.reader.index.stats()
    assert (stats["rows"], stats["deleted"]) == (50, 0)
    assert nearest(mine, own_vector(first, 7))[0] == "7"


def test_snapshot_starts_the_next_one_and_an_old_or_damaged_one_is_not_used(
    tables: LanceTables, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    corpus = OpenCorpus(tables.create("c", corpus_schema(DIMENSION), info=INFO), snapshot=folder, quiet_s=0)
    batch = rows(0, 6000)
    corpus.upsert(batch)
    corpus.save_snapshot()
    assert (folder / "manifest.json").is_file()
    table = tables.open("c")
    assert table is not None
    again = OpenCorpus(table, snapshot=folder)
    assert again._saved == again._at
    assert nearest(again, own_vector(batch, 9))[0] == "9"
    more = rows(6000, 10)
    corpus.upsert(more)
    later = tables.open("c")
    assert later is not None
    newer = OpenCorpus(later, snapshot=folder)  # the snapshot is of an older version
    assert (newer._saved, len(newer.reader.index)) == (None, 6010)
    corpus.save_snapshot()
    (folder / "vectors.npy").write_bytes(b"damaged")
    mended = OpenCorpus(later, snapshot=folder)
    assert (mended._saved, len(mended.reader.index)) == (None, 6010)
    assert nearest(mended, own_vector(more, 3))[0] == "6003"


@pytest.mark.parametrize("is_indexed", [False, True])
def test_compaction_and_last_rows_that_go_are_followed_without_reading_everything(
    tables: LanceTables, is_indexed: bool
) -> None:
    mine = OpenCorpus(tables.create("c", corpus_schema(DIMENSION), info=INFO))
    table = tables.open("c")
    assert table is not None
    theirs = OpenCorpus(table)
    everything = rows(0, 50)
    mine.upsert(everything)
    table.refresh()
    if is_indexed:  # a compaction then moves rows under an index
        build_text_index(table)
    theirs.follow()
    index = theirs.reader.index
    for n in range(50, 56):
        mine.upsert(rows(n, 1))
    theirs.follow()
    mine.delete(["50", "3"])  # a fragment's only row, and one of many
    mine.upsert(rows(51, 1, seed=9))  # a fragment's only row, elsewhere now
    mine.upsert(rows(56, 1))
    table.refresh()
    table.optimize()
    mine.delete(["52"])
    mine.upsert(rows(57, 1))
    table.refresh()
    table.optimize()
    mine.upsert(rows(4, 1, seed=9))
    for corpus in (theirs, mine):
        corpus.follow()
        expected = {str(n) for n in range(58)} - {"3", "50", "52"}
        assert set(nearest(corpus, own_vector(everything, 3), 100)) == expected
        assert len(corpus.reader.index) == 55
        assert nearest(corpus, own_vector(rows(51, 1, seed=9), 0), 1) == ["51"]
        assert nearest(corpus, own_vector(rows(4, 1, seed=9), 0), 1) == ["4"]
        assert corpus.reader.revision == theirs.reader.revision
    assert theirs.reader.index is index  # what is there was brought up to date, not built anew
