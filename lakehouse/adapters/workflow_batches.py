"""A workflow over many inputs: an object of JSON lines in, an object of JSON lines out, one run for each line.

Lines are read and results written as they come, so that memory stays flat; runs are those of the API, one after
another.

Belongs here: the two objects, the accounts. Not here: running (see lakehouse/workflow), the asset (see
lakehouse_assets/workflows.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lakehouse.errors import BadInput, TimedOut
from lakehouse.storage.objects import ObjectStore

FOLDER = "files/workflows/"
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: its accounts, where its results lie, the first errors, SHA-256 of both objects."""

    source: str
    results: str
    source_sha256: str
    results_sha256: str
    lines: int
    succeeded: int
    failed: int
    errors: tuple[str, ...]


def run_batch(
    objects: ObjectStore, key: str, run: Callable[[Mapping[str, Any]], Mapping[str, Any]], *, work_dir: Path, name: str
) -> BatchResult:
    """Run each line of an object.

    Args:
        objects: The bucket.
        key: Of the inputs, below `files/workflows/`, ending in `.jsonl`: each line an object of inputs.
        run: Runs the workflow on inputs; gives the run as the API answers it.
        work_dir: Where results gather.
        name: Of this batch; results lie beside the inputs under it.

    Raises:
        BadInput: The key is no such object's.
        NotFound: There is no such object.
        StoreUnavailable: The store does not answer; nothing is written then.
    """
    if not key.startswith(FOLDER) or not key.endswith(".jsonl") or ".results" in key:
        raise BadInput(f"inputs lie under {FOLDER} and end in .jsonl, unlike {key!r}", key=key)
    digest, written = hashlib.sha256(), hashlib.sha256()
    lines = succeeded = 0
    errors: list[str] = []
    path = work_dir / f"workflow-{name}.jsonl"
    try:
        with objects.open(key) as reader, path.open("wb") as results:
            for raw in _lines(reader.chunks(), digest):
                lines += 1
                row = _one(raw, lines, run)
                succeeded += row["success"]
                if not row["success"] and len(errors) < 10:
                    errors.append(f"line {lines}: {row['error']}"[:300])
                encoded = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
                written.update(encoded)
                results.write(encoded)
        target = f"{key.removesuffix('.jsonl')}.results-{name}.jsonl"
        objects.put(target, path, content_type="application/x-ndjson")
    finally:
        path.unlink(missing_ok=True)
    return BatchResult(
        key, target, digest.hexdigest(), written.hexdigest(), lines, succeeded, lines - succeeded, tuple(errors)
    )


def _one(raw: bytes, line: int, run: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    empty = {"line": line, "run_id": None, "success": False, "error": None, "output": None}
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return {**empty, "error": f"is not JSON: {error}"}
    if not isinstance(given, Mapping):
        return {**empty, "error": "is not an object of inputs"}
    try:
        done = run(given)
    except (BadInput, TimedOut) as error:  # an input is wrong, or its run did not end in time: of this line alone
        return {**empty, "error": error.detail}
    why = done["error"]
    said = None if why is None else f"{why.get('node')}: {why.get('detail')}"
    return {
        "line": line, "run_id": done["run_id"], "success": done["success"], "error": said, "output": done["output"],
    }  # fmt: skip


def _lines(chunks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        digest.update(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > MAX_LINE_BYTES:
            raise BadInput(f"a line of the inputs has more than {MAX_LINE_BYTES >> 10} KiB")
    if rest.strip():
        yield rest
