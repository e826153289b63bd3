"""Imports of bytes in memory, for tests: read by a format, staged, published to a store."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from lakehouse.adapters.trajectory_import import Imported, import_plan
from lakehouse.storage.objects import ObjectStore
from lakehouse.trajectories.formats import format_of, origin_of
from lakehouse.trajectories.run import PassedOver, Refusal, Run, Step, line_of

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
JUDGE = "judges/one"


def opener(files: Mapping[str, bytes]) -> Callable[[str], BinaryIO]:
    return lambda name: io.BytesIO(files[name])


def steps_of(format_: str, files: Mapping[str, bytes], **told: str) -> list[Step]:
    """All that a format yields of files by name."""
    of = format_of(format_)
    given: dict[str, Any] = {"source": None, "licence": "MIT", **told}
    origin = origin_of(of, **given)
    return [step for job in of.plan(sorted(files)).jobs for step in of.read(job, origin, opener(files))]


def runs_of(format_: str, files: Mapping[str, bytes], **told: str) -> list[Run]:
    """The runs, there being nothing else."""
    steps = steps_of(format_, files, **told)
    assert not [step for step in steps if not isinstance(step, Run)]
    return [step for step in steps if isinstance(step, Run)]


def refused_of(steps: Sequence[Step]) -> list[tuple[str, str]]:
    return [(step.where, step.reason) for step in steps if isinstance(step, Refusal)]


def passed_over(steps: Sequence[Step]) -> int:
    return sum(isinstance(step, PassedOver) for step in steps)


def lines_of(runs: Sequence[Run]) -> bytes:
    return b"".join(line_of(run, licence="MIT", recorded_at=NOW) for run in runs)


def import_bytes(
    format_: str,
    files: Mapping[str, bytes],
    folder: Path,
    *,
    objects: ObjectStore | None = None,
    now: datetime = NOW,
    **told: str,
) -> list[Imported]:
    """Import files by name, as the command does."""
    of = format_of(format_)
    given: dict[str, Any] = {"source": None, "licence": "MIT", **told}
    origin, plan = origin_of(of, **given), of.plan(sorted(files))
    return list(import_plan(of, plan, origin, opener(files), objects=objects, folder=folder, now=now))


def tau_run(task: Any = 0, trial: int = 0, *, reward: float = 1.0, text: str = "Hi") -> dict[str, Any]:
    """A run of τ-bench."""
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Done."}]
    return {"task_id": task, "trial": trial, "reward": reward, "traj": messages, "info": {"user_cost": 0.1}}


def tau_file(*runs: dict[str, Any]) -> bytes:
    return json.dumps(runs, indent=1).encode()


def pair(**changes: Any) -> dict[str, Any]:
    """A pair of the data flywheel."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
    response = {
        "id": "c-1",
        "model": "small-1",
        "choices": [choice],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
    request = {"model": "small", "messages": [{"role": "user", "content": "6*7?"}], "temperature": 0.5}
    made = {
        "timestamp": 1_772_616_600,
        "workload_id": "sums",
        "client_id": "dev",
        "request": request,
        "response": response,
    }
    return {**made, **changes}


def json_lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)
