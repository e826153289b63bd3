"""The meter of embeddings: a sample of each corpus, taken by the hash of ids, against the sample of a baseline.

Belongs here: which corpora, sampling, samples as Parquet. Not here: the comparison (see lakehouse/drift/embedding.py).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.adapters.lance_search import matrix_of
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.embedding import MOST_ROWS, Sample, compare_samples
from lakehouse.drift.finding import Finding
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.rule_file import DriftRules

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("id", "content_hash", "vector")
_TEXT_DIGITS = 32
"""The first half of a `content_hash` is of the row's text under its embedder."""
_MEMORY = "memory"
MOST_CORPORA = 50


@dataclass(frozen=True, slots=True)
class VectorsMeter:
    """Measures embeddings.

    Args:
        tables: The tables of the bucket.
        rules: Samples, floors.
    """

    tables: LanceTables
    rules: DriftRules

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """A sample of every corpus as it is now; a table remembers no days."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        samples = self._samples()
        path = folder / "vectors.parquet"
        rows = [_table(corpus, sample) for corpus, sample in samples.items()]
        pq.write_table(pa.concat_tables(rows) if rows else _schema().empty_table(), path)
        data = {name: {"embedder": one.embedder, "rows": len(one.ids)} for name, one in samples.items()}
        return Taken({"corpora": data}, sum(len(one.ids) for one in samples.values()), path)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the corpora of now with the samples of a baseline."""
        assert file is not None  # `take` writes one
        before = _read(file)
        findings: list[Finding] = []
        details: dict[str, Any] = {}
        now = self._samples()
        for corpus in sorted(before.keys() & now.keys()):
            compared = compare_samples(corpus, before[corpus], now[corpus], self.rules)
            findings += compared.findings
            details[corpus] = compared.details
        told = {
            "corpora": details,
            "new": sorted(now.keys() - before.keys()),
            "gone": sorted(before.keys() - now.keys()),
        }
        reason = "" if findings else "no corpus of the baseline is there any more"
        return Comparison(tuple(findings), told, reason=reason)

    def _samples(self) -> dict[str, Sample]:
        made = {}
        for name in self.tables.names():
            table = self.tables.open(name)
            if table is not None and table.info.get("kind") != _MEMORY and _has_vectors(table):
                made[name] = _sample(table)
            if len(made) == MOST_CORPORA:
                break
        return {name: sample for name, sample in made.items() if sample.ids}


def _has_vectors(table: LanceTable) -> bool:
    return {"id", "vector"} <= set(table.schema.names)


def _sample(table: LanceTable) -> Sample:
    """The rows whose ids have the smallest hashes: the same rows every time, whatever else comes or goes."""
    names = [name for name in _COLUMNS[:2] if name in table.schema.names]
    chosen: list[tuple[int, str, str]] = []
    for batch in table.scan(names):
        hashes = batch.column("content_hash").to_pylist() if len(names) > 1 else [None] * batch.num_rows
        for id_, text in zip(batch.column("id").to_pylist(), hashes, strict=True):
            rank = int.from_bytes(hashlib.blake2b(str(id_).encode(), digest_size=8).digest())
            entry = (-rank, str(id_), str(text or "")[:_TEXT_DIGITS])
            if len(chosen) < MOST_ROWS:
                heapq.heappush(chosen, entry)
            elif entry > chosen[0]:
                heapq.heapreplace(chosen, entry)
    texts = {id_: text for _, id_, text in chosen}
    rows = table.take_ids(sorted(texts), ["id", "vector"])
    rows = rows.filter(rows.column("vector").is_valid()).sort_by("id")
    ids = tuple(str(id_) for id_ in rows.column("id").to_pylist())
    # Rows that no build made have no hash; each then stands for itself.
    told = tuple(texts[id_] or f"id {id_}" for id_ in ids)
    vectors = np.asarray(matrix_of(rows.column("vector")), np.float32) if ids else np.zeros((0, 1), np.float32)
    return Sample(str(table.info.get("embedder") or ""), ids, told, vectors)


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [("corpus", pa.string()), ("embedder", pa.string()), ("id", pa.string()), ("text", pa.string()),
         ("vector", pa.list_(pa.float32()))]
    )  # fmt: skip


def _table(corpus: str, sample: Sample) -> pa.Table:
    import pyarrow as pa

    count = len(sample.ids)
    columns: Mapping[str, Any] = {
        "corpus": [corpus] * count, "embedder": [sample.embedder] * count, "id": list(sample.ids),
        "text": list(sample.texts), "vector": list(sample.vectors),
    }  # fmt: skip
    return pa.table(columns, schema=_schema())


def _read(path: Path) -> dict[str, Sample]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(path)
    made = {}
    for corpus in sorted(set(rows.column("corpus").to_pylist())):
        part = rows.filter(pc.equal(rows.column("corpus"), corpus))
        vectors = np.stack([np.asarray(one, np.float32) for one in part.column("vector").to_numpy()])
        ids, texts = (tuple(part.column(name).to_pylist()) for name in ("id", "text"))
        made[corpus] = Sample(part.column("embedder")[0].as_py(), ids, texts, vectors)
    return made
