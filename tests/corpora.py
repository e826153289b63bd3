"""Corpora for tests: a dataset whose rows are given, a declaration of it, a builder with embedders that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from lakehouse.adapters.corpus_build import BuildContext, Calibrate, OnProgress
from lakehouse.adapters.corpus_builder import CorpusBuilder
from lakehouse.adapters.corpus_report import BuildReport
from lakehouse.adapters.corpus_writer import CHUNK_ROWS
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.adapters.drift_reports import DriftReports
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column
from lakehouse.catalog.service import Catalog
from lakehouse.clock import utc_now
from lakehouse.drift.finding import Finding
from lakehouse.drift.report import DriftReport
from lakehouse.errors import BadInput
from lakehouse.retrieval.corpus import CorpusDeclaration
from lakehouse.retrieval.corpus_document import Document, read_declaration
from tests.dagster_lake import commit, put_parquet
from tests.fakes.embedders import FakeEmbedder, InlineEmbedder

COLUMNS = {"id": "VARCHAR", "title": "VARCHAR", "tags": "VARCHAR", "email": "VARCHAR", "weight": "DOUBLE"}
MANIFEST_COLUMNS = tuple(Column(name, kind, pii=name == "email") for name, kind in COLUMNS.items())
NOTES: Mapping[str, Any] = {
    "name": "notes",
    "source": {"dataset": "notes"},
    "id": "id",
    "text": ["{title}", "Tags: {tags}"],
    "metadata": {"title": None, "tags": {"split": ","}, "mail": {"column": "email"}, "weight": None},
    "embedder": "fake",
}


def declare(document: Mapping[str, Any] = NOTES, *, folder: Path = Path(), **changes: Any) -> CorpusDeclaration:
    """A declaration, some of its keys changed."""
    return read_declaration(Document({**document, **changes}, file="corpora/notes.yaml"), folder=folder)


def drifted(objects: S3ObjectStore, corpus: str) -> DriftGate:
    """Leave a report that says for sure that a corpus's vectors are others; gives the gate that it shuts."""
    moved = Finding(corpus, "vectors", "cliffs_delta", 0.0, 0.9, 99, 99, effect=0.9, p_value=1e-9, verdict="drift")
    report = DriftReport(
        "embedding", date(2026, 3, 5), utc_now(), "drift-2", 1, "drift", (moved,), confirmed_by="days",
        confirmed=(moved.key,),
    )  # fmt: skip
    DriftReports(objects, draw=orjson.dumps).publish(report)
    return DriftGate(objects)


def row(number: int, *, title: str | None = None, **changes: Any) -> dict[str, Any]:
    """A row of the dataset."""
    made = {"id": f"n{number}", "title": title or f"note number {number}", "tags": f"a, t{number % 3}"}
    return {**made, "email": f"n{number}@example.org", "weight": number / 2, **changes}


def rows(*numbers: int) -> list[dict[str, Any]]:
    """Several of them."""
    return [row(number) for number in numbers]


class CountingEmbedders:
    """The fakes by name; a test looks at what was embedded."""

    def __init__(self) -> None:
        self.fakes: dict[str, FakeEmbedder] = {"fake": FakeEmbedder(), "other": InlineEmbedder("other", 16)}
        self.opened: list[str] = []

    def name_of(self, declared: str | None) -> str:
        name = declared or "fake"
        if name not in self.fakes:
            raise BadInput(f"there is no embedder {name!r}")
        return name

    def open(self, name: str) -> FakeEmbedder:
        self.opened.append(name)
        return self.fakes[name]

    @property
    def embedded(self) -> list[str]:
        """Every text so far, in order."""
        return [text for fake in self.fakes.values() for call in fake.calls for text in call]


class CorpusDesk:
    """A builder on a test's bucket.

    Args:
        objects: The bucket.
        folder: For files on their way.
    """

    def __init__(self, objects: S3ObjectStore, folder: Path) -> None:
        self.objects = objects
        self.folder = folder
        self.embedders = CountingEmbedders()
        self.context = BuildContext(
            objects, LanceTables(objects.location, objects), Catalog(objects), self.embedders, calibrate=None
        )

    def put_rows(self, given: Sequence[Mapping[str, Any]], *, name: str = "notes") -> None:
        """Make the dataset's next version, in two files where there are enough rows."""
        half = len(given) // 2
        parts = [given[:half], given[half:]] if half else [given]
        files = [put_parquet(self.objects, name, COLUMNS, [tuple(r[c] for c in COLUMNS) for r in p]) for p in parts]
        commit(self.objects, name, MANIFEST_COLUMNS, *files)

    def build(
        self,
        declaration: CorpusDeclaration | None = None,
        *,
        part: int = 0,
        is_full: bool = False,
        on_progress: OnProgress = lambda _: None,
        calibrate: Calibrate | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> BuildReport:
        """Build, with an embedder that starts to count anew."""
        for fake in self.embedders.fakes.values():
            fake.calls.clear()
        self.embedders.opened.clear()
        context = replace(self.context, calibrate=calibrate, chunk_rows=chunk_rows)
        builder = CorpusBuilder(context, work_dir=self.folder / "work")
        return builder.build(declaration or declare(), part=part, is_full=is_full, on_progress=on_progress)

    def table(self, name: str = "notes") -> LanceTable:
        """The table as any process opens it."""
        table = LanceTables(self.objects.location, self.objects).open(name)
        assert table is not None
        return table

    def stored(self, name: str = "notes") -> dict[str, dict[str, Any]]:
        """What serves: by id the row, its metadata read."""
        found = {}
        for batch in self.table(name).scan():
            for stored in batch.to_pylist():
                assert stored["id"] not in found
                found[stored["id"]] = {**stored, "metadata": orjson.loads(stored["metadata"])}
        return found
