"""What SQL sees of JSON that lies in the bucket: the quarantine and the receipts, empty until there is something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, write_receipt
from tests.api import RunningApi, api_settings, running_api
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"])
    async with running_api(api_settings(objects, tmp_path / "data", tokens_file=tokens)) as running:
        yield running


async def sql(client: httpx.AsyncClient, query: str) -> list[list[Any]]:
    answer = await client.post("/v1/sql", json={"sql": query}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def test_quarantine_is_seen_as_soon_as_there_is_one(api: RunningApi) -> None:
    shown = "SELECT origin, raw, reason, record, line FROM quarantine ORDER BY record"
    async with api.client() as client:
        assert await sql(client, shown) == []
        for name in ("first", "second"):
            files = {"file": (f"{name}.csv", b"a,b\n1,2\n3\n4,5,6\n")}
            answer = await client.post(f"/v1/ingest?name={name}&on_error=quarantine", files=files, timeout=60)
            assert answer.json()["quarantined"] == 2, answer.text
        ragged = "1 field where the header has 2"
        assert await sql(client, f"{shown}, origin LIMIT 2") == [
            ["first.csv", "3", ragged, 2, 3], ["second.csv", "3", ragged, 2, 3],
        ]  # fmt: skip
        assert await sql(client, "SELECT count(*) FROM quarantine WHERE refused_at > TIMESTAMP '2026-01-01'") == [[4]]
        assert (await client.post("/v1/sql", json={"sql": shown, "as_of": "2026-01-01T00:00:00Z"})).status_code == 400
    async with api.client(token="reader") as reader:
        assert (await reader.post("/v1/sql", json={"sql": shown})).status_code == 403


async def test_receipts_are_rows(api: RunningApi, objects: S3ObjectStore) -> None:
    shown = "SELECT asset, partition, ok, started_at, ended_at FROM receipts ORDER BY ALL"
    async with api.client() as client:
        assert await sql(client, shown) == []
        for partition, ok in (("a", True), ("b", False)):
            receipt = Receipt(
                asset="dataset", partition=partition, run_id="r1", code_version="1", git_commit="none",
                started_at=BEGUN, ended_at=BEGUN + timedelta(seconds=1), inputs=(), outputs=(),
                counts=ReceiptCounts(taken=1, new=1, out=1), ok=ok,
            )  # fmt: skip
            write_receipt(objects, receipt)
        times = ["2026-01-02T03:04:05", "2026-01-02T03:04:06"]
        assert await sql(client, shown) == [["dataset", "a", True, *times], ["dataset", "b", False, *times]]
