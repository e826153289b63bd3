"""The composition of the observer and of workflows: which service serves which mode.

Belongs here: constructors, and the adapters between a mode and a service. Not here: modes (see lakehouse/workflow).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from lakehouse.adapters.observer_log import ObserverLog
from lakehouse.adapters.workflow_files import SHIPPED, WorkflowFiles
from lakehouse.adapters.workflow_runs import WorkflowRuns
from lakehouse.adapters.workflow_scoring import score_records
from lakehouse.chat.call_log import Caller
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import LakehouseError
from lakehouse.jitter import draw
from lakehouse.observer import EventRing, ObserverEvent, ObserverStats
from lakehouse.retrieval.search_log import search_line
from lakehouse.workflow.catalog import default_catalog
from lakehouse.workflow.mode import Who, WorkflowServices
from lakehouse.workflow.record import STREAM
from lakehouse.workflow.runner import WorkflowRunner
from lakehouse_api.catalog_view import fresh_catalog
from lakehouse_api.limits import Gate
from lakehouse_api.workflows import Workflows

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.sql_pool import SqlPool
    from lakehouse.catalog.snapshot import CatalogWatcher
    from lakehouse.pathway.search import Found, PathwaySearch
    from lakehouse.query.request import Answer, SqlRequest
    from lakehouse.retrieval.search_answer import SearchAnswer
    from lakehouse.retrieval.search_request import SearchRequest
    from lakehouse.settings import Settings
    from lakehouse.validation import Verdict
    from lakehouse.workflow.document import Workflow
    from lakehouse_api.answers import Answers
    from lakehouse_api.chat import Chat
    from lakehouse_api.pathways import Pathways
    from lakehouse_api.retrieval import Retrieval


def compose_observer(settings: Settings, events: EventLog) -> ObserverLog:
    """Make the observer; nothing runs yet."""
    ring = EventRing(settings.observer_ring_size)
    return ObserverLog(events, ring, ObserverStats(), persist_required=settings.observer_persist_required)


def compose_workflows(
    settings: Settings,
    objects: S3ObjectStore,
    *,
    events: EventLog,
    observer: ObserverLog,
    chat: Chat,
    retrieval: Retrieval,
    pathways: Pathways,
    answers: Answers,
    sql: SqlPool,
    watcher: CatalogWatcher,
) -> Workflows:
    """Make workflows over the parts there are.

    Raises:
        BadInput: An installed package brings a mode that is none.
    """
    catalog = default_catalog()
    files = WorkflowFiles(settings.workflows_dir or SHIPPED, catalog)
    bridge = _Bridge(
        settings, events, observer=observer, retrieval=retrieval, pathways=pathways, answers=answers, sql=sql,
        watcher=watcher, files=files,
    )  # fmt: skip
    services = WorkflowServices(
        chat=chat.service,
        default_model=chat.default_model,
        search=bridge.search,
        recall=bridge.recall,
        sql=bridge.query,
        validate=bridge.validate,
        score=bridge.score,
        tell=bridge.tell,
        find=bridge.find,
    )
    records = WorkflowRuns(
        objects,
        settings.spool_path,
        longest=timedelta(seconds=settings.workflow_timeout_s),
        part_age=timedelta(seconds=settings.spool_part_age_s),
    )
    runner = WorkflowRunner(catalog, services, bridge.record)
    gate = Gate(settings.workflow_runs_in_flight, "workflow run")
    return Workflows(catalog, runner, files, records, gate, settings.workflow_timeout_s, bridge)


class _Bridge:
    """What modes call, mapped to the API's services; `events` is the run log that lines are written to."""

    def __init__(
        self,
        settings: Settings,
        events: EventLog,
        *,
        observer: ObserverLog,
        retrieval: Retrieval,
        pathways: Pathways,
        answers: Answers,
        sql: SqlPool,
        watcher: CatalogWatcher,
        files: WorkflowFiles,
    ) -> None:
        self.events = events
        self._settings = settings
        self._observer = observer
        self._retrieval = retrieval
        self._pathways = pathways
        self._answers = answers
        self._sql = sql
        self._watcher = watcher
        self._files = files

    async def record(self, line: Mapping[str, Any]) -> None:
        """Log the line of one node."""
        await self.events.append(STREAM, line, durable=True)

    async def search(self, request: SearchRequest, who: Who) -> SearchAnswer:
        """As `/v1/matrix/search` does."""
        answer = await self._retrieval.search.search(request, has_pii=who.has_pii)
        if draw() < self._settings.search_log_share:
            line = search_line(answer, request, actor=who.actor, task_id=who.task_id)
            await self.events.append("searches", line, durable=False)
        return answer

    async def recall(self, asked: PathwaySearch, who: Who) -> Sequence[Found]:
        """As `/v1/pathway/search` does."""
        found = await self._pathways.search(asked, actor=who.actor)
        line = {
            "action": "search", "actor": who.actor, "task_id": who.task_id, "query": asked.text, "k": asked.k,
            "tags": list(asked.tags), "found": [one.trace.uid for one in found],
        }  # fmt: skip
        await self.events.append("pathway_events", line, durable=False)
        return found

    async def query(self, request: SqlRequest, who: Who) -> Answer:
        """As `/v1/sql` does."""
        return await self._sql.run(request, snapshot=await fresh_catalog(self._watcher), has_pii=who.has_pii)

    async def validate(self, kind: str, artifact: Mapping[str, Any], context: Mapping[str, Any], who: Who) -> Verdict:
        """As `/v1/validate` does."""
        caller = Caller(who.actor, who.task_id, who.request_id)
        return await self._answers.validator.validate(kind, artifact, context, caller)

    async def score(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Score records by the rules of lakehouse/scoring."""
        return await anyio.to_thread.run_sync(score_records, records)

    async def tell(self, event: Mapping[str, Any]) -> None:
        """Report a verdict to the observer; an event that it cannot persist is counted there and stops no run."""
        try:
            await self._observer.put(ObserverEvent(new_id(), utc_now(), **event))
        except LakehouseError:
            return

    async def find(self, name: str) -> Workflow:
        """A workflow by its name."""
        return await anyio.to_thread.run_sync(self._files.find, name)
