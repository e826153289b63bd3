"""Chunks of retracted runs in corpora: their rows leave every corpus that chunks were loaded into, whatever its name.

Belongs here: finding and deleting rows. Not here: how chunks come into a corpus (see distilled_corpus.py), rows that
speak of a subject and are of no run (see erasure_sweep.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.words import Words
from lakehouse.counted import counted
from lakehouse.lineage.retracted import Place
from lakehouse.tables.memory import MEMORY_TABLES

if TYPE_CHECKING:
    from lakehouse.adapters.lance_table import LanceTable
    from lakehouse.adapters.objects import S3ObjectStore

_METADATA = "metadata"


def take_out_of_corpora(store: S3ObjectStore, runs: Sequence[str]) -> Iterator[Place]:
    """Delete the chunks of runs; gives each corpus that had some.

    Raises:
        StoreUnavailable: The store does not answer; doing it again goes on from here.
    """
    if not runs:
        return
    tables = LanceTables(store.location, store)
    for name in tables.names():
        table = None if name in MEMORY_TABLES else tables.open(name)
        if table is None or _METADATA not in table.schema.names:
            continue
        ids = list(_chunks_of(table, runs))
        if ids:
            table.delete(ids)
            yield Place(f"lance/{name}", f"had {counted(len(ids), 'chunk')} of it, deleted now")


def _chunks_of(table: LanceTable, runs: Sequence[str]) -> Iterator[str]:
    """Ids of rows whose metadata names one of the runs, and the raw line, as chunks do."""
    words, wanted = Words(None, runs), frozenset(runs)
    for batch in table.scan([table.live.key, _METADATA]):
        texts = [text or "" for text in batch.column(_METADATA).to_pylist()]
        ids = batch.column(table.live.key).to_pylist()
        for row_id, text, may_be in zip(ids, texts, words.are_in(texts), strict=True):
            if may_be:
                said = orjson.loads(text)
                if said.get("run_id") in wanted and "source_key" in said:
                    yield row_id
