"""One build of one part of a corpus: from the rows of the last build to the version that serves.

Belongs here: the steps. Not here: what a build promises (see corpus_builder.py), each step's own rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lakehouse.adapters.build_heartbeat import EVERY_S, heartbeat
from lakehouse.adapters.corpus_quarantine import CorpusQuarantine
from lakehouse.adapters.corpus_report import BuildProgress, BuildReport
from lakehouse.adapters.corpus_source import CorpusSource
from lakehouse.adapters.corpus_vectors import (
    StoredRows,
    VectorSource,
    carried_over,
    read_stored,
    token_lengths,
)
from lakehouse.adapters.corpus_writer import CHUNK_ROWS, DraftWriter
from lakehouse.adapters.lance_draft import LanceDraft, open_draft
from lakehouse.adapters.lance_search import matrix_of
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.catalog.service import Catalog
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, Conflict
from lakehouse.retrieval.build_plan import CHANGED, NEW, UNCHANGED, KnownRows
from lakehouse.retrieval.chunking import word_lengths
from lakehouse.retrieval.corpus import CorpusDeclaration, part_names
from lakehouse.retrieval.corpus_info import KIND, describe
from lakehouse.retrieval.corpus_rows import RowMaker
from lakehouse.retrieval.embedding import Embedder, Vectors
from lakehouse.storage.objects import ObjectStore
from lakehouse.tables.corpus import corpus_schema

HASHES = ("id", "content_hash")
DELETE_ROWS = 10_000
CALIBRATION_ROWS = 2_000
RECALIBRATE_SHARE = 0.1
OnProgress = Callable[[BuildProgress], None]
Calibrate = Callable[[Vectors, Sequence[str], Embedder], dict[str, Any]]


class Embedders(Protocol):
    """Embedders by the names that declarations use."""

    def name_of(self, declared: str | None) -> str:
        """The name that a corpus stores, of the default embedder for None; opens nothing."""
        ...

    def open(self, name: str) -> Embedder: ...


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What builds of one bucket work with.

    `calibrate` makes a calibration of scores from some rows' vectors, their texts and the embedder; the table's info
    keeps it. `chunk_rows` rows are committed at a time, so a build that is killed loses no more than these. A build
    gives a sign of life, and looks whether it was overtaken, every `heartbeat_s`.
    """

    objects: ObjectStore
    tables: LanceTables
    catalog: Catalog
    embedders: Embedders
    calibrate: Calibrate | None = None
    chunk_rows: int = CHUNK_ROWS
    heartbeat_s: float = EVERY_S


class CorpusBuild:
    """One build of one part.

    Args:
        context: What it works with.
        declaration: The corpus.
        source: Its source as it is now.
        part: The number of the part.
        folder: For temporary files.
        on_progress: See `CorpusBuilder.build`.
    """

    def __init__(
        self,
        context: BuildContext,
        declaration: CorpusDeclaration,
        source: CorpusSource,
        *,
        part: int,
        folder: Path,
        on_progress: OnProgress,
    ) -> None:
        self._context = context
        self._declaration = declaration
        self._source = source
        self._number = part
        self._part = part_names(declaration.partitions)[part]
        self._embedder_name = self._name_of("embedder", declaration.embedder)
        self._reranker = declaration.rerank_embedder and self._name_of("rerank_embedder", declaration.rerank_embedder)
        self._fingerprint = declaration.fingerprint(self._embedder_name)
        self._quarantine = CorpusQuarantine(folder)
        self._on_progress = on_progress
        self._begun = time.monotonic()
        self._op_id = new_id()
        self._require_claim: Callable[[], None] = lambda: None
        self.progress = BuildProgress(total=source.total)

    def run(self, *, is_full: bool) -> BuildReport:
        """Build the part; see `CorpusBuilder.build`."""
        table = self._context.tables.open(self._declaration.name)
        if table is not None and table.info.get("kind") != KIND:
            raise Conflict(
                f"the table {self._declaration.name!r} is there and no declared corpus (its kind is"
                f" {table.info.get('kind')!r}); delete it, or declare the corpus under another name",
                name=self._declaration.name,
            )
        if not is_full and (report := self.remembered(table)) is not None:
            return report
        embedder = self._context.embedders.open(self._embedder_name)
        tag = f"{self._fingerprint}.{self._op_id}" if is_full else self._fingerprint
        info = self._describe(embedder.dimension)
        table = table or self._create(info)
        draft = open_draft(table, part=self._part, tag=tag, schema=corpus_schema(embedder.dimension))
        at, claim = self._context, draft.check_claim
        with heartbeat(
            at.objects, table.name, self._part, op_id=self._op_id, claim=claim, every_s=at.heartbeat_s
        ) as self._require_claim:
            self._fill(table, draft, embedder, is_full=is_full)
            return self._publish(table, draft, info, embedder)

    def remembered(self, table: LanceTable | None) -> BuildReport | None:
        """The report of a build without work, as source and declaration are unchanged; None when there is work."""
        if table is None:
            return None
        live = table.live
        built = live.info.get("built", {}).get(self._part)
        is_waiting = live.successor is not None and live.successor.tag == self._fingerprint
        if is_waiting:
            assert live.successor is not None
            built = live.successor.built.get(self._part)
        elif live.info.get("fingerprint") != self._fingerprint:
            return None
        if not built or built["source"] != self._source.fingerprint:
            return None
        if not is_waiting:
            info = self._describe(int(live.info["dimension"]))
            if any(live.info.get(key) != value for key, value in info.items()):
                table.change_info(lambda now: {**now, **info})
        self.progress.unchanged, self.progress.refused = built["rows"], built["refused"]
        return self._report(table, rows=built["rows"], is_changed=False, is_waiting=is_waiting, has_memo=True)

    def _describe(self, dimension: int) -> dict[str, Any]:
        return describe(
            self._declaration,
            embedder=self._embedder_name,
            rerank_embedder=self._reranker,
            dimension=dimension,
            columns=self._source.columns,
            personal=self._source.personal,
            fingerprint=self._fingerprint,
        )

    def _name_of(self, key: str, declared: str | None) -> str:
        try:
            return self._context.embedders.name_of(declared)
        except BadInput as error:
            raise BadInput(f"{self._declaration.file}: {key}: {error.detail}", key=key) from None

    def _create(self, info: dict[str, Any]) -> LanceTable:
        name = self._declaration.name
        with suppress(Conflict):  # another build is making it
            return self._context.tables.create(name, corpus_schema(info["dimension"]), info=info)
        table = self._context.tables.open(name)
        if table is None:
            raise Conflict(f"table {name!r} was dropped right after it was made; build again", name=name)
        return table

    def _fill(self, table: LanceTable, draft: LanceDraft, embedder: Embedder, *, is_full: bool) -> None:
        version = draft.version
        own = read_stored(draft.scan(HASHES), lambda at, columns: draft.take(version, at, columns), self._known())
        stored = [] if is_full else [own, *self._served(table, draft)]
        vectors = VectorSource(embedder, stored, on_embedded=self._embedded)
        maker = RowMaker(
            self._declaration,
            embedder=self._embedder_name,
            columns=self._source.columns,
            part=self._number,
            lengths=self._lengths(embedder),
        )
        there = set(self._source.columns)
        columns = [name for name in self._declaration.columns if name in there]
        with DraftWriter(draft, chunk_rows=self._context.chunk_rows) as writer:
            for batch in self._source.batches(columns):
                made = maker.make(batch)
                kinds = own.known.judge(made)
                for some, found in vectors.in_calls(made.pick(np.flatnonzero(kinds != UNCHANGED))):
                    writer.add(some.to_table(found, op_id=self._op_id))
                self._quarantine.take(made.refused)
                self._count(batch.count, kinds, reused=vectors.reused)
        gone = own.known.gone()
        for start in range(0, len(gone), DELETE_ROWS):
            some = draft.take(version, gone[start : start + DELETE_ROWS], ["id"])
            draft.delete(some.column("id").to_pylist())
        self.progress.deleted = len(gone)

    def _served(self, table: LanceTable, draft: LanceDraft) -> list[StoredRows]:
        """The rows that serve, where a successor may take over their vectors."""
        live, files = table.live, table.files
        if draft.successor is None or live.info.get("embedder") != self._embedder_name:
            return []
        if live.info.get("dimension") != draft.dimension:
            return []
        scan = files.scan(live.version, HASHES)
        return [read_stored(scan, lambda at, columns: files.take(live.version, at, columns), self._known())]

    def _known(self) -> KnownRows:
        is_chunked = self._declaration.chunking is not None
        return KnownRows(parts=self._declaration.partitions, part=self._number, is_chunked=is_chunked)

    def _lengths(self, embedder: Embedder) -> Callable[[Sequence[str]], Sequence[int]]:
        chunking = self._declaration.chunking
        return token_lengths(embedder) if chunking is not None and chunking.unit == "tokens" else word_lengths

    def _embedded(self, rows: int) -> None:
        self.progress.embedded += rows
        self._tell()
        self._require_claim()

    def _count(self, seen: int, kinds: Any, *, reused: int) -> None:
        self.progress.seen += seen
        self.progress.new += int((kinds == NEW).sum())
        self.progress.changed += int((kinds == CHANGED).sum())
        self.progress.unchanged += int((kinds == UNCHANGED).sum())
        self.progress.reused = reused
        self.progress.refused = self._quarantine.count
        self._tell()

    def _tell(self) -> None:
        self.progress.seconds = time.monotonic() - self._begun
        self._on_progress(self.progress)

    def _publish(self, table: LanceTable, draft: LanceDraft, info: dict[str, Any], embedder: Embedder) -> BuildReport:
        key = self._quarantine.store(self._context.objects, f"{self._declaration.name}-{self._op_id}", now=utc_now())
        done, before = self.progress, str(table.info.get("embedder"))
        rows = done.new + done.changed + done.unchanged
        is_much = done.new + done.changed + done.deleted > RECALIBRATE_SHARE * draft.rows
        if self._context.calibrate is not None and draft.rows and (is_much or "calibration" not in table.info):
            info = {**info, "calibration": self._calibration(draft, embedder)}
        built = {
            "source": self._source.fingerprint,
            "source_rows": done.seen,
            "rows": rows,
            "refused": done.refused,
            "op_id": self._op_id,
        }
        live = draft.publish(
            info, built, parts=self._declaration.partitions, adapt=lambda rows: carried_over(rows, embedder, before)
        )
        is_waiting = live.uri != draft.uri
        return self._report(table, rows=rows, is_changed=draft.is_changed, is_waiting=is_waiting, quarantine_key=key)

    def _calibration(self, draft: LanceDraft, embedder: Embedder) -> dict[str, Any]:
        assert self._context.calibrate is not None
        positions = np.unique(np.linspace(0, draft.rows - 1, CALIBRATION_ROWS).astype(np.int64))
        sample = draft.take(draft.version, positions, ["text", "vector"])
        texts: list[str] = [text or "" for text in sample.column("text").to_pylist()]
        return self._context.calibrate(matrix_of(sample.column("vector")), texts, embedder)

    def _report(self, table: LanceTable, *, rows: int, is_changed: bool, **more: Any) -> BuildReport:
        self._tell()
        live = table.live
        return BuildReport(
            corpus=self._declaration.name,
            part=self._part,
            embedder=self._embedder_name,
            dimension=int(live.info["dimension"]),
            progress=self.progress,
            rows=rows,
            version=live.version,
            revision=live.revision,
            uri=live.uri,
            fragments=live.fragments,
            is_changed=is_changed,
            inputs=self._source.items,
            fingerprint=self._fingerprint,
            source_fingerprint=self._source.fingerprint,
            **more,
        )
