"""A batch of inputs: each line has its result, and what happens to one run stops none of the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from lakehouse.adapters.workflow_batches import run_batch
from lakehouse.errors import BadInput, TimedOut, Unavailable
from tests.fakes.objects import MemoryObjects

KEY = "files/workflows/b.jsonl"


def made(lines: bytes) -> MemoryObjects:
    objects = MemoryObjects()
    objects.put(KEY, lines)
    return objects


def test_a_run_that_does_not_end_in_time_fails_its_line_alone(tmp_path: Path) -> None:
    def run(given: Mapping[str, Any]) -> Mapping[str, Any]:
        if given["x"] == 2:
            raise TimedOut("run r did not end within 1 s")
        return {"run_id": "r", "success": True, "error": None, "output": given["x"]}

    objects = made(b'{"x": 1}\n{"x": 2}\n{"x": 3}\n')
    done = run_batch(objects, KEY, run, work_dir=tmp_path, name="n")
    assert (done.lines, done.succeeded, done.failed) == (3, 2, 1)
    assert done.errors == ("line 2: run r did not end within 1 s",)
    rows = [orjson.loads(line) for line in objects.get(done.results).body.splitlines()]
    assert [(row["line"], row["success"], row["output"]) for row in rows] == [
        (1, True, 1),
        (2, False, None),
        (3, True, 3),
    ]


def test_an_api_that_is_away_stops_the_batch_and_leaves_no_results(tmp_path: Path) -> None:
    def run(given: Mapping[str, Any]) -> Mapping[str, Any]:
        raise Unavailable("no API answers")

    objects = made(b'{"x": 1}\n')
    with pytest.raises(Unavailable):
        run_batch(objects, KEY, run, work_dir=tmp_path, name="n")
    assert [info.key for info in objects.list("").objects] == [KEY]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "key", ["raw/chat_calls/a.jsonl", "files/workflows/a.txt", "files/workflows/a.results-n.jsonl"]
)
def test_inputs_of_another_place_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="inputs lie under"):
        run_batch(MemoryObjects(), key, lambda given: given, work_dir=tmp_path, name="n")
