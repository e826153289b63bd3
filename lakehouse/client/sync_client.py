"""`Client`: the calls as blocking methods.

Belongs here: sending and waiting in a thread. Not here: the calls (see data_calls.py, retrieval_calls.py,
chat_calls.py), the same for an event loop (see async_client.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lakehouse.client import chat_calls as chatting
from lakehouse.client import data_calls as data
from lakehouse.client import drift_calls as drifting
from lakehouse.client import lineage_calls as lineages
from lakehouse.client import observer_calls as observing
from lakehouse.client import pathway_calls as pathways
from lakehouse.client import retrieval_calls as retrieval
from lakehouse.client import storage_calls as storing
from lakehouse.client import triage_calls as triaging
from lakehouse.client import validation_calls as validation
from lakehouse.client.answers import ListedObject
from lakehouse.client.arrow import open_reader, read_batch
from lakehouse.client.call import Call
from lakehouse.client.download import Download
from lakehouse.client.retry import RetryPolicy
from lakehouse.client.sync_method import Group as _Group
from lakehouse.client.sync_method import Method as _Method
from lakehouse.client.transport import Wire, answered, require_success, result_of
from lakehouse.client.upload import open_upload

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

T = TypeVar("T")
_CHUNK_BYTES = 1 << 20


class Datasets(_Group):
    """The catalog's datasets."""

    list = _Method(data.list_datasets)
    get = _Method(data.get_dataset)
    versions = _Method(data.list_versions)
    ingest = _Method(data.ingest_file)
    register = _Method(data.register_files)
    delete = _Method(data.delete_dataset)


class Playbook(_Group):
    """Answers that worked or failed."""

    record = _Method(retrieval.record_playbook)
    bulk = _Method(retrieval.record_playbooks)
    feedback = _Method(retrieval.judge_playbook)
    list = _Method(retrieval.list_playbooks)
    delete = _Method(retrieval.delete_playbook)


class Vectors(_Group):
    """Indexes of vectors and texts."""

    create_index = _Method(retrieval.create_index)
    list = _Method(retrieval.list_indexes)
    stats = _Method(retrieval.get_index)
    upsert = _Method(retrieval.upsert_items)
    search = _Method(retrieval.search_index)
    delete = _Method(retrieval.delete_items)
    drop = _Method(retrieval.drop_index)


class Pathway(_Group):
    """Traces of how tasks were solved."""

    add = _Method(pathways.add_pathway)
    search = _Method(pathways.search_pathways)
    get = _Method(pathways.get_pathway)
    update = _Method(pathways.update_pathway)
    revise = _Method(pathways.revise_pathway)
    delete = _Method(pathways.retire_pathway)
    retire = _Method(pathways.retire_pathway)
    history = _Method(pathways.get_pathway_history)
    stats = _Method(pathways.pathway_stats)


class Storage(_Group):
    """Objects of the bucket, by key."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._download = client._download

    put = _Method(storing.put_object)
    get = _Method(storing.get_object)
    list = _Method(storing.list_objects)
    head = _Method(storing.head_object)
    delete = _Method(storing.delete_object)

    def download(self, key: str, to: str | PathLike[str], *, if_match: str | None = None) -> ListedObject:
        """Read an object of any size to a file, which shows when it is whole and not before; gives what `head` does."""
        return self._download(storing.open_object(key, if_match=if_match), Path(to))


class Triage(_Group):
    """What needs a person, and what people decide."""

    list = _Method(triaging.list_triage)
    get = _Method(triaging.get_triage_item)
    decide = _Method(triaging.decide_triage_item)


class Observer(_Group):
    """What agents, hooks and people report."""

    report = _Method(observing.observe)
    events = _Method(observing.list_observed)
    stats = _Method(observing.observer_stats)


class Workflow(_Group):
    """Files of nodes that run as a graph."""

    run = _Method(observing.run_workflow)
    get = _Method(observing.get_workflow_run)
    modes = _Method(observing.list_workflow_modes)


class Config(_Group):
    """The versioned configs that answers run under."""

    list = _Method(retrieval.list_configs)
    versions = _Method(retrieval.list_config_versions)
    change = _Method(retrieval.change_config)


class Client:
    """Calls the API; safe for use by several threads, and closed at the end of a `with`.

    Args:
        url: Of the API, such as `https://lake.example.org`; None: this machine's installation, with its token.
        token: Bearer token.
        timeout_s: Longest wait for the next bytes of an answer, in seconds; an ingest's answer may take any time.
        retry: When calls that were refused for now (429, 503) are made again; only those that may be made twice.
        task_id: Ties what these calls do to a task, in the event log.
        transport: httpx's, for a proxy or a certificate of your own.

    Raises of every call:
        LakehouseApiError: The API refused or failed; `status`, `detail`, `request_id`.
        LakehouseConnectionError: No API answered.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        task_id: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import httpx

        self._wire = Wire(url, token, timeout_s=timeout_s, retry=retry, task_id=task_id)
        self._http = httpx.Client(**self._wire.options(), transport=transport)
        self.datasets = Datasets(self)
        self.playbook = Playbook(self)
        self.vectors = Vectors(self)
        self.config = Config(self)
        self.pathway = Pathway(self)
        self.storage = Storage(self)
        self.triage = Triage(self)
        self.observer = Observer(self)
        self.workflow = Workflow(self)

    health = _Method(data.health)
    sql = _Method(data.run_sql)
    search = _Method(retrieval.search)
    outcome = _Method(retrieval.report_outcome)
    validate = _Method(validation.validate)
    embed = _Method(retrieval.embed)
    lineage = _Method(lineages.get_lineage)
    drift = _Method(drifting.get_drift)
    acknowledge_drift = _Method(drifting.acknowledge_drift)
    chat = _Method(chatting.chat)
    answer = _Method(chatting.answer)
    chat_usage = _Method(chatting.chat_usage)
    chat_providers = _Method(chatting.chat_providers)
    models = _Method(chatting.list_models)

    def sql_arrow(self, query: str, *, max_rows: int | None = None, as_of: datetime | None = None) -> pa.Table:
        """Answer one statement that reads with a `pyarrow.Table` of any length."""
        with self._opened(data.stream_sql(query, max_rows=max_rows, as_of=as_of)) as answer:
            return open_reader(self._next_chunk(answer.iter_bytes())).read_all()

    def sql_batches(
        self, query: str, *, max_rows: int | None = None, as_of: datetime | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The same as batches that come while the query runs; memory holds one at a time.

        The query starts with the first batch. A generator that is left early (`close`) stops it.
        """
        with self._opened(data.stream_sql(query, max_rows=max_rows, as_of=as_of)) as answer:
            reader = open_reader(self._next_chunk(answer.iter_bytes()))
            while (batch := read_batch(reader)) is not None:
                yield batch

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            answer = self._try(call)
            wait_s = self._wire.wait_s(call, answer, attempt=attempt)
            if wait_s is None:
                return result_of(call, answer)
            time.sleep(wait_s)
            attempt += 1

    def _try(self, call: Call[Any]) -> httpx.Response:
        with self._wire.translated(is_upload=call.file is not None):
            if (opened := open_upload(call)) is None:
                return self._http.send(self._http.build_request(**self._wire.request(call)))
            with opened as upload:
                request = self._wire.upload_request(call, upload, upload.chunks())
                return self._http.send(self._http.build_request(**request))

    def _download(self, call: Call[T], to: Path) -> T:
        with Download(to) as file, self._opened(call) as answer:
            next_chunk = self._next_chunk(answer.iter_bytes(_CHUNK_BYTES))
            while chunk := next_chunk():
                file.write(chunk)
            file.finish()
            return answered(call, answer)

    @contextmanager
    def _opened(self, call: Call[Any]) -> Iterator[httpx.Response]:
        """Send a call and yield its answer, whose body has not been read."""
        attempt = 1
        while True:
            with self._wire.translated():
                answer = self._http.send(self._http.build_request(**self._wire.request(call)), stream=True)
            try:
                if answer.is_success:
                    yield answer
                    return
                with self._wire.translated():
                    answer.read()
                wait_s = self._wire.wait_s(call, answer, attempt=attempt)
                if wait_s is None:
                    require_success(call, answer)
            finally:
                answer.close()
            time.sleep(wait_s or 0)
            attempt += 1

    def _next_chunk(self, chunks: Iterator[bytes]) -> Callable[[], bytes]:
        def next_chunk() -> bytes:
            with self._wire.translated():
                return next(chunks, b"")

        return next_chunk
