"""What an importer yields: runs that become lines, and what it could not use.

Belongs here: the values that formats hand on, the envelope of a line. Not here: any format, counting (see
lakehouse/adapters/trajectory_staging.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, TypeAlias

from lakehouse.errors import BadInput
from lakehouse.events.envelope import make_line
from lakehouse.evidence.fitness import MAX_KEPT_BYTES, MAX_LINE_BYTES

STREAM = "agent_trajectories"
ACTOR = "import"
_TOO_DEEP = "is nested deeper than 254 levels"  # that is as deep as lines are written

OpenFile: TypeAlias = Callable[[str], BinaryIO]
"""Opens a file by the name that the job gives it; the caller closes it."""


class Unusable(ValueError):
    """An element is no run of its format; the text says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where runs come from, as the user says or the format knows.

    Attributes:
        source: Name of the data set; ids begin with it.
        licence: SPDX identifier of the licence it may be used under.
        model: The model, for formats whose files do not name it.
        judge: The model that judged, for formats whose files do not name it.
    """

    source: str
    licence: str
    model: str | None = None
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its ids, and the fields of its line that are not the envelope's.

    Attributes:
        where: Its place in the source, for people.
        run_id: `<source>/<task>/<trial>`.
        task_id: What can be compared with it shares this.
        source: Data set and file.
        fields: Fields of the raw line; `messages` and what is known besides.
        trace_id: The trace it belongs to, where it has one.
    """

    where: str
    run_id: str
    task_id: str
    source: str
    fields: Mapping[str, Any]
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could not be used: where it stood, why, and (`is_cut`) the begin of its bytes."""

    where: str
    reason: str
    raw: bytes = b""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that is in order and no run of its own, such as the span of a tool call."""


Step: TypeAlias = Run | Refusal | PassedOver


@dataclass(frozen=True, slots=True)
class Job:
    """Files that become one raw object.

    Attributes:
        name: What people know it by; the first of its files.
        files: Names of all its files, sorted.
        parts: What the format reads from the names (model, benchmark, …); part of what makes the object's name.
    """

    name: str
    files: tuple[str, ...]
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What files are for: jobs, files that only check the others, and files that the format does not know."""

    jobs: tuple[Job, ...]
    references: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def refusal(where: str, reason: str, raw: bytes = b"") -> Refusal:
    """A refusal that keeps only the begin of what is long."""
    return Refusal(where, reason, raw[:MAX_KEPT_BYTES], len(raw) > MAX_KEPT_BYTES)


def line_of(run: Run, *, licence: str, recorded_at: datetime) -> bytes:
    """The raw line of a run, ended by LF.

    Raises:
        Unusable: It cannot be written as a line that evidence takes.
    """
    line = {
        "task_id": run.task_id, "trace_id": run.trace_id, "actor": ACTOR, **run.fields, "source": run.source,
        "licence": licence,
    }  # fmt: skip
    try:
        return make_line(STREAM, line, run_id=run.run_id, recorded_at=recorded_at, most_bytes=MAX_LINE_BYTES)
    except BadInput as error:
        raise Unusable(_TOO_DEEP if "Recursion limit" in error.detail else error.detail) from None
