"""Batches of replays in the bucket: each row is there before the next question, and can go on from anywhere.

Belongs here: reading and writing what lies in a batch's folder, and the raw lines made of it. Not here: its form (see
lakehouse/replay/batch.py), who may write (see replay_lease.py).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from lakehouse.catalog.manifest import parse_utc
from lakehouse.errors import BadInput, Conflict, NotFound, PreconditionFailed
from lakehouse.events.envelope import RAW_PREFIX, part_key
from lakehouse.receipts.receipt import ReceiptItem
from lakehouse.replay.batch import PREFIX, RESERVED, Batch, Unit, key_of, raw_name, read_batch, unit_of
from lakehouse.replay.row import STREAM, raw_lines, row_bytes
from lakehouse.replay.task import ReplayTask, read_tasks
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all
from lakehouse.storage.publish import PARQUET_TYPE, hash_file
from lakehouse.tables.replay_runs import replay_columns, replay_schema

JSON, JSONL, MARKDOWN = "application/json", "application/jsonl", "text/markdown; charset=utf-8"
ROWS, FAILED = "rows", "failed"
RUNS, VERDICT, VERDICT_TEXT, JUDGE = "runs.parquet", "verdict.json", "verdict.md", "judge.json"
ABANDONED = "abandoned.json"
"""Why a batch is not gone on with."""
_READERS = 8
_ROW_GROUP = 4096
_AT_ONCE = 256


class ReplayStore:
    """The batches of a bucket; stateless, for any number of threads.

    Args:
        objects: The bucket.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def create(self, batch: Batch, tasks: Sequence[ReplayTask]) -> None:
        """Write a new batch; its tasks first, so that a batch that is there is whole.

        Raises:
            Conflict: There is one of that id.
        """
        self.objects.put(batch.tasks_key, tasks_bytes(tasks), content_type=JSONL)
        try:
            self.objects.put(key_of(batch.batch_id, "batch.json"), batch.to_json(), if_absent=True, content_type=JSON)
        except PreconditionFailed:
            raise Conflict(
                f"there is a batch {batch.batch_id!r}; go on with it (`lakehouse replay resume`), or name another"
            ) from None

    def read(self, batch_id: str) -> Batch:
        """A batch.

        Raises:
            NotFound: There is none of that id.
            BadInput: It is damaged.
        """
        key = key_of(batch_id, "batch.json")
        try:
            return read_batch(self.objects.get(key).body, key=key)
        except NotFound:
            raise NotFound(f"there is no batch {batch_id!r}; `lakehouse replay list` names those there are") from None

    def tasks(self, batch: Batch) -> list[ReplayTask]:
        """The tasks of a batch.

        Raises:
            BadInput: They are not those that it was begun with.
        """
        key = batch.tasks_key
        body = self.objects.get(key).body
        if hashlib.sha256(body).hexdigest() != batch.tasks_sha256:
            raise BadInput(f"{key!r} is not what the batch was begun with; begin another batch")
        return read_tasks(body.splitlines(), name=key)

    def batches(self) -> list[str]:
        """Ids of all batches, sorted."""
        return [name for name in self.objects.folders(PREFIX) if name not in RESERVED]

    def done(self, batch_id: str) -> set[Unit]:
        """The units that need not be asked again."""
        return set(self._units(batch_id, ROWS))

    def failed(self, batch_id: str) -> set[Unit]:
        """The units whose provider failed."""
        return set(self._units(batch_id, FAILED))

    def rows(self, batch: Batch) -> Iterator[dict[str, Any]]:
        """All rows there are, failed ones too, by task and then in the order of the arms."""
        failed, done = self._units(batch.batch_id, FAILED), self._units(batch.batch_id, ROWS)
        keys = {unit: info.key for unit, info in (failed | done).items()}
        ordered = [keys[unit] for unit in batch.units() if unit in keys]
        with ThreadPoolExecutor(_READERS) as pool:
            for first in range(0, len(ordered), _AT_ONCE):
                yield from pool.map(self._row, ordered[first : first + _AT_ONCE])

    def keep(
        self, batch: Batch, unit: Unit, row: Mapping[str, Any], *, is_done: bool, had_failed: bool = False
    ) -> None:
        """Make a row durable, once; one that had failed before takes its place.

        Raises:
            Conflict: Another process has answered it.
        """
        folder = ROWS if is_done else FAILED
        key = key_of(batch.batch_id, f"{folder}/{unit.name}")
        if not is_done:
            self.objects.put(key, row_bytes(row), content_type=JSON)
            return
        try:
            self.objects.put(key, row_bytes(row), if_absent=True, content_type=JSON)
        except PreconditionFailed:
            if self._row(key)["run_id"] != row["run_id"]:  # equal when the answer to our own PUT was lost
                raise Conflict(f"another process has answered {key!r}; this one ends") from None
        if had_failed:
            self.objects.delete(key_of(batch.batch_id, f"{FAILED}/{unit.name}"))

    def log_task(self, batch: Batch, task: int) -> None:
        """Write the raw lines of a task that is done under all arms; doing it again changes nothing."""
        keys = [key_of(batch.batch_id, f"{ROWS}/{Unit(task, arm.name).name}") for arm in batch.arms]
        self._log(batch, task, [self._row(key) for key in keys])

    def log_whole(self, batch: Batch, done: set[Unit]) -> None:
        """Write the raw lines of all tasks that are whole and have none: whoever answered them was killed."""
        logged = self._logged(batch)
        for task in range(batch.tasks):
            if raw_name(batch.batch_id, task) not in logged and batch.is_whole(task, done):
                self.log_task(batch, task)

    def log_rest(self, batch: Batch, rows: Iterable[dict[str, Any]], tasks: Sequence[ReplayTask]) -> None:
        """Write the raw lines of all tasks that have none, failed ones too: the batch ends."""
        logged = self._logged(batch)
        numbers = {task.task_id: number for number, task in enumerate(tasks)}
        found: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            number = numbers[row["task_id"]]
            if raw_name(batch.batch_id, number) not in logged:
                found.setdefault(number, []).append(row)
        for number, some in found.items():
            self._log(batch, number, some)

    def write_runs(self, batch: Batch, rows: Iterable[Mapping[str, Any]]) -> ReceiptItem:
        """Write `runs.parquet`; the same rows give the same bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = replay_schema()
        with tempfile.TemporaryDirectory(prefix="replay-") as folder:
            path = Path(folder) / RUNS
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                portion: list[dict[str, Any]] = []
                count = 0
                for row in rows:
                    count += 1
                    portion.append(replay_columns(row))
                    if len(portion) == _ROW_GROUP:
                        writer.write_table(pa.Table.from_pylist(portion, schema=schema), row_group_size=_ROW_GROUP)
                        portion = []
                writer.write_table(pa.Table.from_pylist(portion, schema=schema), row_group_size=_ROW_GROUP)
            key = key_of(batch.batch_id, RUNS)
            self.objects.put(key, path, content_type=PARQUET_TYPE)
            return ReceiptItem(key, hash_file(path), count)

    def write(self, batch_id: str, name: str, body: bytes, *, content_type: str = JSON) -> ObjectInfo:
        """Write a file of a batch in the place of the one that may be there."""
        return self.objects.put(key_of(batch_id, name), body, content_type=content_type)

    def document(self, batch_id: str, name: str) -> dict[str, Any] | None:
        """A JSON file of a batch; None: it is not there.

        Raises:
            BadInput: It is damaged.
        """
        key = key_of(batch_id, name)
        try:
            found = orjson.loads(self.objects.get(key).body)
        except NotFound:
            return None
        except orjson.JSONDecodeError:
            raise BadInput(f"{key!r} is damaged; make it anew: lakehouse replay verdict {batch_id}") from None
        return dict(found)

    def _row(self, key: str) -> dict[str, Any]:
        return dict(orjson.loads(self.objects.get(key).body))

    def _units(self, batch_id: str, folder: str) -> dict[Unit, ObjectInfo]:
        listed = list_all(self.objects, key_of(batch_id, f"{folder}/"))
        found = ((unit_of(info.key.rpartition("/")[2]), info) for info in listed)
        return {unit: info for unit, info in found if unit is not None}

    def _log(self, batch: Batch, task: int, rows: list[dict[str, Any]]) -> None:
        lines, day = raw_lines(rows)
        try:
            key = part_key(STREAM, day, raw_name(batch.batch_id, task))
            self.objects.put(key, lines, if_absent=True, content_type=JSONL)
        except PreconditionFailed:
            return

    def _logged(self, batch: Batch) -> set[str]:
        """Names of the batch's raw objects, on whatever day since it began."""
        begun = f"dt={parse_utc(batch.created_at):%Y-%m-%d}"
        days = [day for day in self.objects.folders(f"{RAW_PREFIX}{STREAM}/") if day >= begun]
        prefix = f"replay-{batch.batch_id}-"
        listed = (info for day in days for info in list_all(self.objects, f"{RAW_PREFIX}{STREAM}/{day}/{prefix}"))
        return {info.key.rpartition("/")[2].removesuffix(".jsonl") for info in listed}


def tasks_bytes(tasks: Sequence[ReplayTask]) -> bytes:
    """The stored bytes of tasks."""
    return b"".join(orjson.dumps(task.to_document(), option=orjson.OPT_APPEND_NEWLINE) for task in tasks)
