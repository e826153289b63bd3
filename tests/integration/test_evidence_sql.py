"""Evidence in SQL over HTTP: empty at first, fresh after a commit, `pii` for texts; the reference's examples run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.evidence_lake import SCORED, SCORED_TABLE
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile
from lakehouse.catalog.table_gc import collect_partition_files
from lakehouse.clock import utc_now
from lakehouse.tables.reserved import RESERVED_VIEWS
from tests.api import RunningApi, api_settings, running_api
from tests.evidence_lake import DAY, line, make, orphans, put_raw, refresh
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "evidence.md"
EXAMPLES = re.findall(r"```sql\n(.*?)```", REFERENCE.read_text(), re.DOTALL)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"])
    async with running_api(api_settings(objects, tmp_path / "data", tokens_file=tokens)) as running:
        yield running


async def ask(client: httpx.AsyncClient, query: str) -> httpx.Response:
    return await client.post("/v1/sql", json={"sql": query}, timeout=60)


async def rows(client: httpx.AsyncClient, query: str) -> list[list[Any]]:
    answer = await ask(client, query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def test_views_are_empty_before_there_is_anything_and_fresh_after_a_commit(
    api: RunningApi, objects: S3ObjectStore, tmp_path: Path
) -> None:
    async with api.client() as client:
        for view in ("evidence", "evidence_index", "scored"):
            assert await rows(client, f"SELECT * FROM {view}") == []
        for number in (1, 2, 3):
            put_raw(objects, f"part-{number}", line(f"r{number}"), line("same", second=number, note=f"n{number}"))
            make(objects, tmp_path, run=f"run-{number}")
            refresh(objects, tmp_path)
            assert await rows(client, "SELECT count(*), max(output_text) FROM evidence") == [[number + 1, f"n{number}"]]
            assert await rows(client, "SELECT count(*) FROM evidence_index WHERE status = 'serves'") == [[number + 1]]
        # What served before is collected: nothing that serves now is asked for any more.
        now = utc_now() + timedelta(days=30)
        week, day = timedelta(days=7), timedelta(days=1)
        done = collect_partition_files(objects, now=now, history=week, min_age=day, dry_run=False)
        assert done.collected
        assert orphans(objects) == set()
        assert await rows(client, "SELECT run_id FROM evidence ORDER BY 1") == [["r1"], ["r2"], ["r3"], ["same"]]


async def test_texts_need_the_scope_pii_and_the_index_and_scores_do_not(
    api: RunningApi, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put_raw(objects, "a", line("r1", note="called Ann"))
    make(objects, tmp_path)
    refresh(objects, tmp_path)
    put_scored(objects, tmp_path)
    async with api.client(token="reader") as reader:
        for query in ("SELECT run_id FROM evidence", "SELECT 1 FROM evidence_index JOIN evidence USING (run_id)"):
            refused = await ask(reader, query)
            assert refused.status_code == 403, refused.text
            assert "pii" in refused.text
        assert await rows(reader, "SELECT run_id, status FROM evidence_index") == [["r1", "serves"]]
        assert await rows(reader, "SELECT run_id, score FROM scored") == [["r1", "accepted"]]
    async with api.client() as client:
        assert await rows(client, "SELECT output_text FROM evidence") == [["called Ann"]]


def put_scored(objects: S3ObjectStore, folder: Path) -> None:
    """Scores of one run, in the form of the table."""
    import duckdb

    columns = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in RESERVED_VIEWS["scored"].items())
    table = duckdb.sql(
        f"SELECT * REPLACE ('r1' AS run_id, 'accepted' AS score) FROM (SELECT {columns})"
    ).to_arrow_table()
    assert isinstance(table, pa.Table)
    pq.write_table(table, folder / "scored.parquet")
    key = "scored/dt=2026-03-01/a.parquet"
    info = objects.put(key, folder / "scored.parquet")
    partition = Partition("f", (PartitionFile(SCORED, key, info.size, "", 1),))
    PartitionedTable(objects, SCORED_TABLE).commit(lambda _: {"2026-03-01": partition})


async def test_examples_of_the_reference_run(api: RunningApi, objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"), line("r2"), b"{broken\n")
    put_raw(objects, "b", line("r1", second=1, score=-1), day=DAY + timedelta(days=1))
    make(objects, tmp_path, [DAY, DAY + timedelta(days=1)])
    refresh(objects, tmp_path)
    first, second = (f"raw/outcomes/dt={DAY + timedelta(days=n)}/{name}.jsonl" for n, name in enumerate("ab"))
    assert len(EXAMPLES) == 4
    async with api.client() as client:
        by_day, raw_line, replaced, receipts = [await rows(client, query) for query in EXAMPLES]
    assert by_day == [["2026-03-01", "outcomes", 2, 1, 1]]
    assert [row[:4] for row in raw_line] == [["r1", "outcomes", second, 1]]
    assert replaced == [["r1", first, 1, second, 1]]
    assert receipts == [["2026-03-01", "run", True], ["2026-03-02", "run", True]]
