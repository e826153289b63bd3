"""A SQL worker: one process, one engine with two connections (masked and in full), one query at a time.

It reads messages from stdin and writes frames to stdout: one byte of kind, four of length, the payload. What is to be
cancelled comes by a pipe of its own, so that a query needs no second thread to be read and run.

Belongs here: the loop, views, the forms of answers. Not here: who starts and kills it (see sql_pool.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pickle
import resource
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from lakehouse.adapters.duckdb_engine import open_engine, out_of_memory, parse, translate
from lakehouse.adapters.sql_frames import FRAME, FRAME_BYTES, FrameWriter, write_all
from lakehouse.adapters.sql_shape import Shape, find_shape
from lakehouse.errors import LakehouseError, TimedOut
from lakehouse.query.gate import check_tree
from lakehouse.query.json_rows import AnswerColumn, JsonRows
from lakehouse.query.json_values import column_values
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.query.request import Answer, EngineConfig, Execute, Prepare, Prepared
from lakehouse.query.views import ViewSpec

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 16_384
_FETCH_ROWS = 2048
_PIPE_BYTES = 1 << 20
_MAX_JSON_BYTES = 128 << 20
PREPARED_CACHE = 256
BESIDE_THE_ENGINE_BYTES = 1 << 30
CANCEL = struct.Struct("<Q")
_INTERRUPTS = 50
_INTERRUPT_EVERY_S = 0.02


@dataclass(slots=True)
class _Known:
    """Of a statement: the views it was looked at with, its shape, the columns of its answer once it has run."""

    seen: tuple[str | None, ...]
    shape: Shape | None
    columns: list[AnswerColumn] = field(default_factory=list)


class Worker:
    """State of the process: its connections, the views they see, statements parsed before."""

    def __init__(self, config: EngineConfig, out: int) -> None:
        self._out = out
        self._connections = open_engine(config)
        self._views: dict[tuple[bool, str], str] = {}
        self._known: dict[tuple[bool, str], _Known] = {}
        self._parsed: dict[str, tuple[Prepared, str]] = {}
        self._running: duckdb.DuckDBPyConnection | None = None
        self._number = 0
        self._cancelled = 0
        self._cancelling = threading.Lock()

    def serve(self, messages: BinaryIO) -> None:
        """Handle messages until the parent is gone."""
        self.send(b"R", b"")
        while True:
            try:
                message = pickle.load(messages)  # noqa: S301 - from our own parent
            except EOFError:
                return
            self._number += 1
            try:
                if isinstance(message, Prepare):
                    self.send(b"P", pickle.dumps(self._prepare(message.sql)[0]))
                elif isinstance(message, Execute):
                    self._execute(message)
            except LakehouseError as error:
                self.send(b"X", pickle.dumps(error))
            except Exception:  # the edge of the process: the parent must get an answer
                traceback.print_exc()
                fault = "the query worker failed at this statement; its log has the details"
                self.send(b"X", pickle.dumps(LakehouseError(fault)))

    def cancel(self, number: int) -> None:
        """Stop a message by its number, running or not begun; called from another thread.

        DuckDB loses an interrupt between two of its statements, so it is repeated; the parent kills a worker that goes
        on.
        """
        self._cancelled = number
        for _ in range(_INTERRUPTS):
            with self._cancelling:
                if self._running is None or number != self._number:
                    return
                self._running.interrupt()
            time.sleep(_INTERRUPT_EVERY_S)

    @contextlib.contextmanager
    def _interruptible(self, engine: duckdb.DuckDBPyConnection) -> Iterator[None]:
        with self._cancelling:
            if self._cancelled == self._number:
                raise TimedOut("the query was stopped before it began")
            self._running = engine
        try:
            yield
        finally:
            with self._cancelling:
                self._running = None

    def send(self, kind: bytes, payload: bytes | memoryview) -> None:
        """Write one frame; blocks when the parent does not read, which is the back-pressure of streams."""
        write_all(self._out, FRAME.pack(kind, len(payload)), payload)

    def _prepare(self, sql: str) -> tuple[Prepared, str]:
        """What a statement names, and the text to run for it; nothing runs here that has not passed the gate."""
        if sql not in self._parsed:
            tree, text = parse(self._connections[False], sql)
            gated = check_tree(tree)
            if len(self._parsed) >= PREPARED_CACHE:
                self._parsed.clear()
            self._parsed[sql] = Prepared(gated.tables, gated.ctes, gated.is_show_tables, gated.is_expression), text
        return self._parsed[sql]

    def _execute(self, message: Execute) -> None:
        import duckdb

        prepared, text = self._prepare(message.sql)
        engine = self._connections[message.is_full]
        try:
            with self._interruptible(engine):
                for name in message.absent:
                    engine.execute(f"DROP VIEW IF EXISTS {quote_name(name)}")
                    self._views.pop((message.is_full, name), None)
                for view in message.views:
                    self._define(engine, view, is_full=message.is_full)
                text = show_tables(message.names) if message.names else text
                if message.format == "arrow":
                    self._send_arrow(engine.execute(text), message)
                    return
                known = self._know(engine, text, prepared.tables, is_full=message.is_full)
                cursor = engine.execute(text if known.shape is None else known.shape.sql)
                known.columns = known.columns or columns_of(cursor, known.shape)
                (self._send_json if message.format == "json" else self._send_csv)(cursor, known.columns, message)
        except (duckdb.Error, RuntimeError, OSError) as error:  # the last two: the engine's, through Arrow
            raise translate(error) from None
        except MemoryError:
            raise out_of_memory() from None

    def _know(self, engine: duckdb.DuckDBPyConnection, text: str, tables: frozenset[str], *, is_full: bool) -> _Known:
        """What is known of a statement's answer, as long as its views are the same."""
        seen = tuple(self._views.get((is_full, name)) for name in sorted(tables))
        known = self._known.get((is_full, text))
        if known is None or known.seen != seen:
            if len(self._known) >= PREPARED_CACHE:
                self._known.clear()
            known = self._known[is_full, text] = _Known(seen, find_shape(engine, text))
        return known

    def _define(self, engine: duckdb.DuckDBPyConnection, view: ViewSpec, *, is_full: bool) -> None:
        if self._views.get((is_full, view.name)) == view.identity:
            return
        self._views.pop((is_full, view.name), None)
        read = engine.execute(view.description).fetchall() if view.types else []
        text = view.text(is_full=is_full, is_cast=tuple(row[:2] for row in read) != view.types)
        engine.execute(f"CREATE OR REPLACE VIEW {quote_name(view.name)} AS {text}")
        self._views[is_full, view.name] = view.identity

    def _send_json(self, cursor: duckdb.DuckDBPyConnection, columns: list[AnswerColumn], message: Execute) -> None:
        rows = JsonRows(columns, max_bytes=_MAX_JSON_BYTES)
        left = message.max_rows if message.max_rows is not None else sys.maxsize
        is_more = True
        while left > 0 and is_more:
            fetched = cursor.fetchmany(min(_FETCH_ROWS, left))
            is_more = len(fetched) == min(_FETCH_ROWS, left)
            rows.add(fetched)
            left -= len(fetched)
        is_truncated = left == 0 and cursor.fetchone() is not None
        self.send(b"J", pickle.dumps(Answer(rows.columns(), rows.body(), rows.row_count, is_truncated)))

    def _send_arrow(self, cursor: duckdb.DuckDBPyConnection, message: Execute) -> None:
        import pyarrow as pa

        reader = cursor.to_arrow_reader(_BATCH_ROWS)
        with FrameWriter(self.send) as frames:
            sink = io.BufferedWriter(frames, FRAME_BYTES)
            with pa.ipc.new_stream(sink, reader.schema) as writer:
                for batch in _limited(reader, message.max_rows):
                    writer.write_batch(batch)
            sink.flush()
        self.send(b"E", b"")

    def _send_csv(self, cursor: duckdb.DuckDBPyConnection, columns: list[AnswerColumn], message: Execute) -> None:
        import csv

        left = message.max_rows
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow([column.name for column in columns])
        while left is None or left > 0:
            rows = cursor.fetchmany(_FETCH_ROWS if left is None else min(_FETCH_ROWS, left))
            if not rows:
                break
            left = None if left is None else left - len(rows)
            cells = [_csv_cells(c, list(v)) for c, v in zip(columns, zip(*rows, strict=True), strict=True)]
            writer.writerows(zip(*cells, strict=True))
            self.send(b"D", buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()
        self.send(b"D", buffer.getvalue().encode())
        self.send(b"E", b"")


def columns_of(cursor: duckdb.DuckDBPyConnection, shape: Shape | None) -> list[AnswerColumn]:
    """The columns of an answer: those of the statement, where a cast stands around it."""
    described = [(str(column[0]), column[1]) for column in cursor.description or ()]
    names = shape.columns if shape is not None else [(name, str(type_)) for name, type_ in described]
    return [AnswerColumn(name, text, type_) for (name, text), (_, type_) in zip(names, described, strict=True)]


def _csv_cells(column: AnswerColumn, values: list[Any]) -> list[Any]:
    converted, json_type = column_values(column.type_name, values, column.type_)
    if json_type == "json":
        return [None if v is None else orjson.dumps(v).decode() for v in converted]
    if json_type == "boolean":
        return [None if v is None else str(v).lower() for v in converted]
    return converted


def _limited(reader: Any, max_rows: int | None) -> Any:
    left = max_rows
    for batch in reader:
        if left is None:
            yield batch
            continue
        if left <= 0:
            return
        yield batch.slice(0, left)
        left -= batch.num_rows


def show_tables(names: tuple[str, ...]) -> str:
    """SHOW TABLES over the names that there are."""
    listed = ", ".join(map(quote_text, names))
    return f"SELECT unnest([{listed}]) AS name ORDER BY name"


def limit_memory(engine_bytes: int) -> None:
    """Limit the memory of the whole process, as DuckDB does not count all it takes against its own limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = engine_bytes + BESIDE_THE_ENGINE_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def main() -> None:
    """Serve the parent at stdin and stdout."""
    with contextlib.suppress(OSError):  # some hosts do not permit it
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    out = os.dup(1)
    os.dup2(2, 1)
    stdin = sys.stdin.buffer
    config: EngineConfig = pickle.load(stdin)  # noqa: S301 - from our own parent
    limit_memory(config.memory_bytes)
    worker = Worker(config, out)
    threading.Thread(target=listen, args=(worker, int(sys.argv[1])), daemon=True).start()
    worker.serve(stdin)
    os._exit(0)


def listen(worker: Worker, cancelled: int) -> None:
    """Cancel the messages that the parent names; when the parent is gone, end, as nobody needs the answer."""
    while len(number := os.read(cancelled, CANCEL.size)) == CANCEL.size:
        worker.cancel(*CANCEL.unpack(number))
    os._exit(0)


if __name__ == "__main__":
    main()
