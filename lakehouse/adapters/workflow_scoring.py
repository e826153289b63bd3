"""Records of a workflow, scored by the written rules as those of evidence are.

Belongs here: from records of JSON to rows, and back. Not here: the rules (see lakehouse/scoring), the engine (see
scoring_engine.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.adapters.scoring_engine import ScoringEngine
from lakehouse.errors import BadInput
from lakehouse.scoring.rule_file import default_rules
from lakehouse.tables.evidence import SCHEMA_VERSION, evidence_schema

_SHOWN = ("run_id", "score", "rule", "kind_of_ground", "reasons", "rules_version", "testimony")
_RUN = "chat_calls"
_WHEN = datetime(2000, 1, 1)  # noqa: DTZ001 - evidence has UTC without a zone; the rules ask for no time
_LISTS = ("success_markers", "failure_markers")


def score_records(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Score records.

    Args:
        records: Each with columns of evidence, those that are missing being null; `stream` is `chat_calls` and `run_id`
            the record's number where they are not given. Records of other streams (`reviews`, `outcomes`,
            `observer_events`, `validations`) are testimony about the runs among them.

    Returns:
        For each run its score, the rule that decided, what it rests on, the reasons; in the order of run ids.

    Raises:
        BadInput: A record has an unknown column, or a value of another type.
    """
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = evidence_schema()
    rows = [_row(place, record, schema.names) for place, record in enumerate(records)]
    try:
        table = pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"records do not fit the columns of evidence: {str(error)[:300]}", field="records") from None
    with duckdb.connect(config={"threads": 1}) as connection, tempfile.TemporaryDirectory() as folder:
        connection.register("evidence", table)
        scored = ScoringEngine(default_rules()).score(connection, None, Path(folder))
        found = [row for path in scored.files.values() for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(({name: row[name] for name in _SHOWN} for row in found), key=lambda row: str(row["run_id"]))


def _row(place: int, record: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise BadInput(f"records[{place}] has {unknown[0]!r}, which is not a column of evidence", field="records")
    row: dict[str, Any] = {**dict.fromkeys(known), "stream": _RUN, "run_id": str(place), "timestamp": _WHEN}
    row |= {"schema_version": SCHEMA_VERSION, "metadata": "{}", **{name: [] for name in _LISTS}}
    row |= {name: value for name, value in record.items() if value is not None}
    row["timestamp"] = _moment(row["timestamp"], place)
    row["provenance"] = {"source_key": "", "line": place + 1, "sha256": f"{place:064x}", "recorded_at": _WHEN}
    if not isinstance(row["metadata"], str):
        import orjson

        row["metadata"] = orjson.dumps(row["metadata"]).decode()
    return row


def _moment(value: Any, place: int) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadInput(f"records[{place}].timestamp is not an ISO 8601 time", field="records") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
