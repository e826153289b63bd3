"""A builder as the settings describe it: the wiring that the command line and Dagster share.

Belongs here: what is opened from settings. Not here: the build (see corpus_builder.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakehouse.adapters.connect import store_location
from lakehouse.adapters.corpus_build import BuildContext, Calibrate
from lakehouse.adapters.corpus_builder import CorpusBuilder
from lakehouse.adapters.embedders import embedder_name, open_embedder
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.service import Catalog
from lakehouse.retrieval.embedding import Embedder, Vectors
from lakehouse.settings import Settings


class SettingsEmbedders:
    """Embedders of the settings; each is opened once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, Embedder] = {}

    def name_of(self, declared: str | None) -> str:
        """The name that a corpus stores, of the default embedder for None.

        Raises:
            BadInput: There is none; names those that there are.
        """
        return embedder_name(declared or self._settings.default_embedder, self._settings)

    def open(self, name: str) -> Embedder:
        """An embedder by the name that a corpus stores; raises as `open_embedder`."""
        if name not in self._open:
            self._open[name] = open_embedder(name, self._settings)
        return self._open[name]


def calibrate_relevance(vectors: Vectors, texts: Sequence[str], embedder: Embedder) -> dict[str, Any]:
    """See `lakehouse.retrieval.calibration.calibrate`, which stands on Arrow: loaded when it is called."""
    from lakehouse.retrieval.calibration import calibrate

    return calibrate(vectors, texts, embedder)


def open_builder(settings: Settings, *, calibrate: Calibrate | None = calibrate_relevance) -> CorpusBuilder:
    """A builder on the settings' bucket; nothing is asked of it yet."""
    location = store_location(settings)
    objects = S3ObjectStore(location)
    context = BuildContext(
        objects=objects,
        tables=LanceTables(location, objects),
        catalog=Catalog(objects, history=timedelta(days=settings.history_days)),
        embedders=SettingsEmbedders(settings),
        calibrate=calibrate,
    )
    return CorpusBuilder(context, work_dir=settings.data_dir / "tmp" / "corpora")
