"""τ-bench: a JSON array of `{task_id, trial, reward, traj, info}`, one element for each trial of a task.

- The trials of a task are runs of their own: `run_id` is `<source>/<task>/<trial>`.
- Model and domain are read from the file's name, `<model>-<domain>.json`; a file of another name needs the model told,
  and its tasks are compared within the file.
- `reward` is the published one; `info` (the task, its expected actions, the cost of the simulated user) stays as it is.

Belongs here: the form. Not here: pass^k (see docs/guides/trajectories.md).

Source: https://github.com/sierra-research/tau-bench, `historical_trajectories`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from lakehouse.trajectories.elements import read_array, runs_of
from lakehouse.trajectories.ids import joined, quoted
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan, Run, Step, Unusable
from lakehouse.trajectories.values import a_count, a_number, an_id, an_object, chat_messages

_NAME = re.compile(r"(?P<model>.+)-(?P<domain>airline|retail|telecom)")
_PROVIDERS = (("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("claude", "anthropic"), ("sonnet", "anthropic"))


def plan(names: Sequence[str]) -> Plan:
    """Each `.json` file is a job."""
    known = [name for name in names if name.endswith(".json")]
    return Plan(tuple(map(_job, known)), unknown=tuple(name for name in names if name not in known))


def read(job: Job, origin: Origin, open_file: OpenFile) -> Iterator[Step]:
    """The runs of a file."""
    with open_file(job.name) as stream:
        for element in read_array(stream):
            yield from runs_of(element, partial(_runs, job=job, origin=origin))


def _job(name: str) -> Job:
    stem = PurePosixPath(name).stem
    found = _NAME.fullmatch(stem)
    parts = {"stem": stem} if found is None else {"stem": stem, **found.groupdict()}
    return Job(name, (name,), parts)


def _runs(value: Any, *, job: Job, origin: Origin) -> Iterator[Run]:
    element = an_object(value, "the element")
    trial = a_count(element.get("trial"), "trial")
    if trial is None:
        raise Unusable("trial is missing")
    task = an_id(element.get("task_id"), "task_id")
    messages = chat_messages(element.get("traj"), "traj")
    model = origin.model or job.parts.get("model")
    source = f"{origin.source}/{quoted(job.parts['stem'])}"
    known = {"task_id", "trial", "reward", "traj"}
    yield Run(
        where=f"task {task}, trial {trial}",
        run_id=joined(source, task, trial),
        task_id=joined(origin.source, job.parts.get("domain", job.parts["stem"]), task),
        source=source,
        fields={
            "trial": trial,
            "reward": a_number(element.get("reward"), "reward"),
            "messages": messages,
            "tools": None,
            "model": model,
            "provider": next((p for begin, p in _PROVIDERS if model and model.startswith(begin)), None),
            "timestamp": None,
            "tau_bench": {name: field for name, field in element.items() if name not in known},
        },
    )
