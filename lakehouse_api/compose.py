"""The composition of the API: which adapter serves which capability.

Belongs here: constructors and the settings they take. Not here: opening and closing (see services.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from lakehouse.adapters.connect import connect_store, read_location
from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.duckdb_engine import VIEWS_FOLDER
from lakehouse.adapters.embedders import embedder_name
from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.evidence_views import EvidenceViews
from lakehouse.adapters.lineage_reader import LineageReader
from lakehouse.adapters.memory_past import MemoryPast
from lakehouse.adapters.memory_views import MemoryViews
from lakehouse.adapters.observer_views import ObserverViews
from lakehouse.adapters.parquet_footer import read_footer
from lakehouse.adapters.replay_views import ReplayViews
from lakehouse.adapters.review_store import ReviewStore
from lakehouse.adapters.roster import StoredRoster
from lakehouse.adapters.sql_pool import SqlPool
from lakehouse.adapters.stored_views import AllViews, StoredViews
from lakehouse.adapters.triage_queue import TriageQueue
from lakehouse.catalog.register import Registrar
from lakehouse.catalog.service import Catalog
from lakehouse.catalog.snapshot import CatalogWatcher
from lakehouse.errors import BadInput
from lakehouse.events import DiskWatch
from lakehouse.ingest import Ingester
from lakehouse.ingest.pii import is_personal
from lakehouse.observer.event import STREAM as OBSERVED
from lakehouse.observer.table import event_table
from lakehouse.pathway import trace as pathway_trace
from lakehouse.pathway.table import pathway_table
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.retrieval.playbook import TABLE
from lakehouse.retrieval.playbook_table import playbook_table
from lakehouse.settings import PREFIX, SettingsError
from lakehouse_api.access_log import AccessLog
from lakehouse_api.auth import make_authenticator
from lakehouse_api.compose_answers import compose_answers
from lakehouse_api.compose_chat import compose_chat
from lakehouse_api.compose_drift import compose_drift
from lakehouse_api.compose_pathways import compose_pathways
from lakehouse_api.compose_retrieval import compose_retrieval
from lakehouse_api.compose_workflows import compose_observer, compose_workflows
from lakehouse_api.limits import Gate
from lakehouse_api.lineage import Lineages
from lakehouse_api.live_config import LiveConfigs
from lakehouse_api.metrics import Metrics
from lakehouse_api.services import Services, process_work_dir
from lakehouse_api.triage import Triage

if TYPE_CHECKING:
    from lakehouse.adapters.memory_log import MemoryLog
    from lakehouse.settings import Settings


def compose_services(settings: Settings) -> Services:
    """Make every service from the settings; nothing is started and nothing asked of the store yet.

    Raises:
        SettingsError: A setting names what there is not.
    """
    _check_embedders(settings)
    objects = connect_store(settings)
    catalog = Catalog(objects, history=timedelta(days=settings.history_days))
    converter = ConversionProcess(settings)
    work_dir = process_work_dir(settings.data_dir)
    watcher = CatalogWatcher(objects, poll_s=settings.catalog_poll_s)
    memory_views = MemoryViews(work_dir / "sql" / VIEWS_FOLDER, keep_s=2 * settings.sql_timeout_s)
    bucket = objects.bucket
    observed = ObserverViews(objects, bucket, memory_views)
    stored = [kind(objects, bucket) for kind in (EvidenceViews, ReplayViews, StoredViews)]
    views = AllViews([observed, memory_views, *stored], past=memory_views)
    past = MemoryPast(objects)
    sql = SqlPool(settings, read_location(settings), temp_root=work_dir / "sql", memory=views)
    embedding = EmbeddingService(settings)
    configs = ConfigStore(objects)
    live_configs = LiveConfigs.of(configs)
    retrieval = compose_retrieval(
        settings,
        objects,
        embedding=embedding,
        sql=sql,
        watcher=watcher,
        live_config=live_configs.search,
        work_dir=work_dir,
    )
    memory_views.add(
        TABLE,
        lambda: playbook_table(retrieval.book),
        version=lambda: _entries_of(retrieval.log),
        past=past.playbooks,
    )
    pathways = compose_pathways(settings, objects, embedding=embedding, work_dir=work_dir)
    memory_views.add(
        pathway_trace.TABLE,
        lambda: pathway_table(pathways.book),
        version=lambda: _entries_of(pathways.log),
        past=past.pathways,
    )
    events, metrics = EventLog(settings, objects), Metrics()
    observer = compose_observer(settings, events)
    memory_views.add(OBSERVED, lambda: event_table(observer.ring.events()), version=lambda: observer.ring.version)
    disk = DiskWatch(
        [settings.data_dir, settings.spool_path], settings.disk_degraded_percent, settings.disk_refuse_percent
    )
    chat = compose_chat(settings, events, disk, metrics)
    roster = StoredRoster(objects, watcher)
    answers = compose_answers(
        retrieval, pathways, chat, configs=configs, live_config=live_configs.answer, events=events, roster=roster
    )
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
        events=events,
        disk=disk,
        auth=make_authenticator(settings),
        metrics=metrics,
        access_log=AccessLog(),
        configs=configs,
        live_configs=live_configs,
        retrieval=retrieval,
        pathways=pathways,
        chat=chat,
        answers=answers,
        observer=observer,
        workflows=compose_workflows(
            settings,
            objects,
            events=events,
            observer=observer,
            chat=chat,
            retrieval=retrieval,
            pathways=pathways,
            answers=answers,
            sql=sql,
            watcher=watcher,
        ),
        lineage=Lineages(
            LineageReader(objects, read_location(settings), folder=work_dir / "lineage"),
            retrieval.book,
            pathways.book,
        ),
        triage=Triage(TriageQueue(objects), ReviewStore(objects)),
        drift=compose_drift(settings, objects, work_dir),
        roster=roster,
        work_dir=work_dir,
        put_gate=Gate(settings.storage_puts_in_flight, "upload"),
        ingest_gate=Gate(settings.ingest_in_flight, "ingest"),
    )


def _check_embedders(settings: Settings) -> None:
    for field in ("default_embedder", "playbook_embedder", "pathway_embedder"):
        try:
            embedder_name(getattr(settings, field), settings)
        except BadInput as error:
            raise SettingsError(f"{PREFIX}{field.upper()}: {error.detail}") from None


def _entries_of(log: MemoryLog) -> int:
    """How many entries the log has taken in; the number changes with every write.

    Raises:
        Unavailable: The log has not been read since the start; the entries so far would pass for all of them.
    """
    log.require_replayed()
    return int(log.stats()["entries"])
