"""`AsyncClient`: the calls as coroutines.

Belongs here: sending and waiting on an event loop. Not here: the calls (see data_calls.py, retrieval_calls.py,
chat_calls.py), the same for threads (see sync_client.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
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
from lakehouse.client.async_method import Group as _Group
from lakehouse.client.async_method import Method as _Method
from lakehouse.client.call import Call
from lakehouse.client.download import Download
from lakehouse.client.retry import RetryPolicy
from lakehouse.client.transport import Wire, answered, require_success, result_of
from lakehouse.client.upload import open_upload

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

T = TypeVar("T")
_CHUNK_BYTES = 1 << 20


class AsyncDatasets(_Group):
    """The catalog's datasets."""

    list = _Method(data.list_datasets)
    get = _Method(data.get_dataset)
    versions = _Method(data.list_versions)
    ingest = _Method(data.ingest_file)
    register = _Method(data.register_files)
    delete = _Method(data.delete_dataset)


class AsyncPlaybook(_Group):
    """Answers that worked or failed."""

    record = _Method(retrieval.record_playbook)
    bulk = _Method(retrieval.record_playbooks)
    feedback = _Method(retrieval.judge_playbook)
    list = _Method(retrieval.list_playbooks)
    delete = _Method(retrieval.delete_playbook)


class AsyncVectors(_Group):
    """Indexes of vectors and texts."""

    create_index = _Method(retrieval.create_index)
    list = _Method(retrieval.list_indexes)
    stats = _Method(retrieval.get_index)
    upsert = _Method(retrieval.upsert_items)
    search = _Method(retrieval.search_index)
    delete = _Method(retrieval.delete_items)
    drop = _Method(retrieval.drop_index)


class AsyncPathway(_Group):
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


class AsyncStorage(_Group):
    """Objects of the bucket, by key."""

    def __init__(self, client: AsyncClient) -> None:
        super().__init__(client)
        self._download = client._download

    put = _Method(storing.put_object)
    get = _Method(storing.get_object)
    list = _Method(storing.list_objects)
    head = _Method(storing.head_object)
    delete = _Method(storing.delete_object)

    async def download(self, key: str, to: str | PathLike[str], *, if_match: str | None = None) -> ListedObject:
        """Read an object of any size to a file, which shows when it is whole and not before; gives what `head` does."""
        return await self._download(storing.open_object(key, if_match=if_match), Path(to))


class AsyncTriage(_Group):
    """What needs a person, and what people decide."""

    list = _Method(triaging.list_triage)
    get = _Method(triaging.get_triage_item)
    decide = _Method(triaging.decide_triage_item)


class AsyncObserver(_Group):
    """What agents, hooks and people report."""

    report = _Method(observing.observe)
    events = _Method(observing.list_observed)
    stats = _Method(observing.observer_stats)


class AsyncWorkflow(_Group):
    """Files of nodes that run as a graph."""

    run = _Method(observing.run_workflow)
    get = _Method(observing.get_workflow_run)
    modes = _Method(observing.list_workflow_modes)


class AsyncConfig(_Group):
    """The versioned configs that answers run under."""

    list = _Method(retrieval.list_configs)
    versions = _Method(retrieval.list_config_versions)
    change = _Method(retrieval.change_config)


class AsyncClient:
    """Calls the API from an event loop, closed at the end of an `async with`; see `Client` for arguments and errors."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        task_id: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        import httpx

        self._wire = Wire(url, token, timeout_s=timeout_s, retry=retry, task_id=task_id)
        self._http = httpx.AsyncClient(**self._wire.options(), transport=transport)
        self.datasets = AsyncDatasets(self)
        self.playbook = AsyncPlaybook(self)
        self.vectors = AsyncVectors(self)
        self.config = AsyncConfig(self)
        self.pathway = AsyncPathway(self)
        self.storage = AsyncStorage(self)
        self.triage = AsyncTriage(self)
        self.observer = AsyncObserver(self)
        self.workflow = AsyncWorkflow(self)

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

    async def sql_arrow(self, query: str, *, max_rows: int | None = None, as_of: datetime | None = None) -> pa.Table:
        """Answer one statement that reads with a `pyarrow.Table` of any length."""
        import anyio.to_thread

        async with self._opened(data.stream_sql(query, max_rows=max_rows, as_of=as_of)) as answer:
            next_chunk = self._next_chunk(answer.aiter_bytes())
            return await anyio.to_thread.run_sync(lambda: open_reader(next_chunk).read_all())

    async def sql_batches(
        self, query: str, *, max_rows: int | None = None, as_of: datetime | None = None
    ) -> AsyncIterator[pa.RecordBatch]:
        """The same as batches that come while the query runs; memory holds one at a time.

        The query starts with the first batch. A generator that is left early (`aclose`) stops it.
        """
        from anyio.to_thread import run_sync

        async with self._opened(data.stream_sql(query, max_rows=max_rows, as_of=as_of)) as answer:
            reader = await run_sync(open_reader, self._next_chunk(answer.aiter_bytes()))
            while (batch := await run_sync(read_batch, reader)) is not None:
                yield batch

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _send(self, call: Call[T]) -> T:
        import anyio

        attempt = 1
        while True:
            answer = await self._try(call)
            wait_s = self._wire.wait_s(call, answer, attempt=attempt)
            if wait_s is None:
                return result_of(call, answer)
            await anyio.sleep(wait_s)
            attempt += 1

    async def _try(self, call: Call[Any]) -> httpx.Response:
        with self._wire.translated(is_upload=call.file is not None):
            if (opened := open_upload(call)) is None:
                return await self._http.send(self._http.build_request(**self._wire.request(call)))
            with opened as upload:
                request = self._wire.upload_request(call, upload, _in_thread(upload.chunks()))
                return await self._http.send(self._http.build_request(**request))

    async def _download(self, call: Call[T], to: Path) -> T:
        from anyio.to_thread import run_sync

        with Download(to) as file:
            async with self._opened(call) as answer:
                chunks = answer.aiter_bytes(_CHUNK_BYTES)
                while chunk := await self._read(chunks):
                    await run_sync(file.write, chunk)
                await run_sync(file.finish)
                return answered(call, answer)

    @asynccontextmanager
    async def _opened(self, call: Call[Any]) -> AsyncIterator[httpx.Response]:
        """Send a call and yield its answer, whose body has not been read."""
        import anyio

        attempt = 1
        while True:
            with self._wire.translated():
                answer = await self._http.send(self._http.build_request(**self._wire.request(call)), stream=True)
            try:
                if answer.is_success:
                    yield answer
                    return
                with self._wire.translated():
                    await answer.aread()
                wait_s = self._wire.wait_s(call, answer, attempt=attempt)
                if wait_s is None:
                    require_success(call, answer)
            finally:
                await answer.aclose()
            await anyio.sleep(wait_s or 0)
            attempt += 1

    def _next_chunk(self, chunks: AsyncIterator[bytes]) -> Callable[[], bytes]:
        """What gives the next chunk to a thread of anyio's."""
        import anyio.from_thread

        return lambda: anyio.from_thread.run(self._read, chunks)

    async def _read(self, chunks: AsyncIterator[bytes]) -> bytes:
        with self._wire.translated():
            return await anext(chunks, b"")


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks of a file, read where they hold up nobody."""
    import anyio.to_thread

    while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
        yield chunk
