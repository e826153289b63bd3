"""Ingest for tests: a real `Ingester` with a real conversion child, and the rows of a version as DuckDB reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.conversion_child import convert
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Manifest
from lakehouse.catalog.service import Catalog
from lakehouse.clock import utc_now
from lakehouse.ingest import Ingester, IngestResult, make_options
from lakehouse.ingest.conversion import ConversionRequest, Converted, Converter
from lakehouse.settings import load_settings
from lakehouse.storage.objects import list_all


class DirectConversion:
    """Converts in this process, for tests of many files; otherwise what the child does."""

    def convert(self, request: ConversionRequest) -> Converted:
        return convert(request, threads=2)


class OvertakenConversion:
    """Converts as `inner` does, and lets another writer be done before this one goes on.

    Args:
        inner: The real converter.
        meanwhile: What the other writer does, once, after a conversion.
    """

    def __init__(self, inner: Converter, meanwhile: Callable[[], object]) -> None:
        self._inner = inner
        self._meanwhile: Callable[[], object] | None = meanwhile

    def convert(self, request: ConversionRequest) -> Converted:
        made = self._inner.convert(request)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return made


class IngestDesk:
    """Hands bytes to an `Ingester` and shows what came of them.

    Args:
        store: The bucket.
        folder: Where files are written on their way.
        is_direct: Without a child process.
        converter: One whose children serve other desks, too: it keeps nothing of a file. By default the desk's own.
    """

    def __init__(
        self,
        store: S3ObjectStore,
        folder: Path,
        *,
        is_direct: bool = False,
        converter: ConversionProcess | None = None,
    ) -> None:
        self.store = store
        self.folder = folder
        self.catalog = Catalog(store)
        self.now: datetime | None = None
        settings = load_settings({"LAKEHOUSE_DATA_DIR": str(folder / "data")}, env_file=None)
        self.converter = converter or ConversionProcess(settings)
        self.ingester = self.ingester_with(DirectConversion() if is_direct else self.converter)

    def ingester_with(self, converter: Converter) -> Ingester:
        """An `Ingester` on the same bucket that converts in another way."""
        return Ingester(
            self.store,
            self.catalog,
            converter,
            work_dir=self.folder / "work",
            clock=lambda: self.now or utc_now(),
        )

    def load(self, body: bytes | str, name: str = "d", *, file_name: str = "d.csv", **options: Any) -> IngestResult:
        """Ingest a body under a dataset's name."""
        source = self.folder / "source"
        source.write_bytes(body if isinstance(body, bytes) else body.encode())
        return self.load_file(source, name, file_name=file_name, **options)

    def load_file(self, path: Path, name: str = "d", *, file_name: str = "", **options: Any) -> IngestResult:
        """Ingest a file."""
        file_name = file_name or path.name
        self.ingester.prepare()
        made = make_options(file_name=file_name, **options)
        return self.ingester.ingest(path, name, made, actor="tester", file_name=file_name)

    def rows(self, name: str = "d", *, order: str = "ALL", version: int | None = None) -> list[tuple[Any, ...]]:
        """All rows of a dataset, sorted."""
        paths = self.files(self.catalog.get(name, version=version))
        return duckdb.sql(f"FROM read_parquet({paths}, union_by_name = true) ORDER BY {order}").fetchall()

    def column(self, name: str = "d") -> list[Any]:
        """The first column of a dataset with one file, in the file's order."""
        return [row[0] for row in duckdb.sql(f"FROM read_parquet({self.files(self.catalog.get(name))})").fetchall()]

    def files(self, manifest: Manifest) -> list[str]:
        """Local copies of a version's objects."""
        paths = []
        for number, data in enumerate(manifest.objects):
            local = self.folder / f"local-{number}.parquet"
            local.write_bytes(self.store.get(data.key).body)
            paths.append(str(local))
        return paths

    def types(self, name: str = "d") -> dict[str, str]:
        """Type by column of the live version."""
        return {c.name: c.type for c in self.catalog.get(name).columns}

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of the bucket."""
        return [info.key for info in list_all(self.store, prefix)]
