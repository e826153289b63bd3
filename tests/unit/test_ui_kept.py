"""What pages keep in the data folder: long work, answers and what was run are there after a restart, and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse_api.ui.history import History
from lakehouse_api.ui.job_records import JobRecord
from lakehouse_api.ui.jobs import Job, Jobs, Work
from lakehouse_api.ui.kept_files import read_document, write_document
from lakehouse_api.ui.result_rows import read_rows
from lakehouse_api.ui.results import Result, Results

HOUR_S = 3600.0


def begin(jobs: Jobs, work: Work, *, title: str = "Load x", is_alone: bool = False, owner: str = "ann") -> JobRecord:
    return jobs.start(title, work, owner=owner, kind="datasets", if_lost="look at the dataset", is_alone=is_alone)


async def wait(_: Job) -> None:
    await asyncio.Event().wait()


def test_job_tells_its_steps_and_how_it_ended(tmp_path: Path) -> None:
    async def run() -> None:
        jobs, go = Jobs(tmp_path, keep_s=HOUR_S), asyncio.Event()

        async def work(job: Job) -> None:
            job.step("reading")
            await go.wait()
            job.progress(3, 7)
            job.end("done", "7 rows", "/ui/datasets/of/x")

        async def fail(_: Job) -> None:
            raise BadInput("line 3 is wrong")

        async with jobs.running():
            job = begin(jobs, work)
            seen = []
            async for now in jobs.changes(job.id, owner="ann", beat_s=60):
                seen.append((now.state, len(now.steps)))
                if now.steps:
                    go.set()
            assert seen[0] == ("running", 0)
            assert seen[-1] == ("done", 1)
            with pytest.raises(NotFound):
                jobs.get(job.id, owner="bob")
            bad = begin(jobs, fail)
            assert [one.state async for one in jobs.changes(bad.id, owner="ann", beat_s=60)][-1] == "failed"
            assert jobs.get(bad.id, owner="ann").message == "line 3 is wrong"
            for _ in range(16):
                begin(jobs, wait)
            with pytest.raises(Conflict, match="going on already"):
                begin(jobs, work)

    asyncio.run(run())


def test_work_is_known_after_a_restart_and_what_was_stopped_says_so(tmp_path: Path) -> None:
    async def first() -> tuple[JobRecord, JobRecord]:
        jobs = Jobs(tmp_path, keep_s=HOUR_S)

        async def work(job: Job) -> None:
            job.step("reading")
            job.end("done", "7 rows", "/ui/datasets/of/x")

        async with jobs.running():
            ended, stopped = begin(jobs, work), begin(jobs, wait)
            await asyncio.sleep(0)
            return ended, stopped

    async def second(ended: JobRecord, stopped: JobRecord) -> None:
        jobs = Jobs(tmp_path, keep_s=HOUR_S)
        async with jobs.running():
            found = jobs.get(ended.id, owner="ann")
            assert (found.state, found.message, found.link, len(found.steps)) == (
                "done", "7 rows", "/ui/datasets/of/x", 1
            )  # fmt: skip
            assert [one.state async for one in jobs.changes(stopped.id, owner="ann")] == ["interrupted"]
            assert jobs.get(stopped.id, owner="ann").message == "look at the dataset"
            assert [one.id for one in jobs.of("ann")] == [stopped.id, ended.id]
            assert jobs.of("bob") == []
            with pytest.raises(NotFound):
                jobs.get("../" + ended.id, owner="ann")

    asyncio.run(second(*asyncio.run(first())))
    forgetful = Jobs(tmp_path, keep_s=0)
    assert forgetful.of("ann") == []
    forgetful.expire()
    assert not list(tmp_path.glob("*.json"))


def test_work_that_has_ended_and_tidies_up_while_the_server_stops_was_not_cut_off(tmp_path: Path) -> None:
    async def work(job: Job) -> None:
        job.end("done", "7 rows")
        await asyncio.Event().wait()

    async def run() -> JobRecord:
        jobs = Jobs(tmp_path, keep_s=HOUR_S)
        async with jobs.running():
            ended = begin(jobs, work)
            await asyncio.sleep(0)
        return ended

    ended = asyncio.run(run())
    kept = Jobs(tmp_path, keep_s=HOUR_S).get(ended.id, owner="ann")
    assert (kept.state, kept.message) == ("done", "7 rows")


_OTHER = """
import asyncio, sys
from pathlib import Path
from lakehouse_api.ui.jobs import Jobs
async def wait(job):
    job.step("reading")
    print(job.record.id, flush=True)
    await asyncio.Event().wait()
async def main():
    jobs = Jobs(Path(sys.argv[1]), keep_s=3600)
    async with jobs.running():
        jobs.start("Replay", wait, owner="ann", kind="replay", if_lost="go on with it", is_alone=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_work_of_a_process_that_was_killed_says_so_and_of_one_that_lives_goes_on(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert other.stdout is not None
        job_id = other.stdout.readline().strip()

        async def look() -> None:
            jobs = Jobs(tmp_path, keep_s=HOUR_S)
            async with jobs.running():
                assert jobs.get(job_id, owner="ann").state == "running"
                for owner, said in (("ann", f"/ui/jobs/{job_id}"), ("bob", "begun by ann")):
                    with pytest.raises(Conflict, match=said):  # two at once: one is told
                        jobs.start("Replay", wait, owner=owner, kind="replay", if_lost="", is_alone=True)
                begin(jobs, wait)  # another kind may
                seen = []
                async for now in jobs.changes(job_id, owner="ann", beat_s=0.02):
                    if not seen:
                        other.send_signal(signal.SIGKILL)
                        other.wait(60)
                    seen.append((now.state, now.message))
                assert seen[-1] == ("interrupted", "go on with it")
                jobs.start("Replay", wait, owner="bob", kind="replay", if_lost="", is_alone=True)

        asyncio.run(look())
    finally:
        other.kill()
        other.communicate(timeout=60)


def test_who_watches_is_let_go_when_the_server_stops_and_the_work_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        jobs = Jobs(tmp_path, keep_s=HOUR_S)
        async with jobs.running():
            job = begin(jobs, wait)
            seen = []
            async for now in jobs.changes(job.id, owner="ann", beat_s=60):
                seen.append(now.state)
                jobs.leave()
            assert set(seen) == {"running"}
            assert jobs.at_work == 1

    asyncio.run(run())


def test_disk_that_refuses_stops_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        jobs = Jobs(tmp_path, keep_s=HOUR_S)

        async def work(job: Job) -> None:
            job.end("done", "7 rows")

        async with jobs.running():
            for path in tmp_path.iterdir():
                assert path.suffix == ".lock"
            monkeypatch.setattr("lakehouse_api.ui.job_records.write_document", _full)
            job = begin(jobs, work)
            await asyncio.sleep(0.01)
            assert jobs.get(job.id, owner="ann").message == "7 rows"

    asyncio.run(run())


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _keep(results: Results, *, owner: str = "ann", has_pii: bool = False) -> Result:
    async def chunks() -> AsyncIterator[bytes]:
        table, sink = pa.table({"n": [1, 2]}), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        yield sink.getvalue().to_pybytes()

    return asyncio.run(results.keep(chunks(), sql="SELECT n", owner=owner, most_rows=9, has_pii=has_pii))


def test_answer_is_there_after_a_restart_for_its_owner_with_the_same_rights(tmp_path: Path) -> None:
    kept = _keep(Results(tmp_path, keep_s=HOUR_S), has_pii=True)
    again = Results(tmp_path, keep_s=HOUR_S)
    found = again.get(kept.id, owner="ann", has_pii=True)
    assert (found.sql, found.columns, read_rows(found, start=0, count=9)) == (
        "SELECT n",
        [("n", "int64")],
        [(1,), (2,)],
    )
    for owner, has_pii in (("bob", True), ("ann", False)):  # who has lost the scope since sees no personal data
        with pytest.raises(NotFound):
            again.get(kept.id, owner=owner, has_pii=has_pii)
    with pytest.raises(NotFound):
        again.get(f"../{kept.id}", owner="ann", has_pii=True)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_answers_end_by_age_by_number_by_word_and_by_what_was_never_finished(tmp_path: Path) -> None:
    results = Results(tmp_path, keep_s=HOUR_S)
    theirs = _keep(results, owner="bob")
    for _ in range(25):
        last = _keep(results)
    assert len(list(tmp_path.glob("*.arrows"))) == 25  # 24 of ann, and nobody else's went for it
    left = tmp_path / "left.arrows"
    left.touch()
    results.expire()
    assert left.exists()  # it may still be coming in
    os.utime(left, (time.time() - 7200,) * 2)
    results.expire()
    assert not left.exists()
    results.forget("ann")
    with pytest.raises(NotFound):
        results.get(last.id, owner="ann")
    assert results.get(theirs.id, owner="bob").rows == 2
    old = Results(tmp_path, keep_s=0)
    with pytest.raises(NotFound):
        old.get(theirs.id, owner="bob")
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 7200,) * 2)
    old.expire()
    assert not list(tmp_path.iterdir())


def test_document_that_is_damaged_is_none(tmp_path: Path) -> None:
    results = Results(tmp_path, keep_s=HOUR_S)
    kept = _keep(results)
    path = tmp_path / f"{kept.id}.json"
    document = read_document(path)
    assert document is not None
    for damaged in ("{", "[]", "{}", json.dumps(document | {"format_version": 99}), json.dumps(document | {"more": 1})):
        path.write_text(damaged)
        with pytest.raises(NotFound):
            results.get(kept.id, owner="ann")


def test_what_was_run_is_its_owners_once_each_and_bounded(tmp_path: Path) -> None:
    history = History(tmp_path, keep_s=HOUR_S)
    for number in range(60):
        history.add("ann", f"SELECT {number}", rows=number, result_id="r")
    history.add("ann", "SELECT 58", refusal="x" * 5000)
    ran = History(tmp_path, keep_s=HOUR_S).of("ann")
    assert [one.sql for one in ran[:3]] == ["SELECT 58", "SELECT 59", "SELECT 57"]
    assert (len(ran), len(ran[0].refusal), ran[1].rows) == (50, 1000, 59)
    assert history.of("bob") == []
    history.add("ann", "x" * 999_990)
    assert len(history.of("ann")) == 2
    assert History(tmp_path, keep_s=0).of("ann") == []
    history.forget("ann")
    assert history.of("ann") == []


def test_document_takes_the_place_of_the_one_before_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_document(path, {"n": 1})
    with pytest.raises(TypeError):
        write_document(path, {"n": object()})
    assert read_document(path) == {"n": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
