"""Real tables on their whole way: dropped into landing/, materialized by Dagster, catalogued, asked for in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from lakehouse_api.compose import compose_services
from lakehouse_assets.dataset import dataset
from lakehouse_assets.dataset_checks import dataset_checks
from tests.api import RunningApi, api_settings, running_api
from tests.dagster_lake import lake_store
from tests.integration.test_real_data import MALFORMED, csv_rows, files, json_files, json_rows
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio

CHUNK = 31
SEPARATED = ("Alternate Titles", "Occupation Data", "Related Occupations", "Sample of Reported Titles")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Chain:
    """A bucket, a Dagster instance on it, and what was dropped where."""

    def __init__(self, server: StoreServer, folder: Path) -> None:
        self.objects = server.objects(bucket="real-chain")
        self.folder = folder
        self.expected: dict[str, int] = {}
        self.instance = dg.DagsterInstance.ephemeral(str(folder))

    def drop(self, path: Path, number: int, *, rows: int | None) -> str:
        """Put a file into the landing folder of a dataset of its own."""
        stem = re.sub(r"[^a-z0-9]+", "_", path.name.lower())
        name = f"t{number:03d}_{stem}"[:60].rstrip("_")
        self.objects.put(f"landing/{name}/{path.name}", path)
        if rows is not None:
            self.expected[name] = rows
        return name

    def materialize(self, names: list[str]) -> dg.ExecuteInProcessResult:
        """One run over some partitions, as a backfill makes it."""
        self.instance.add_dynamic_partitions("datasets", names)
        start, end = {"dagster/asset_partition_range_start": names[0]}, {"dagster/asset_partition_range_end": names[-1]}
        return dg.materialize(
            [dataset, *dataset_checks],
            partition_key=names[0] if len(names) == 1 else None,
            tags=None if len(names) == 1 else start | end,
            instance=self.instance,
            resources={"store": lake_store(self.objects, self.folder)},
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def chain(store_process: StoreServer, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    made = Chain(store_process, tmp_path_factory.mktemp("real-chain"))
    number = 0
    for path in (p for name, p in files(shared_data, ".csv").items() if name not in MALFORMED):
        made.drop(path, number := number + 1, rows=len(csv_rows(path, ",")))
    # Every fourth: test_real_data.py loads each of them, and what this adds is the way from landing/ to SQL.
    for path in list(json_files(shared_data).values())[::4]:
        made.drop(path, number := number + 1, rows=json_rows(path))
    for path in (shared_data / "onet" / f"{title}.txt" for title in SEPARATED):
        made.drop(path, number := number + 1, rows=len(csv_rows(path, "\t")))
    made.drop(shared_data / "scifact" / "queries.tsv", number + 1, rows=299)
    names = list(made.expected)
    for first in range(0, len(names), CHUNK):
        result = made.materialize(names[first : first + CHUNK])
        assert result.success, [e.event_specific_data for e in result.all_events if e.is_failure]
        assert all(check.passed for check in result.get_asset_check_evaluations())
    yield made
    made.instance.dispose()
    store_process.drop_bucket("real-chain")


@pytest.fixture(scope="module")
async def api(chain: Chain) -> Iterator[RunningApi]:
    settings = api_settings(chain.objects, chain.folder / "api", sql_timeout_s=120)
    async with running_api(settings, compose=compose_services) as running:
        yield running


async def ask(client: httpx.AsyncClient, sql: str) -> list[list[object]]:
    answer = await client.post("/v1/sql", json={"sql": sql, "max_rows": 100_000})
    assert answer.status_code == 200, answer.text
    rows: list[list[object]] = answer.json()["rows"]
    return rows


async def test_every_table_is_in_the_catalog_and_answers_in_sql(chain: Chain, api: RunningApi) -> None:
    assert len(chain.expected) > 100
    async with api.client() as client:
        listed = (await client.get("/v1/catalog")).json()["datasets"]
        assert {d["name"]: d["row_count"] for d in listed} == chain.expected
        names = list(chain.expected)
        for first in range(0, len(names), 50):
            some = names[first : first + 50]
            counted = await ask(client, " UNION ALL ".join(f"SELECT '{n}', count(*) FROM {n}" for n in some))
            assert dict(counted) == {n: chain.expected[n] for n in some}


async def test_alternate_titles_join_their_occupations(chain: Chain, api: RunningApi) -> None:
    titles = next(n for n in chain.expected if "alternate_titles" in n)
    occupations = next(n for n in chain.expected if "occupation_data" in n)
    sql = (
        f'SELECT count(*), count(DISTINCT o."O*NET-SOC Code") FROM {titles} t'
        f' JOIN {occupations} o ON t."O*NET-SOC Code" = o."O*NET-SOC Code"'
    )
    async with api.client() as client:
        ((joined, codes),) = await ask(client, sql)
    assert joined == 52_754
    assert codes == 1_016


async def test_job_codes_are_text_all_the_way(chain: Chain, api: RunningApi) -> None:
    jobs = next(n for n in chain.expected if "nyc_jobs" in n)
    async with api.client() as client:
        described = dict(r[:2] for r in await ask(client, f"SELECT column_name, column_type FROM (DESCRIBE {jobs})"))
        assert described["Title Code No"] == "VARCHAR"
        assert await ask(client, f"""SELECT count(*) > 0 FROM {jobs} WHERE "Title Code No" = '0527A'""") == [[True]]


def test_file_that_is_no_table_fails_its_run_with_the_line(chain: Chain, shared_data: Path) -> None:
    for number, (name, (line, _)) in enumerate(MALFORMED.items(), start=900):
        made = chain.drop(shared_data / name, number, rows=None)
        result = chain.materialize([made])
        assert not result.success, name
        (failure,) = [e for e in result.all_events if e.is_step_failure]
        said = failure.step_failure_data.error_display_string + str(failure.step_failure_data.user_failure_data)
        assert f"line {line}" in said or "empty" in said, (name, said)
