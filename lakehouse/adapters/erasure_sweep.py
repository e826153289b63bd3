"""A sweep through the whole bucket for words that must be erased, in places that no index points to.

| below | what becomes of it |
| --- | --- |
| `quarantine/` but that of evidence and scores | `{"erased": <SHA-256 of the line>}` stands in the line's place |
| `audits/reviews/`, `audits/triage/`, other reports | the words are blotted out |
| `evidence/`, `scored/fold_back/` | files that serve no more, and that have them, are removed |
| all else, vectors of corpora included | is reported with the number of hits, and left to the operator |

Raw lines, evidence, scores, builds and memory are erased elsewhere (see erasure.py, memory_erasure.py).

Belongs here: looking for words, and removing those that can be removed in place. Not here: the order (see erasure.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from lakehouse.adapters.evidence_lake import open_lake, root_of
from lakehouse.adapters.evidence_materializer import TABLE as EVIDENCE_TABLES
from lakehouse.adapters.fold_back import TABLE as FOLD_BACK
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.counted import counted
from lakehouse.errors import NotFound, PreconditionFailed
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.lineage.answer import erased_line
from lakehouse.lineage.retracted import Place
from lakehouse.query.quoting import quote_text
from lakehouse.storage.lines import lines_of
from lakehouse.storage.objects import list_all
from lakehouse.tables.memory import MEMORY_TABLES

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.words import Words
    from lakehouse.storage.objects import ObjectInfo

_OTHERS = (
    "raw/", "evidence/", "quarantine/evidence/", "quarantine/scored/", "scored/", "catalog/", "receipts/", "log/",
    "lance/",
)  # fmt: skip
_BLOTTED = "audits/"
_TEXTS = (".json", ".jsonl", ".ndjson", ".md", ".txt", ".csv", ".tsv", ".yaml", ".yml", ".html", ".diff")
_MOST_BLOTTED_BYTES = 64 << 20
_TEXT_TYPES = ("string", "large_string", "string_view")
_OF_BEFORE = ("scored/fold_back/", *(f"evidence/{stream}/" for stream in TRANSFORMS))
_LINES_AT_ONCE = 2_000
_READ = 1 << 20
_SHOWN = 5


class Sweep:
    """Looks for words in one bucket, and in folders of this host.

    Args:
        store: The bucket.
        words: What is looked for.
        work_dir: Local folder for temporary files.
        local: Folders of this host: spools, logs.
    """

    def __init__(self, store: S3ObjectStore, words: Words, *, work_dir: Path, local: Sequence[Path] = ()) -> None:
        self._store = store
        self._words = words
        self._work_dir = work_dir
        self._local = local

    def run(self) -> Iterator[Place]:
        """Remove what can be removed, and report the rest.

        Raises:
            StoreUnavailable: The store does not answer; doing it again goes on from here.
        """
        parquet = []
        for info in list(list_all(self._store, "")):
            if info.key.startswith(_OTHERS):
                continue
            if info.key.endswith(".parquet"):
                parquet.append(info.key)
            elif info.key.endswith(_TEXTS):
                yield from self._in_text(info)
        for key, rows in self._in_parquet(parquet):
            yield Place(key, f"has it in {rows}: remove it there", is_open=True)
        yield from self._of_before()
        yield from self._in_corpora()
        yield from self._on_this_host()

    def _in_text(self, info: ObjectInfo) -> Iterator[Place]:
        is_report = info.key.startswith(_BLOTTED)
        lines = list(self._lines(info.key, self._words.of_subject if is_report else self._words))
        if not lines:
            return
        if info.key.startswith("quarantine/") and self._erase_lines(info.key):
            yield from (Place(f"{info.key}:{number}", "was erased", sha256) for number, sha256 in lines)
        elif is_report and info.size <= _MOST_BLOTTED_BYTES and self._blot(info.key):
            yield Place(info.key, f"had it in {counted(len(lines), 'line')}; the words were blotted out")
        else:
            told = ", ".join(str(number) for number, _ in lines[:_SHOWN])
            more = f" and {len(lines) - _SHOWN:,} more" if len(lines) > _SHOWN else ""
            yield Place(info.key, f"has it in line {told}{more}: remove it there", is_open=True)

    def _lines(self, key: str, words: Words) -> Iterator[tuple[int, str]]:
        """The lines of an object that words are in: number and SHA-256."""
        try:
            with self._store.open(key) as reader:
                lines = (line.removesuffix(b"\n") for line in lines_of(reader.chunks()))
                number = 0
                while some := list(islice(lines, _LINES_AT_ONCE)):
                    yield from _judged(some, number, words)
                    number += len(some)
        except NotFound:
            return

    def _erase_lines(self, key: str) -> bool:
        stored = self._store.get(key)
        lines = stored.body.split(b"\n")
        meant = self._words.are_in(lines)
        kept = [
            erased_line(hashlib.sha256(line).hexdigest()) if is_meant else line
            for line, is_meant in zip(lines, meant, strict=True)
        ]
        return self._swap(key, b"\n".join(kept), stored.info.etag)

    def _blot(self, key: str) -> bool:
        """Blot out a subject's words; ids of runs stay, as they say nothing about a person."""
        stored = self._store.get(key)
        blotted = self._words.blotted(stored.body.decode(errors="replace"))
        return self._swap(key, blotted.encode(), stored.info.etag)

    def _swap(self, key: str, body: bytes, etag: str) -> bool:
        try:
            self._store.put(key, body, if_match=etag)
        except (PreconditionFailed, NotFound):
            return False
        return True

    def _in_parquet(self, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Files that have the words, or cannot be read, with how many rows have them."""
        location = self._store.location
        with scratch_folder(self._work_dir, "sweep-") as folder, open_lake(location, folder) as engine:
            for key in keys:
                source = f"read_parquet([{quote_text(root_of(location) + key)}], hive_partitioning = false)"
                condition = self._words.condition("to_json(one)::VARCHAR")
                try:
                    row = engine.execute(f"SELECT count(*) FROM {source} one WHERE {condition}").fetchone()
                except duckdb.Error as error:
                    yield key, f"rows that cannot be read ({str(error)[:100]})"
                    continue
                if row and row[0]:
                    yield key, counted(row[0], "row")

    def _of_before(self) -> Iterator[Place]:
        """Files of evidence and of fold-back that no longer serve; versions that are kept may name them."""
        tables = [FOLD_BACK, *(EVIDENCE_TABLES + stream for stream in TRANSFORMS)]
        manifests = [PartitionedTable(self._store, table).read() for table in tables]
        named = {file.key for one in manifests for partition in one.partitions.values() for file in partition.files}
        keys = [info.key for prefix in _OF_BEFORE for info in list_all(self._store, prefix)]
        for key, _ in list(self._in_parquet([key for key in keys if key not in named])):
            self._store.delete(key)
            yield Place(key, "served no more, and was removed")

    def _in_corpora(self) -> Iterator[Place]:
        tables = LanceTables(self._store.location, self._store)
        for name in tables.names():
            table = None if name in ("pathways", "playbooks") else tables.open(name)
            if table is None:
                continue
            texts = [field.name for field in table.schema if str(field.type) in _TEXT_TYPES]
            ids: list[str] = []
            for batch in table.scan(texts):
                rows = ["\n".join(str(value) for value in row.values()) for row in batch.to_pylist()]
                keys = batch.column(table.live.key).to_pylist()
                ids += [key for key, is_meant in zip(keys, self._words.are_in(rows), strict=True) if is_meant]
            if ids:
                shown = ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else "")
                what = "table" if name in MEMORY_TABLES else "corpus"
                yield Place(f"lance/{name}", f"{what} has it in {shown}: delete them, then compact it", is_open=True)

    def _on_this_host(self) -> Iterator[Place]:
        files = (path for folder in self._local for path in sorted(folder.rglob("*")) if path.is_file())
        for path in files:
            if path.suffix not in (*_TEXTS, ".log"):
                continue
            try:
                with path.open("rb") as stream:
                    count = sum(sum(self._words.are_in(lines)) for lines in iter(lambda: stream.readlines(_READ), []))
            except OSError:
                continue  # shipped meanwhile
            if count:
                what = "not shipped yet, or of a log: erase again when that is shipped"
                yield Place(str(path), f"{counted(count, 'line')} of it, {what}", is_open=True)


def _judged(lines: Sequence[bytes], before: int, words: Words) -> Iterator[tuple[int, str]]:
    for number, (line, is_meant) in enumerate(zip(lines, words.are_in(lines), strict=True), start=before + 1):
        if is_meant:
            yield number, hashlib.sha256(line).hexdigest()
