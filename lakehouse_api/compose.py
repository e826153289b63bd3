"""The composition of the API: which adapter serves which capability.

Belongs here: constructors and the settings they take. Not here: opening and closing (see services.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from lakehouse.adapters.connect import connect_store, read_location
from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.parquet_footer import read_footer
from lakehouse.adapters.sql_pool import SqlPool
from lakehouse.catalog.register import Registrar
from lakehouse.catalog.service import Catalog
from lakehouse.catalog.snapshot import CatalogWatcher
from lakehouse.events import DiskWatch
from lakehouse.ingest import Ingester
from lakehouse.ingest.pii import is_personal
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse_api.access_log import AccessLog
from lakehouse_api.auth import make_authenticator
from lakehouse_api.compose_retrieval import compose_retrieval
from lakehouse_api.limits import Gate
from lakehouse_api.live_config import LiveConfig
from lakehouse_api.metrics import Metrics
from lakehouse_api.services import Services, process_work_dir

if TYPE_CHECKING:
    from lakehouse.settings import Settings


def compose_services(settings: Settings) -> Services:
    """Make every service from the settings; nothing is started and nothing asked of the store yet."""
    objects = connect_store(settings)
    catalog = Catalog(objects, history=timedelta(days=settings.history_days))
    converter = ConversionProcess(settings)
    work_dir = process_work_dir(settings.data_dir)
    watcher = CatalogWatcher(objects, poll_s=settings.catalog_poll_s)
    sql = SqlPool(settings, read_location(settings), temp_root=work_dir / "sql")
    embedding = EmbeddingService(settings)
    configs = ConfigStore(objects)
    live_config = LiveConfig(configs)
    return Services(
        settings=settings,
        objects=objects,
        catalog=catalog,
        registrar=Registrar(objects, catalog, read_footer, lambda name: is_personal(name, ()), work_dir=work_dir),
        watcher=watcher,
        converter=converter,
        ingester=Ingester(objects, catalog, converter, work_dir=work_dir),
        sql=sql,
        embedding=embedding,
        events=EventLog(settings, objects),
        disk=DiskWatch(
            [settings.data_dir, settings.spool_path], settings.disk_degraded_percent, settings.disk_refuse_percent
        ),
        auth=make_authenticator(settings),
        metrics=Metrics(),
        access_log=AccessLog(),
        configs=configs,
        live_config=live_config,
        retrieval=compose_retrieval(
            settings, objects, embedding=embedding, sql=sql, watcher=watcher, live_config=live_config
        ),
        work_dir=work_dir,
        put_gate=Gate(settings.storage_puts_in_flight, "uploads"),
        ingest_gate=Gate(settings.ingest_in_flight, "ingests"),
    )
