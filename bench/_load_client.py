"""A lean HTTP load: N connections of one process ask one server, each its next question when it has its answer.

Run by the benchmarks as a process of its own (`python bench/_load_client.py SPEC`), so that the load does not sit in
the process that is measured. A general client costs more than the requests do.

SPEC is a JSON file: {host, port, headers: {…}, requests: [{method, path, body}…], concurrency, total, keep, is_raw}.
It prints {seconds, answers, statuses: {status: n}, latencies_ms: [p50, p95, p99], bodies: [first `keep` bodies]}, and
`all_ms`, every latency in order of size, where `is_raw`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Connection:
    """One kept HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        if at < 0:
            return status, await self._chunked()
        length = int(lowered[at + 15 : lowered.index(b"\r\n", at)])
        return status, await self._reader.readexactly(length)

    async def _chunked(self) -> bytes:
        parts: list[bytes] = []
        while True:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            part = await self._reader.readexactly(size + 2)
            if size == 0:
                return b"".join(parts)
            parts.append(part[:-2])


def encode(spec: dict[str, Any], request: dict[str, Any]) -> bytes:
    body = base64.b64decode(request["body64"]) if "body64" in request else request.get("body", "").encode()
    headers = {"Host": f"{spec['host']}:{spec['port']}", "Content-Length": str(len(body)), **spec.get("headers", {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request.get('method', 'POST')} {request['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    requests = [encode(spec, request) for request in spec["requests"]]
    total, keep = spec["total"], spec.get("keep", 0)
    numbers = iter(range(total))
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    bodies: list[str | None] = [None] * min(keep, total)
    streams = [await asyncio.open_connection(spec["host"], spec["port"]) for _ in range(spec["concurrency"])]
    connections = [Connection(*stream) for stream in streams]

    async def work(connection: Connection) -> None:
        for number in numbers:
            begun = time.perf_counter()
            status, body = await connection.ask(requests[number % len(requests)])
            latencies.append(time.perf_counter() - begun)
            statuses[status] += 1
            if number < len(bodies):
                bodies[number] = body.decode("utf-8", "replace")

    begun = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in connections))
    seconds = time.perf_counter() - begun
    for _, writer in streams:
        writer.close()
    ordered = sorted(latencies)
    return {
        "seconds": seconds,
        "answers": len(ordered),
        "statuses": {str(status): n for status, n in statuses.items()},
        "latencies_ms": [ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.95, 0.99)],
        "all_ms": [round(latency * 1000, 2) for latency in ordered] if spec.get("is_raw") else [],
        "bodies": bodies,
    }


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    try:
        import uvloop

        answer = uvloop.run(run(spec))
    except ImportError:
        answer = asyncio.run(run(spec))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
