"""The load mix on the bare engines: what no service of this kind can be quicker than on the same machine.

    python bench/_bare_app.py WORKERS.csv FOLDER PORT

One process of uvicorn, without a framework, answers what `lakehouse load` asks in the same forms, so that every check
of the mix holds, and does as little as it can for it: a query is embedded by its tokens' rows, faiss looks into 8 of
512 lists of one byte a value and compares 40 exactly, a filter is a group of rows known beforehand, a message is
decoded and searched for one pattern, a record is a line of a local file that is synced together with those that wait,
and lifts its answer by exact text alone. No catalog, no token, no log, no object store, no near queries, no trace.

It follows the prototype by whose numbers the limits of the load were set: 4,900 scenarios a second, where 2,000 are
asked of the service (docs/decisions/0065-the-load-over-the-bare-engines.md).
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import faiss
import msgspec
import numpy as np
import tokenizers
import uvicorn
from numpy.typing import NDArray
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lakehouse.adapters.package_files import package_file  # noqa: E402
from lakehouse.adapters.static_embedder import TOKENIZER_FILE, WEIGHTS_FILE, StaticEmbedder  # noqa: E402

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
LISTS, PROBES, COMPARED, TRAINED_ON = 512, 8, 40, 20_000
MOST_SMS = 160
COLUMNS = "worker_id, name, role, city, state, resume_text"
SSN = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
JSON = [(b"content-type", b"application/json")]


class Search(msgspec.Struct):
    """What is read of a search."""

    query: str
    k: int = 10
    filter: dict[str, str] = {}
    exclude_ids: list[str] = []
    use_playbook: bool = True


class Validate(msgspec.Struct):
    """What is read of a validation."""

    kind: str
    artifact: dict[str, Any]


class Record(msgspec.Struct):
    """What is read of a record."""

    query: str
    answer_id: str


class Embedder:
    """The mean of a text's token rows; a text met before is looked up."""

    def __init__(self) -> None:
        self._rows: Floats = next(iter(load_file(package_file(*WEIGHTS_FILE)).values())).astype(np.float32)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(package_file(*TOKENIZER_FILE)))
        self._tokenizer.no_padding()
        self._known: dict[str, Floats] = {}

    def embed(self, text: str) -> Floats:
        """Its vector, of length 1."""
        known = self._known.get(text)
        if known is None:
            mean = self._rows[self._tokenizer.encode(text, add_special_tokens=False).ids].mean(0)
            known = self._known[text] = mean / np.linalg.norm(mean)
        return known


class SyncedFile:
    """Lines of a local file: those that come while others are synced are written together."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1)

    def put(self, line: bytes) -> asyncio.Future[None]:
        """Done when the line is on the disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._run())
        return done

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            lines = b"".join(line + b"\n" for line, _ in group)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, lines)
            for _, done in group:
                done.set_result(None)

    def _write(self, lines: bytes) -> None:
        os.write(self._fd, lines)
        os.fdatasync(self._fd)


class Bare:
    """The application, as ASGI calls it.

    Args:
        workers: The workers' CSV.
        folder: Where records go.
    """

    def __init__(self, workers: Path, folder: Path) -> None:
        table = duckdb.read_csv(str(workers)).project(COLUMNS).to_arrow_table()
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
        self._vectors = StaticEmbedder().embed(columns.pop("resume_text"))
        self._ids = [str(one) for one in columns["worker_id"]]
        self._row_of = {one: row for row, one in enumerate(self._ids)}
        self._metadata = [
            msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
        ]
        groups = defaultdict(list)
        for row, of in enumerate(zip(columns["role"], columns["state"], strict=True)):
            groups[of].append(row)
        self._groups: dict[tuple[str, str], Rows] = {of: np.array(rows) for of, rows in groups.items()}
        self._index = indexed(self._vectors)
        self._embedder = Embedder()
        self._recorded: dict[str, str] = {}
        self._file = SyncedFile(folder / "records.jsonl")
        self._searches = msgspec.json.Decoder(Search)
        self._validations = msgspec.json.Decoder(Validate)
        self._records = msgspec.json.Decoder(Record)

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        body, path, status = (await receive())["body"], scope["path"], 200
        if path == "/v1/matrix/search":
            answer = self._search(self._searches.decode(body))
        elif path == "/v1/validate":
            status, answer = self._validate(self._validations.decode(body))
        else:
            record = self._records.decode(body)
            await self._file.put(body)
            self._recorded[record.query] = record.answer_id
            answer = msgspec.json.encode({"playbook_id": record.query, "merged": False})
        headers = [*JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _search(self, asked: Search) -> bytes:
        vector = self._embedder.embed(asked.query)
        if asked.filter:
            rows = self._groups[asked.filter["role"], asked.filter["state"]]
        else:
            rows = self._index.search(vector[None], COMPARED)[1][0]
            rows = rows[rows >= 0]
        products = self._vectors[rows] @ vector
        found, out = [], set(asked.exclude_ids)
        first = self._recorded.get(asked.query) if asked.use_playbook else None
        if first is not None:
            found.append(self._result(self._row_of[first], 1.0, b'{"boost":1.0}'))
            out.add(first)
        for place in np.argsort(-products).tolist():
            row = int(rows[place])
            if self._ids[row] in out:
                continue
            found.append(self._result(row, float(products[place]), b"null"))
            if len(found) == asked.k:
                break
        return b'{"query":%b,"results":[%b]}' % (msgspec.json.encode(asked.query), b",".join(found))

    def _result(self, row: int, score: float, lift: bytes) -> bytes:
        return b'{"id":"%b","score":%.6f,"metadata":%b,"playbook":%b}' % (
            self._ids[row].encode(), score, self._metadata[row], lift,
        )  # fmt: skip

    def _validate(self, asked: Validate) -> tuple[int, bytes]:
        if asked.kind == "fill":
            if all(fill["candidate_id"] in self._row_of for fill in asked.artifact["fills"]):
                return 200, b'{"findings":[]}'
            return 422, b'{"Consistency":{"reason":"a candidate is unknown"}}'
        body = asked.artifact["body"]
        if asked.kind == "sms" and len(body) > MOST_SMS:
            return 422, b'{"Schema":{"field":"body","reason":"too long"}}'
        if SSN.search(body):
            return 422, b'{"Policy":{"reason":"a Social Security number"}}'
        return 200, b'{"findings":[]}'


def indexed(vectors: Floats) -> Any:
    """The quickest index of these vectors by the prototypes' numbers; recall is not what it is here for."""
    index = faiss.index_factory(vectors.shape[1], f"IVF{LISTS},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:TRAINED_ON])
    index.add(vectors)
    index.nprobe = PROBES  # type: ignore[attr-defined]
    faiss.omp_set_num_threads(1)
    return index


def main() -> None:
    workers, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    app: Any = Bare(workers, folder)
    uvicorn.run(
        app, port=port, loop="uvloop", http="httptools", lifespan="off", interface="asgi3", access_log=False,
        log_level="warning",
    )  # fmt: skip


if __name__ == "__main__":
    main()
