"""The meter of embeddings: a sample of each corpus, taken by the hash of ids, against the sample of a baseline.

Belongs here: which corpora, sampling, samples as Parquet. Not here: the comparison (see lakehouse/drift/embedding.py).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.adapters.lance_search import matrix_of
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.embedding import MOST_CORPORA, MOST_ROWS, Sample, compare_samples, rows_of
from lakehouse.drift.finding import Finding
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.rule_file import DriftRules

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("id", "content_hash", "vector")
_TEXT_DIGITS = 32
"""The first half of a `content_hash` is of the row's text under its embedder."""
_MEMORY = "memory"
_MOST_TOLD = 20


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
        """A sample of every corpus as it is now, whatever the days: tables keep no history by day."""
        import pyarrow.parquet as pq

        path, data, rows = folder / "vectors.parquet", {}, 0
        corpora = self._corpora()
        most_rows = rows_of(len(corpora))
        with pq.ParquetWriter(path, _schema()) as writer:
            for corpus in corpora[:MOST_CORPORA]:
                sample = self._sample(corpus, most_rows)
                if sample is not None:
                    writer.write_table(_table(corpus, sample), row_group_size=MOST_ROWS)
                    data[corpus] = {"embedder": sample.embedder, "rows": len(sample.ids)}
                    rows += len(sample.ids)
        return Taken({"corpora": data}, rows, path)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the corpora of now with the samples of a baseline, one after the other."""
        assert file is not None  # `take` writes one
        findings: list[Finding] = []
        details: dict[str, Any] = {}
        gone: list[str] = []
        corpora = self._corpora()
        for corpus, before in _read(file):
            now = self._sample(corpus, rows_of(len(corpora)))
            if now is None:
                gone.append(corpus)
                continue
            compared = compare_samples(corpus, before, now, self.rules)
            findings += compared.findings
            details[corpus] = compared.details
        new = sorted(set(corpora) - details.keys() - set(gone))
        reason = "" if findings else "no corpus of the baseline is there any more"
        findings += _unseen(new)
        return Comparison(tuple(findings), {"corpora": details, "new": new, "gone": gone}, reason=reason)

    def _corpora(self) -> list[str]:
        """Names of the tables that hold vectors of texts, in order."""
        named = ((name, self.tables.open(name)) for name in self.tables.names())
        return sorted(name for name, table in named if table is not None and _has_vectors(table))

    def _sample(self, corpus: str, most_rows: int) -> Sample | None:
        table = self.tables.open(corpus)
        sample = None if table is None or not _has_vectors(table) else _sample(table, most_rows)
        return sample if sample is not None and sample.ids else None


def _has_vectors(table: LanceTable) -> bool:
    return table.info.get("kind") != _MEMORY and {"id", "vector"} <= set(table.schema.names)


def _unseen(names: Sequence[str]) -> list[Finding]:
    """Tells of corpora that the baseline has no sample of: they are younger, or one too many for it."""
    if not names:
        return []
    some = ", ".join(names[:_MOST_TOLD]) + (f" and {len(names) - _MOST_TOLD:,} more" if len(names) > _MOST_TOLD else "")
    note = f"not in the baseline, so not looked at: {some}; a new baseline takes in the first {MOST_CORPORA} by name"
    count = len(names)
    return [Finding("", "unseen_corpora", "moved_share", None, float(count), 0, count, verdict="notice", note=note)]


def _sample(table: LanceTable, most_rows: int) -> Sample:
    """The rows whose ids have the smallest hashes: the same rows every time, whatever else comes or goes."""
    names = [name for name in _COLUMNS[:2] if name in table.schema.names]
    chosen: list[tuple[int, str, str]] = []
    for batch in table.scan(names):
        hashes = batch.column("content_hash").to_pylist() if len(names) > 1 else [None] * batch.num_rows
        for id_, text in zip(batch.column("id").to_pylist(), hashes, strict=True):
            rank = int.from_bytes(hashlib.blake2b(str(id_).encode(), digest_size=8).digest())
            entry = (-rank, str(id_), str(text or "")[:_TEXT_DIGITS])
            if len(chosen) < most_rows:
                heapq.heappush(chosen, entry)
            elif entry > chosen[0]:
                heapq.heapreplace(chosen, entry)
    texts = {id_: text for _, id_, text in chosen}
    rows = table.take_ids(sorted(texts), ["id", "vector"])
    rows = rows.filter(rows.column("vector").is_valid()).sort_by("id")
    ids = tuple(str(id_) for id_ in rows.column("id").to_pylist())
    # Rows that no build made have no content hash; their id is used instead.
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


def _read(path: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a baseline by corpus: a row group holds one."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            part = file.read_row_group(number)
            vectors = np.stack([np.asarray(one, np.float32) for one in part.column("vector").to_numpy()])
            ids, texts = (tuple(part.column(name).to_pylist()) for name in ("id", "text"))
            yield part.column("corpus")[0].as_py(), Sample(part.column("embedder")[0].as_py(), ids, texts, vectors)
