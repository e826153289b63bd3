"""The envelope of a run log's line: who, when and under which ids, the same in every stream.

Belongs here: the streams, the envelope's fields, a line's bytes. Not here: what a stream's own fields are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from lakehouse.errors import BadInput, TooLarge

FORMAT_VERSION = 1
# What DuckDB's JSON reader takes for one object by default.
MAX_LINE_BYTES = 16 << 20
STREAMS = (
    "chat_calls",
    "validations",
    "searches",
    "playbook_events",
    "pathway_events",
    "observer_events",
    "workflow_nodes",
    "replay_runs",
    "reviews",
    "audits",
    "outcomes",
    "agent_trajectories",
)
_STREAM = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


def check_stream(stream: str) -> str:
    """Return a stream's name when it is one.

    Raises:
        BadInput: It could not be part of a key.
    """
    if _STREAM.fullmatch(stream) is None:
        raise BadInput(f"{stream!r} is not a stream; a name matches [a-z][a-z0-9_]{{0,62}}", stream=stream)
    return stream


def encode_line(line: Mapping[str, Any], *, run_id: str, recorded_at: datetime) -> bytes:
    """One line of a stream, with its envelope and its line break.

    Args:
        line: The stream's own fields; `task_id`, `trace_id`, `actor` and `config_version` go into the envelope.
        run_id: The line's id; one in `line` does not count, nor do its `format_version` and `recorded_at`.
        recorded_at: When it was recorded, aware.

    Raises:
        BadInput: A value has no JSON form.
        TooLarge: Longer than `MAX_LINE_BYTES`.

    Source: CONTRACTS.md section 8.
    """
    record = {
        "run_id": run_id,
        "task_id": None,
        "trace_id": None,
        "actor": None,
        "config_version": None,
        **line,
    }
    stamp = recorded_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    record |= {"run_id": run_id, "format_version": FORMAT_VERSION, "recorded_at": stamp}
    try:
        encoded = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        raise BadInput(f"the line has no JSON form: {error}") from None
    if len(encoded) > MAX_LINE_BYTES:
        raise TooLarge(
            f"a line has at most {MAX_LINE_BYTES} bytes, this one has {len(encoded)}", limit_bytes=MAX_LINE_BYTES
        )
    return encoded
