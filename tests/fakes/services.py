"""The API's services with a real store and catalog, and fakes for what other processes and disks do.

Belongs here: an event log that keeps its lines, a disk that is as full as the test says, SQL that nobody asks.
Not here: fakes that stand for a whole adapter in contract tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.parquet_footer import read_footer
from lakehouse.catalog.register import Registrar
from lakehouse.catalog.service import Catalog
from lakehouse.catalog.snapshot import CatalogWatcher
from lakehouse.errors import InsufficientStorage, LakehouseError
from lakehouse.ingest import Ingester
from lakehouse.ingest.pii import is_personal
from lakehouse.settings import Settings
from lakehouse_api.auth import make_authenticator
from lakehouse_api.limits import Gate
from lakehouse_api.metrics import Metrics
from lakehouse_api.services import Services, process_work_dir


@dataclass
class FakeEventLog:
    """Keeps what was appended; `failure` is raised instead."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failure: LakehouseError | None = None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        if self.failure is not None:
            raise self.failure
        self.lines.append((stream, dict(line)))
        return "run"

    def stats(self) -> dict[str, Any]:
        return {"depth_lines": len(self.lines), "depth_bytes": 0, "last_error": None}


@dataclass
class FakeDisk:
    """A disk in the state that the test gives it."""

    current: Literal["ok", "degraded", "full"] = "ok"

    def state(self) -> tuple[str, float]:
        return self.current, {"ok": 40.0, "degraded": 90.0, "full": 96.0}[self.current]

    def require_space(self) -> None:
        if self.current == "full":
            raise InsufficientStorage("the disk is 96 % full; writes are refused from 95 % on")


class FakeSql:
    """SQL that nobody asks."""

    async def start(self) -> None: ...

    async def warm(self) -> None: ...

    async def stop(self) -> None: ...

    def stats(self) -> dict[str, int]:
        return {"workers": 0, "limit": 1, "busy": 0, "killed": 0}


def services_with_fakes(settings: Settings) -> Services:
    """A composition for `create_app(compose=…)`."""
    objects = connect_store(settings)
    catalog = Catalog(objects, history=timedelta(days=settings.history_days))
    converter = ConversionProcess(settings)
    work_dir = process_work_dir(settings.data_dir)
    return Services(
        settings=settings,
        objects=objects,
        catalog=catalog,
        registrar=Registrar(objects, catalog, read_footer, lambda name: is_personal(name, ()), work_dir=work_dir),
        watcher=CatalogWatcher(objects, poll_s=settings.catalog_poll_s),
        converter=converter,
        ingester=Ingester(objects, catalog, converter, work_dir=work_dir),
        sql=FakeSql(),  # type: ignore[arg-type]
        events=FakeEventLog(),  # type: ignore[arg-type]
        disk=FakeDisk(),  # type: ignore[arg-type]
        auth=make_authenticator(settings),
        metrics=Metrics(),
        work_dir=work_dir,
        put_gate=Gate(settings.storage_puts_in_flight, "uploads"),
        ingest_gate=Gate(settings.ingest_in_flight, "ingests"),
    )
