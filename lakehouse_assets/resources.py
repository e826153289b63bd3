"""Resources: what assets, checks, jobs and sensors are given to work with.

Belongs here: `LakeStore`, which connects to the bucket on first use. Not here: what is done with it (see dataset.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from lakehouse.adapters.corpus_exports import CorpusExports
    from lakehouse.adapters.drift_desk import DriftDesk
    from lakehouse.adapters.evidence_index import EvidenceIndex
    from lakehouse.adapters.evidence_materializer import EvidenceMaterializer
    from lakehouse.adapters.fold_back import FoldBack
    from lakehouse.adapters.lance_tables import LanceTables
    from lakehouse.adapters.objects import S3Location, S3ObjectStore
    from lakehouse.adapters.replay_nightly import NightlyReplay
    from lakehouse.adapters.scored_days import ScoredDays
    from lakehouse.audit.contract import ApiAddress
    from lakehouse.catalog.service import Catalog
    from lakehouse.client.fold_back_memory import ClientMemory
    from lakehouse.ingest.ingester import Ingester
    from lakehouse.retrieval.live_table import LiveTable
    from lakehouse.settings import Settings


class LakeConnection:
    """The open parts of the lake for one process; each is made when it is first asked for."""

    def __init__(self, environ: dict[str, str] | None) -> None:
        self._environ = environ

    @cached_property
    def settings(self) -> Settings:
        """The settings: of the process, or those a test gave."""
        from lakehouse.settings import load_settings

        return load_settings() if self._environ is None else load_settings(self._environ, env_file=None)

    @cached_property
    def objects(self) -> S3ObjectStore:
        """The bucket."""
        from lakehouse.adapters.connect import connect_store

        return connect_store(self.settings)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog in the bucket."""
        from lakehouse.catalog.service import Catalog

        return Catalog(self.objects, history=timedelta(days=self.settings.history_days))

    @cached_property
    def tables(self) -> LanceTables:
        """The Lance tables of the bucket."""
        from lakehouse.adapters.lance_tables import LanceTables

        return LanceTables(self.objects.location, self.objects)

    def live_table(self, name: str) -> LiveTable:
        """What a table's pointer says, without opening its files.

        Raises:
            NotFound: There is no such table.
            BrokenPointer: The pointer is damaged.
        """
        from lakehouse.errors import NotFound
        from lakehouse.retrieval.live_pointer import LivePointer

        live = LivePointer(self.objects, name).read()
        if live is None:
            raise NotFound(f"there is no table {name!r}", name=name)
        return live

    @cached_property
    def work_dir(self) -> Path:
        """The local folder for files on their way."""
        work_dir = self.settings.data_dir / "tmp" / "dagster"
        work_dir.mkdir(parents=True, exist_ok=True)
        return work_dir

    @cached_property
    def ingester(self) -> Ingester:
        """The ingester that HTTP and the command line use, too."""
        from lakehouse.adapters.conversion import ConversionProcess
        from lakehouse.events import DiskWatch
        from lakehouse.ingest.ingester import Ingester

        settings = self.settings
        disk = DiskWatch([settings.data_dir], settings.disk_degraded_percent, settings.disk_refuse_percent)
        converter = ConversionProcess(settings)
        return Ingester(self.objects, self.catalog, converter, work_dir=self.work_dir, require_space=disk.require_space)

    @cached_property
    def evidence(self) -> EvidenceMaterializer:
        """What makes evidence of raw days."""
        from lakehouse.adapters.evidence_materializer import EvidenceMaterializer
        from lakehouse.events import DiskWatch

        settings = self.settings
        disk = DiskWatch([settings.data_dir], settings.disk_degraded_percent, settings.disk_refuse_percent)
        return EvidenceMaterializer(self.objects, work_dir=self.work_dir, require_space=disk.require_space)

    @cached_property
    def evidence_index(self) -> EvidenceIndex:
        """The index of evidence."""
        from lakehouse.adapters.evidence_index import EvidenceIndex
        from lakehouse.adapters.retracted_runs import RetractedRuns

        retracted = RetractedRuns(self.objects, self.read_location, work_dir=self.work_dir)
        return EvidenceIndex(self.objects, self.read_location, work_dir=self.work_dir, retracted=retracted)

    @cached_property
    def scored(self) -> ScoredDays:
        """The scores of runs."""
        from lakehouse.adapters.scored_days import ScoredDays

        return ScoredDays(self.objects, self.read_location, work_dir=self.work_dir)

    @cached_property
    def exports(self) -> CorpusExports:
        """The corpora that were built."""
        from lakehouse.adapters.corpus_exports import CorpusExports

        return CorpusExports(self.objects, self.read_location, work_dir=self.work_dir)

    @cached_property
    def drift(self) -> DriftDesk:
        """Drift against baselines."""
        from lakehouse.adapters.drift_desk import DriftDesk

        return DriftDesk(self.objects, self.read_location, self.tables, work_dir=self.work_dir)

    @cached_property
    def fold_back(self) -> FoldBack:
        """What folds accepted runs back into memory."""
        from lakehouse.adapters.fold_back import FoldBack

        return FoldBack(self.objects, self.read_location, work_dir=self.work_dir)

    @contextmanager
    def memory(self) -> Iterator[ClientMemory]:
        """The memory of the API of this installation, with its token."""
        from lakehouse.client import Client
        from lakehouse.client.fold_back_memory import ClientMemory

        api = self.api
        with Client(api.url, api.token) as client:
            yield ClientMemory(client)

    @property
    def api(self) -> ApiAddress:
        """Where the API of this installation would answer, with its token."""
        from lakehouse.audit.contract import ApiAddress
        from lakehouse.client.installation import api_url, find_token
        from lakehouse.settings import process_environ

        settings = self.settings
        token = find_token(settings, self._environ if self._environ is not None else process_environ())
        return ApiAddress(api_url(settings) + settings.root_path, token)

    @cached_property
    def nightly(self) -> NightlyReplay:
        """The replay of a night, and promotions."""
        from lakehouse.adapters.replay_nightly import NightlyReplay

        return NightlyReplay(self.settings, self.objects, self.read_location, work_dir=self.work_dir)

    @cached_property
    def read_location(self) -> S3Location:
        """Endpoint and keys that can only read, for engines."""
        from lakehouse.adapters.connect import read_location

        return read_location(self.settings)


class LakeStore(ConfigurableResource["LakeStore"]):
    """The lake as a resource; nothing is read or connected before the first use.

    Args:
        environ: Settings as environment variables, for tests; by default the process's own environment and `.env`.
    """

    environ: dict[str, str] | None = None
    _lake: LakeConnection | None = PrivateAttr(default=None)

    @property
    def lake(self) -> LakeConnection:
        """The connection of this process."""
        if self._lake is None:
            self._lake = LakeConnection(None if self.environ is None else dict(self.environ))
        return self._lake
