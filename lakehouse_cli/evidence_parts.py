"""What the commands on evidence work with, made of the settings.

Belongs here: constructors. Not here: options and output (see evidence_commands.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.adapters.corpus_exports import CorpusExports
    from lakehouse.adapters.drift_desk import DriftDesk
    from lakehouse.adapters.evidence_index import EvidenceIndex
    from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
    from lakehouse.adapters.fold_back import FoldBack
    from lakehouse.adapters.objects import S3Location, S3ObjectStore
    from lakehouse.adapters.scored_days import ScoredDays
    from lakehouse.client.fold_back_memory import ClientMemory
    from lakehouse.settings import Settings


class EvidenceParts:
    """The parts of this installation's evidence; each is made when it is first asked for."""

    @cached_property
    def settings(self) -> Settings:
        """The settings."""
        from lakehouse_cli.reading_settings import read_settings

        return read_settings()

    @cached_property
    def objects(self) -> S3ObjectStore:
        """The bucket."""
        from lakehouse.adapters.connect import connect_store

        return connect_store(self.settings)

    @cached_property
    def location(self) -> S3Location:
        """The bucket for engines."""
        from lakehouse.adapters.connect import read_location

        return read_location(self.settings)

    @cached_property
    def work_dir(self) -> Path:
        """Where files lie on their way."""
        return self.settings.data_dir / "tmp" / "cli"

    @property
    def run(self) -> RunFacts:
        """Who does it, for receipts."""
        from importlib.metadata import version

        from lakehouse.adapters.evidence_materializer import RunFacts
        from lakehouse.clock import new_id

        return RunFacts(new_id(), f"lakehouse-{version('lakehouse')}")

    @cached_property
    def materializer(self) -> EvidenceMaterializer:
        """What makes evidence of raw days."""
        from lakehouse.adapters.evidence_materializer import EvidenceMaterializer
        from lakehouse.events import DiskWatch

        settings = self.settings
        disk = DiskWatch([settings.data_dir], settings.disk_degraded_percent, settings.disk_refuse_percent)
        return EvidenceMaterializer(self.objects, work_dir=self.work_dir, require_space=disk.require_space)

    @cached_property
    def index(self) -> EvidenceIndex:
        """The index of evidence."""
        from lakehouse.adapters.evidence_index import EvidenceIndex
        from lakehouse.adapters.retracted_runs import RetractedRuns

        retracted = RetractedRuns(self.objects, self.location, work_dir=self.work_dir)
        return EvidenceIndex(self.objects, self.location, work_dir=self.work_dir, retracted=retracted)

    @cached_property
    def scored(self) -> ScoredDays:
        """The scores."""
        from lakehouse.adapters.scored_days import ScoredDays

        return ScoredDays(self.objects, self.location, work_dir=self.work_dir)

    @cached_property
    def exports(self) -> CorpusExports:
        """The corpora that were built."""
        from lakehouse.adapters.corpus_exports import CorpusExports

        return CorpusExports(self.objects, self.location, work_dir=self.work_dir)

    @cached_property
    def drift(self) -> DriftDesk:
        """Drift against baselines."""
        from lakehouse.adapters.drift_desk import DriftDesk
        from lakehouse.adapters.lance_tables import LanceTables

        tables = LanceTables(self.objects.location, self.objects)
        return DriftDesk(self.objects, self.location, tables, work_dir=self.work_dir)

    @cached_property
    def fold_back(self) -> FoldBack:
        """What folds accepted runs back into memory."""
        from lakehouse.adapters.fold_back import FoldBack

        return FoldBack(self.objects, self.location, work_dir=self.work_dir)

    @contextmanager
    def memory(self) -> Iterator[ClientMemory]:
        """The memory of this installation's API."""
        from lakehouse.client import Client
        from lakehouse.client.fold_back_memory import ClientMemory

        with Client() as client:
            yield ClientMemory(client)
