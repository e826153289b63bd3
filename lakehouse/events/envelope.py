"""The envelope of a run-log line, and the keys of the parts that lines are shipped in (CONTRACTS.md sections 1 and 8).

Belongs here: pure rules. Not here: the spool (see lakehouse/adapters/spool.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import BadInput

FORMAT_VERSION = 1
MAX_LINE_BYTES = 1 << 20
RAW_PREFIX = "raw/"
STREAMS = frozenset(
    {
        "chat_calls", "validations", "searches", "playbook_events", "pathway_events", "observer_events",
        "workflow_nodes", "replay_runs", "reviews", "audits", "outcomes", "agent_trajectories",
    }
)  # fmt: skip
# The order in which a line names them.
_ENVELOPE = dict.fromkeys(("run_id", "task_id", "trace_id", "actor", "config_version", "format_version", "recorded_at"))


def make_line(
    stream: str, line: Mapping[str, Any], *, run_id: str, recorded_at: datetime, most_bytes: int = MAX_LINE_BYTES
) -> bytes:
    """One line of a stream with its envelope first, ended by LF.

    Args:
        stream: One of `STREAMS`.
        line: What happened; its `task_id`, `trace_id`, `actor` and `config_version` go into the envelope.
        run_id: Id of the run; a `run_id` in the line wins.
        recorded_at: The time now, aware.
        most_bytes: Longest line; what is written line by line as it happens keeps to `MAX_LINE_BYTES`.

    Raises:
        BadInput: The stream is unknown, or the line is no JSON or too long.
    """
    if stream not in STREAMS:
        raise BadInput(f"stream {stream!r} is unknown; streams are {', '.join(sorted(STREAMS))}")
    # What is said twice keeps its first place, so that the envelope leads.
    whole = {**_ENVELOPE, **line, "format_version": FORMAT_VERSION, "recorded_at": format_utc(recorded_at)}
    whole["run_id"] = whole["run_id"] or run_id
    try:
        encoded = orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadInput(f"a line of {stream!r} is not JSON: {error}") from None
    if len(encoded) > most_bytes:
        raise BadInput(f"a line of {stream!r} has {len(encoded)} bytes; at most {most_bytes} are allowed")
    return encoded


def part_key(stream: str, day: str, part_id: str) -> str:
    """Key of a part in the bucket; `part_id` sorts by the time it was opened, `day` is that of its lines' recording."""
    return f"{RAW_PREFIX}{stream}/dt={day}/{part_id}.jsonl"
