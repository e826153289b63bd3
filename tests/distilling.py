"""Evidence and scores as relations in DuckDB, and what a build holds as Python values, for tests of corpora."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.tables.evidence import evidence_schema
from tests.evidence import Maker

DAY = date(2026, 3, 4)
_NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).replace(tzinfo=None)
SCORED = pa.schema(
    {
        "run_id": pa.string(), "score": pa.string(), "reasons": pa.list_(pa.string()), "rules_version": pa.string(),
        "dt": pa.date32(), "stream": pa.string(), "task_id": pa.string(),
    }
)  # fmt: skip
TAUBENCH_KEY = "raw/agent_trajectories/dt=2026-03-04/a.jsonl"


def run(
    run_id: str,
    asked: Any = "Who can start on Monday?",
    answered: Any = "Nobody can.",
    *,
    score: str | None = "accepted",
    stream: str = "chat_calls",
    task_id: str | None = None,
    day: date = DAY,
    **metadata: Any,
) -> dict[str, Any]:
    """A row of evidence with its score; what is no text becomes JSON."""
    texts = {
        "input_text": asked if isinstance(asked, str | None) else orjson.dumps(asked).decode(),
        "output_text": answered if isinstance(answered, str | None) else orjson.dumps(answered).decode(),
    }
    line = json.dumps([run_id, stream, task_id, texts, metadata])
    return {
        **dict.fromkeys(evidence_schema().names),
        "run_id": run_id,
        "task_id": task_id,
        "timestamp": _NOON,
        "schema_version": 1,
        "stream": stream,
        "provenance": {
            "source_key": f"raw/{stream}/dt={day}/a.jsonl",
            "line": 1,
            "sha256": hashlib.sha256(line.encode()).hexdigest(),
            "recorded_at": _NOON,
        },
        "model_role": "executor",
        **texts,
        "input_hash": _sha256(texts["input_text"]),
        "output_hash": _sha256(texts["output_text"]),
        "success_markers": [],
        "failure_markers": [],
        "metadata": orjson.dumps(metadata).decode(),
        "_score": score,
        "_day": day,
    }


def lake(rows: Sequence[dict[str, Any]], *, rules_version: str = "7") -> duckdb.DuckDBPyConnection:
    """A database with `evidence` and `scored` of rows, in their order."""
    scored = [
        {
            "run_id": row["run_id"], "score": row["_score"], "reasons": ["because"], "rules_version": rules_version,
            "dt": row["_day"], "stream": row["stream"], "task_id": row["task_id"],
        }
        for row in rows
        if row["_score"] is not None
    ]  # fmt: skip
    names = evidence_schema().names
    records = [{name: row[name] for name in names} for row in rows]
    connection = duckdb.connect()
    connection.register("evidence_rows", pa.Table.from_pylist(records, schema=evidence_schema()))
    connection.register("scored_rows", pa.Table.from_pylist(scored, schema=SCORED))
    connection.execute("CREATE TABLE evidence AS FROM evidence_rows; CREATE TABLE scored AS FROM scored_rows")
    return connection


def taubench_lake(folder: Path, shared_data: Path) -> duckdb.DuckDBPyConnection:
    """The published runs as evidence, scored by their reward."""
    runs = json.loads((shared_data / "taubench" / "gpt-4o-airline.json").read_bytes())
    lines = [
        orjson.dumps(
            {
                "run_id": f"taubench/gpt-4o-airline/{one['task_id']}/{one['trial']}",
                "task_id": f"taubench/airline/{one['task_id']}", "recorded_at": "2026-03-04T10:00:00Z",
                "trial": one["trial"], "reward": one["reward"], "messages": one["traj"], "tools": None,
                "model": "gpt-4o", "provider": "openai", "source": "taubench/gpt-4o-airline.json", "licence": "MIT",
            }
        )
        for one in runs
    ]  # fmt: skip
    maker = Maker()
    try:
        made = maker.make("agent_trajectories", {TAUBENCH_KEY: b"\n".join(lines)})
    finally:
        maker.close()
    path = folder / "evidence.parquet"
    path.write_bytes(made.evidence_bytes)
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW evidence AS FROM read_parquet('{path}')")
    connection.execute(
        "CREATE VIEW scored AS SELECT run_id, CASE WHEN reward >= 1 THEN 'accepted' ELSE 'rejected' END AS score,"
        " ['reward'] AS reasons, '7' AS rules_version, DATE '2026-03-04' AS dt, stream, task_id FROM evidence"
    )
    return connection


def lines_of(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines; none where it is not there."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A Parquet file; none where it is not there."""
    return pq.read_table(path).to_pylist() if path.exists() else []


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def all_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """What each file tells, once compression is taken away."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path.name, json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
        elif path.is_file():
            yield path.name, path.read_bytes().decode("utf-8", "replace")


def _sha256(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()
