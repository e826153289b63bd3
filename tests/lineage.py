"""A small lake with a whole chain for tests of lineage, audits and retractions: lines, evidence, scores, builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import orjson

from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.distillation.parameters import Kind, read_parameters
from lakehouse.storage.objects import list_all
from lakehouse_assets.resources import LakeStore
from tests.dagster_lake import lake_store

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
DAYS = (FIRST, SECOND)
RUN = RunFacts("run-of-a-test")
RAW = f"raw/agent_trajectories/dt={FIRST}/a.jsonl"
ACCEPTED = "bench/task-1/1"
REJECTED = "bench/task-1/5"
# What lies in a lake that was made, by the kinds of its builds.
_made: dict[tuple[Kind, ...], dict[str, bytes]] = {}


def trajectory(number: int, *, day: date = FIRST, reward: float = 1.0, says: str = "") -> bytes:
    """A line of a run `bench/task-<n mod 4>/<n>`, with its LF."""
    task = f"task-{number % 4}"
    line = {
        "run_id": f"bench/{task}/{number}",
        "task_id": task,
        "recorded_at": f"{day}T10:00:00.000000Z",
        "messages": [
            {"role": "user", "content": f"Who can weld on {task}, and by when would they be on site?"},
            {
                "role": "assistant",
                "content": f"Number {number}: somebody with certificate {number * 7919} and a van. {says}".strip(),
            },
        ],
        "reward": reward,
        "model": "m",
        "source": "bench",
        "licence": "MIT",
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def raw_lines() -> list[bytes]:
    """The lines of the first day: runs 0 to 3 and 8 to 11 accepted, 4 to 7 rejected, one that does not fit."""
    lines = [trajectory(n, reward=0.0 if 4 <= n < 8 else 1.0) for n in range(12)]
    return [*lines, b'{"run_id": "broken"}\n']


def bodies_of(objects: S3ObjectStore) -> dict[str, bytes]:
    """What lies in a bucket, by key."""
    return {info.key: objects.get(info.key).body for info in list_all(objects, "")}


@contextmanager
def mended(whole: S3ObjectStore, bodies: Mapping[str, bytes]) -> Iterator[S3ObjectStore]:
    """A lake for one test, in which afterwards lies what lay in it, `bodies`."""
    before = {info.key: info.etag for info in list_all(whole, "")}
    yield whole
    after = {info.key: info.etag for info in list_all(whole, "")}
    for key in after.keys() - before.keys():
        whole.delete(key)
    for key, etag in before.items():
        if after.get(key) != etag:
            whole.put(key, bodies[key])


def make_lake(objects: S3ObjectStore, folder: Path, *, kinds: tuple[Kind, ...] = ("sft", "preference")) -> LakeStore:
    """A lake on the test's bucket with everything made; in an empty bucket the second of a kind is a copy."""
    is_empty = not objects.list("", limit=1).objects
    if is_empty and kinds in _made:
        for key, body in _made[kinds].items():
            objects.put(key, body)
        return lake_store(objects, folder)
    objects.put(RAW, b"".join(raw_lines()))
    corrected = [trajectory(12, day=SECOND, says="First."), trajectory(12, day=SECOND, says="Second.")]
    objects.put(f"raw/agent_trajectories/dt={SECOND}/b.jsonl", b"".join(corrected))
    store = lake_store(objects, folder)
    bring_up_to_date(store, kinds=kinds)
    if is_empty:
        _made[kinds] = bodies_of(objects)
    return store


def bring_up_to_date(store: LakeStore, *, kinds: tuple[Kind, ...] = ()) -> dict[str, str]:
    """Make evidence, the index, scores and builds as they are behind; gives the builds' ids by kind."""
    lake = store.lake
    list(lake.evidence.materialize("agent_trajectories", DAYS, RUN))
    lake.evidence_index.refresh()
    lake.scored.score(RUN)
    return {kind: lake.exports.export(read_parameters({"kind": kind}), RUN).manifest.build_id for kind in kinds}
