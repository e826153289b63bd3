"""Pages over a bucket that has drift and replays: what stands there shows, is drawn, and is acknowledged."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import httpx
import orjson
import pytest

from lakehouse.adapters.drift_reports import DriftReports
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.drift.finding import Finding
from lakehouse.drift.report import DriftReport
from lakehouse.storage.objects import list_all
from tests.api import api_settings, running_api
from tests.golden.test_replay_exchange import filled
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 9, 5, tzinfo=UTC)
WORSE = Finding("bot <b>", "success", "cohens_h", 0.9, 0.3, 200, 200, effect=-1.2, p_value=1e-9, verdict="drift")
REPORT = DriftReport(
    "outcome", date(2026, 3, 5), NOW, "drift-1", 1, "drift", (WORSE,), confirmed_by="severe", confirmed=(WORSE.key,)
)
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    bucket = store_process.objects(bucket="ui-lake")
    reports = DriftReports(bucket, draw=orjson.dumps)
    reports.publish(replace(REPORT, day=date(2026, 3, 4)))
    reports.publish(REPORT)
    silent = replace(REPORT, verdict=None, findings=(), confirmed_by=None, confirmed=())
    reports.publish(replace(silent, day=date(2026, 3, 6), reason="no model ran that day"))
    reports.publish(replace(REPORT, kind="audit", verdict=None, findings=(), confirmed_by=None, confirmed=()))
    golden = filled()
    for info in list_all(golden, "replay/b/"):
        if not info.key.endswith("lease.json"):
            bucket.put(info.key, golden.get(info.key).body)
    yield bucket
    store_process.drop_bucket("ui-lake")


@pytest.fixture(scope="module")
async def client(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp("ui-lake")
    narrow = write_tokens_file(folder / "tokens.json", reader=["read"])
    async with running_api(api_settings(store, folder, tokens_file=narrow)) as api, api.client(token=None) as opened:
        await opened.post("/ui/login", data={"token": "test-token", "next": "/ui"})
        yield opened


async def test_replay_shows_arms_intervals_and_rows(client: httpx.AsyncClient) -> None:
    assert 'href="/ui/replay/b"' in (await client.get("/ui/replay")).text
    page = (await client.get("/ui/replay/b")).text
    assert "3 of 4" in page
    assert "Verdict: <strong>hold</strong>" in page
    assert "Ana (id 17) – née Ruiz" in page
    chart = await client.get("/ui/replay/b/chart", headers={"HX-Request": "true"})
    assert "<svg" in chart.text
    picture = await client.get("/ui/replay/b/chart?png=true")
    assert picture.content.startswith(b"\x89PNG")
    assert "Answers show here" in (await client.get("/ui/replay/b?start=100", headers={"HX-Request": "true"})).text


async def test_replay_that_has_ended_or_never_was_is_not_gone_on_with(client: httpx.AsyncClient) -> None:
    secret = CSRF.search((await client.get("/ui/replay")).text)
    assert secret is not None
    for batch, status, said in (("b", 409, "has its verdict"), ("nowhere", 404, "there is no batch")):
        answer = await client.post(f"/ui/replay/{batch}/resume", data={"csrf": secret[1]})
        assert (answer.status_code, said in answer.text) == (status, True)


@pytest.mark.parametrize(
    ("fields", "files", "said"),
    [
        ({"most": "0"}, {}, "most tasks must be a whole number"),
        ({"tasks_from": "file"}, {}, "choose a file of tasks"),
        ({"tasks_from": "file"}, {"tasks": b"{"}, "the tasks, line 1"),
        ({"arms_from": "file"}, {}, "choose a file of arms"),
        ({"arms_from": "file"}, {"arms": b"version: 1\nbaseline: x\narms:\n  - {nme: x}\n"}, "line 4"),
        ({"arms_from": "file"}, {"arms": b"\xff"}, "not UTF-8 text"),
        ({"arms_from": "file"}, {"arms": b"version: 1\nbaseline: x\narms:\n  - {name: x}\n"}, "a replay compares"),
        ({"arm": "cold"}, {}, "a replay compares"),
        ({"arm": ["cold", "<b>"]}, {}, "there is no arm"),
        ({"arm": ["cold", "playbook"], "batch": "Not A Name"}, {}, "Not A Name"),
    ],
)
async def test_form_of_a_replay_says_what_is_wrong(
    client: httpx.AsyncClient, fields: dict[str, str], files: dict[str, bytes], said: str
) -> None:
    secret = CSRF.search((await client.get("/ui/replay")).text)
    assert secret is not None
    sent = {name: (f"{name}.txt", body) for name, body in files.items()} or {"tasks": ("", b"")}
    answer = await client.post("/ui/replay/run", data={"csrf": secret[1], **fields}, files=sent)
    assert (answer.status_code, said in answer.text) == (400, True), answer.text[-600:]


async def test_texts_of_a_replay_are_masked_without_the_scope(client: httpx.AsyncClient) -> None:
    transport = client._transport
    async with httpx.AsyncClient(transport=transport, base_url=client.base_url) as reader:
        await reader.post("/ui/login", data={"token": "reader", "next": "/ui"})
        page = (await reader.get("/ui/replay/b")).text
        assert "Ana (id 17)" not in page
        assert "Acknowledging needs the scope" in (await reader.get("/ui/drift/outcome")).text


async def test_drift_that_has_compared_nothing_is_no_chart_without_end(client: httpx.AsyncClient) -> None:
    for png in ("", "?png=true"):
        answer = await client.get(f"/ui/drift/audit/chart/over-time{png}", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert "no effect against the baseline is known yet" in answer.text


async def test_drift_of_each_day_can_be_looked_at_and_is_told_in_words(client: httpx.AsyncClient) -> None:
    page = (await client.get("/ui/drift/outcome")).text
    assert "success of bot &lt;b&gt; went down" in page
    assert "/success/down" not in page
    assert re.findall(r'href="/ui/drift/outcome\?day=([^"]+)">2026', page) == ["2026-03-06", "2026-03-05", "2026-03-04"]
    assert "no model ran that day" in page
    assert "<caption>Findings" not in page  # of a day that compared nothing
    of_day = (await client.get("/ui/drift/outcome?day=2026-03-04")).text
    assert "2026-03-04: <strong>drift</strong>, confirmed" in of_day
    assert "the latest, of 2026-03-06" in of_day
    (chart, *_) = re.findall(r'hx-get="(/ui/drift/outcome/chart/[^"]+\?day=2026-03-04)"', of_day)
    assert "<svg" in (await client.get(chart, headers={"HX-Request": "true"})).text
    for query, status in (("2026-01-01", 404), ("yesterday", 400)):
        assert (await client.get(f"/ui/drift/outcome?day={query}")).status_code == status


async def test_drift_shows_over_time_and_is_acknowledged_once(client: httpx.AsyncClient) -> None:
    assert "The gate is shut" in (await client.get("/ui/drift")).text
    page = (await client.get("/ui/drift/outcome?day=2026-03-05")).text
    assert "bot &lt;b&gt;" in page
    names = re.findall(r'hx-get="(/ui/drift/outcome/chart/[^"]+)"', page)
    assert "/ui/drift/outcome/chart/over-time" in names
    for name in names:
        answer = await client.get(name, headers={"HX-Request": "true"})
        assert "<svg" in answer.text, name
        assert "<b>" not in answer.text
    secret = CSRF.search(page)
    assert secret is not None
    for why, status in (("x" * 100_000, 400), ("the prompt was made shorter", 303), ("again", 409)):
        said = await client.post("/ui/drift/outcome/acknowledge", data={"csrf": secret[1], "why": why})
        assert said.status_code == status, said.text[-600:]
    after = (await client.get("/ui/drift/outcome")).text
    assert "by primary: the prompt was made shorter" in after
    assert "The gate is shut" not in (await client.get("/ui/drift")).text
