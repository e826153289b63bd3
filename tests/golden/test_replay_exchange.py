"""Replays on their way to other lakes: their form, and that what goes out comes in as it was.

After a change of the form that is meant: `python -m tests.golden.test_replay_exchange`.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.replay_exchange import take_in, write_out
from lakehouse.adapters.replay_store import ReplayStore, tasks_bytes
from lakehouse.errors import BadInput, Conflict
from lakehouse.promotion.rules import default_rules
from lakehouse.replay.batch import Unit
from lakehouse.replay.exchange import kind_of
from lakehouse.replay.task import ReplayTask
from lakehouse.replay.verdict import decide_batch, runs_of, verdict_json, verdict_text
from lakehouse.storage.objects import list_all
from tests.fakes.objects import MemoryObjects
from tests.unit.test_replay import batch_of

GOLDEN = Path(__file__).with_name("replay_exchange.jsonl")
TASKS = [ReplayTask(f"t-{n}", f"Who can weld, {n}?", ("crew",), {"ids": ["17"]}) for n in range(2)]

SHA256 = hashlib.sha256(tasks_bytes(TASKS)).hexdigest()


def row(task: int, arm: str, **changes: Any) -> dict[str, Any]:
    return {
        "schema": "replay_run.v1", "run_id": f"run-{task}-{arm}", "replay_of": None, "batch_id": "b", "actor": "me",
        "task_id": f"t-{task}", "arm": arm, "as_of": {"datasets": {}, "tables": {}, "logs": {}},
        "config_version": "answer/0+search/0", "seed": 0, "model": "m", "provider": "p",
        "question": TASKS[task].question,
        "retrieved": [{"id": "17", "corpus": "crew", "score": 0.5}], "bundle_tokens": 20, "bundle_dropped": 0,
        "answer": "Ana (id 17) – née Ruiz", "validation": {"passed": True, "error": None}, "expected": {"ids": ["17"]},
        "match": {"exact": True, "score": 1.0}, "prompt_tokens": 10, "completion_tokens": 3, "cost_usd": 0.0,
        "latency_ms": 12.5, "playbook_ids": [], "pathway_ids": [], "abstained": False,
        "started_at": "2026-03-04T09:00:00.000000Z", "ended_at": f"2026-03-04T09:00:0{task + 1}.000000Z", "error": None,
        **changes,
    }  # fmt: skip


def filled() -> MemoryObjects:
    """A batch of two tasks under two arms, one row of which failed, with its verdict; a baseline of each kind."""
    store = MemoryObjects()
    batch = replace(batch_of(2), tasks_sha256=SHA256)
    replays = ReplayStore(store)
    replays.create(batch, TASKS)
    for unit in batch.units():
        if unit == Unit(1, "playbook"):
            failed = row(1, "playbook", answer=None, match=None, validation=None, error={"status": 502, "detail": "x"})
            replays.keep(batch, unit, failed, is_done=False)
        else:
            replays.keep(batch, unit, row(unit.task, unit.arm), is_done=True)
    verdict = decide_batch(batch, runs_of(replays.rows(batch)), default_rules())
    replays.write("b", "verdict.md", verdict_text(verdict).encode())
    replays.write("b", "verdict.json", verdict_json(verdict))
    store.put("replay/b/lease.json", b"{}")
    store.put("replay/promotions/b.json", b"{}")
    store.put("audits/baselines/current.json", b'{"format_version": 1}')
    store.put("drift/embedding/baselines/1.json", b'{"version": 1}')
    store.put("drift/embedding/baselines/0a.parquet", b"PAR1\x00\xff")
    store.put("drift/embedding/baseline.json", b'{"version": 1}')
    store.put("drift/embedding/2026-03-01/report.json", b"{}")
    return store


def out(store: MemoryObjects, **options: Any) -> bytes:
    target = io.BytesIO()
    write_out(store, target, **options)
    return target.getvalue()


def test_lines_are_as_before() -> None:
    written = out(filled())
    assert written == GOLDEN.read_bytes()
    keys = [orjson.loads(line)["key"] for line in written.splitlines()]
    assert keys == [
        "audits/baselines/current.json", "drift/embedding/baseline.json", "drift/embedding/baselines/0a.parquet",
        "drift/embedding/baselines/1.json", "replay/b/batch.json", "replay/b/failed/000001.playbook.json",
        "replay/b/rows/000000.cold.json", "replay/b/rows/000000.playbook.json", "replay/b/rows/000001.cold.json",
        f"replay/b/tasks.{SHA256[:16]}.jsonl", "replay/b/verdict.json", "replay/b/verdict.md",
    ]  # fmt: skip


def test_what_goes_out_comes_in_once_and_goes_out_again_the_same() -> None:
    file, other = out(filled()), MemoryObjects()
    dry = take_in(other, io.BytesIO(file), is_dry=True)
    assert (dry.new, list(list_all(other, ""))) == (12, [])
    taken = take_in(other, io.BytesIO(file))
    assert (taken.objects, taken.new, taken.batches) == (12, 12, {"b"})
    assert out(other) == file
    assert take_in(other, io.BytesIO(file)).new == 0
    table = pq.read_table(io.BytesIO(other.get("replay/b/runs.parquet").body))
    assert table.column("run_id").to_pylist() == ["run-0-cold", "run-0-playbook", "run-1-cold", "run-1-playbook"]
    assert table.column("error").to_pylist()[-1] == "502 x"
    raw = [info.key for info in list_all(other, "raw/")]
    assert raw == [f"raw/replay_runs/dt=2026-03-04/replay-b-00000{n}.jsonl" for n in range(2)]
    assert len(other.get(raw[1]).body.splitlines()) == 2


def test_one_batch_goes_alone() -> None:
    keys = {orjson.loads(line)["kind"] for line in out(filled(), batches=["b"], baselines=False).splitlines()}
    assert keys == {"replay"}


def test_object_that_is_another_one_here_is_told_and_nothing_is_taken_in() -> None:
    file, other = out(filled()), MemoryObjects()
    other.put("replay/b/rows/000000.cold.json", b"{}")
    with pytest.raises(Conflict, match=r"line 7: 'replay/b/rows/000000\.cold\.json' is there"):
        take_in(other, io.BytesIO(file))
    assert len(list(list_all(other, ""))) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"raw": "{}"}, "raw was changed on its way"),
        ({"raw": 7}, "raw must be"),
        ({"raw": "\ud800"}, "is not JSON"),
        ({"key": "files/x.json"}, "is none of a replay"),
        ({"key": "replay/promotions/batch.json"}, "is none of a replay"),
        ({"key": "replay/b/lease.json"}, "is none of a replay"),
        ({"kind": "baseline"}, "is none of a baseline"),
        ({"kind": "pathway"}, "kind replay or baseline"),
        ({"format": "lakehouse.exchange/2"}, "is none of lakehouse.exchange/1"),
        ({"kind": ["replay"]}, "kind replay or baseline; `lakehouse exchange replays-out` writes such"),
    ],
)
def test_line_that_is_none_is_named_and_nothing_is_taken_in(change: dict[str, Any], said: str) -> None:
    lines = out(filled(), batches=["b"], baselines=False).splitlines(keepends=True)
    changed = {**orjson.loads(lines[0]), **change}
    import json

    bad = json.dumps(changed).encode() + b"\n"
    store = MemoryObjects()
    with pytest.raises(BadInput, match="line 2") as refused:
        take_in(store, io.BytesIO(lines[1] + bad))
    assert said in refused.value.detail
    assert not list(list_all(store, ""))


@pytest.mark.parametrize(
    "key",
    [
        "audits/baselines/../../files/x.json", "audits/baselines/a//b.json", "audits/2026/report.json",
        "replay/b/runs.parquet", "drift/embedding/2026-03-01/report.json", "replay/proposals/p.json",
        "raw/audits/dt=2026-03-01/a.jsonl",
    ],
)  # fmt: skip
def test_no_other_object_is_exchanged(key: str) -> None:
    assert kind_of(key) is None


if __name__ == "__main__":
    GOLDEN.write_bytes(out(filled()))
