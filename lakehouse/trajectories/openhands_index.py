"""OpenHands index: `<model>/instance_results/<benchmark>.json`, an object of `{instance: {cost, resolved}}`.

- One run for each (model, benchmark, instance): `reward` is 1 where it was resolved and 0 where not, null where the
  row does not say; `cost_usd` is the cost. There are no messages: such a run is evidence of an outcome, and nothing
  to learn words from.
- Model and benchmark are those of the path; one instance's runs of several models share a task.
- `scores.json` beside `instance_results` is no run; it is what the rows are held against (see openhands_scores.py).

Belongs here: the form of rows. Not here: published scores.

Source: https://github.com/OpenHands/openhands-index-results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from lakehouse.trajectories.elements import Element, read_members, runs_of
from lakehouse.trajectories.ids import joined, quoted
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan, Run, Step, Unusable
from lakehouse.trajectories.values import a_number, an_object

ROWS = "instance_results"
SCORES = "scores.json"


def plan(names: Sequence[str]) -> Plan:
    """Files of rows are jobs, `scores.json` is held against them, `metadata.json` is not read."""
    jobs, references, unknown = [], [], []
    for name in names:
        path = PurePosixPath(name)
        if path.parent.name == ROWS and path.suffix == ".json" and path.parent.parent.name:
            jobs.append(Job(name, (name,), {"model": path.parent.parent.name, "benchmark": path.stem}))
        elif path.name == SCORES:
            references.append(name)
        elif path.name != "metadata.json":
            unknown.append(name)
    return Plan(tuple(jobs), tuple(references), tuple(unknown))


def read(job: Job, origin: Origin, open_file: OpenFile) -> Iterator[Step]:
    """The runs of a file of rows."""
    with open_file(job.name) as stream:
        for element in read_members(stream):
            name = element.name if isinstance(element, Element) else ""
            yield from runs_of(element, partial(_runs, instance=name, job=job, origin=origin))


def outcome_of(value: Any) -> tuple[bool | None, float | None]:
    """Whether a row's instance was resolved, and what it cost; None where the row does not say.

    Raises:
        Unusable: It is no row.
    """
    row = an_object(value, "the row")
    resolved = row.get("resolved")
    if "resolved" not in row or not (resolved is None or isinstance(resolved, bool)):
        raise Unusable("resolved is neither true, false nor null")
    return resolved, a_number(row.get("cost"), "cost")


def _runs(value: Any, *, instance: str, job: Job, origin: Origin) -> Iterator[Run]:
    resolved, cost = outcome_of(value)
    if resolved is None and cost is None:
        raise Unusable("neither resolved nor cost says anything")
    model, benchmark = job.parts["model"], job.parts["benchmark"]
    source = f"{origin.source}/{quoted(model)}/{quoted(benchmark)}"
    yield Run(
        where=instance,
        run_id=joined(source, instance, 0),
        task_id=joined(origin.source, benchmark, instance),
        source=source,
        fields={
            "trial": 0,
            "reward": None if resolved is None else float(resolved),
            "messages": None,
            "tools": None,
            "model": model,
            "provider": None,
            "timestamp": None,
            "cost_usd": cost,
            "benchmark": benchmark,
            "agent": "OpenHands",
        },
    )
