"""Uploads without a script, and what is there after the API has started again: answers, what was run, long work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.ingest.options import make_options
from lakehouse_api.schemas.triage import TriageChoice
from lakehouse_api.ui import triage_page
from tests.api import RunningApi, api_settings, running_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
CSRF = re.compile(r'name="csrf" value="([^"]+)"')
FILE = ("rows.csv", b"id,name\n1,ann\n2,bob\n", "text/csv")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="ui-kept")
    store_process.drop_bucket("ui-kept")


@asynccontextmanager
async def started(store: S3ObjectStore, folder: Path, **scopes: list[str]) -> AsyncIterator[RunningApi]:
    narrow = write_tokens_file(folder / "tokens.json", **{"reader": ["read"], "ann": ["read", "pii"], **scopes})
    async with running_api(api_settings(store, folder, tokens_file=narrow)) as api:
        yield api


@pytest.fixture(scope="module")
async def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    async with started(store, tmp_path_factory.mktemp("ui-upload")) as running:
        yield running


@asynccontextmanager
async def log_in(api: RunningApi, token: str = "test-token") -> AsyncIterator[httpx.AsyncClient]:
    async with api.client(token=None) as client:
        await client.post("/ui/login", data={"token": token, "next": "/ui/health"})
        yield client


async def secret_of(client: httpx.AsyncClient) -> str:
    found = CSRF.search((await client.get("/ui/health")).text)
    assert found is not None
    return found[1]


async def ended(client: httpx.AsyncClient, path: str) -> str:
    """The page of a piece of work once its stream has ended."""
    events = (await client.get(f"{path}/events")).text
    assert events.rstrip().splitlines()[-2] == "event: done"
    return (await client.get(path)).text


async def test_plain_form_uploads_and_leads_to_the_work(api: RunningApi) -> None:
    async with log_in(api) as client:
        fields = {"csrf": await secret_of(client), "name": "plain", "mode": "replace", "on_error": "refuse"}
        answer = await client.post("/ui/datasets/upload", data=fields, files={"file": FILE})
        assert answer.status_code == 303, answer.text
        page = await ended(client, answer.headers["location"])
        assert "version 1 with 2 rows" in page
        again = await client.post("/ui/datasets/upload", data=fields, files={"file": FILE})
        assert "has this very file already" in await ended(client, again.headers["location"])
        assert 'href="/ui/jobs/' in (await client.get("/ui/datasets")).text


async def test_form_takes_the_encoding_and_offers_only_those_that_there_are(api: RunningApi) -> None:
    async with log_in(api) as client:
        page = (await client.get("/ui/datasets")).text
        offered = re.findall(
            r'<option value="([^"]+)"( selected)?>', page.partition('id="upload-encoding"')[2].partition("</select>")[0]
        )
        assert [name for name, is_chosen in offered if is_chosen] == [make_options().encoding]
        for name, _ in offered:
            make_options(encoding=name)
        fields = {"csrf": await secret_of(client), "name": "umlauts"}
        files = {"file": ("a.csv", "id,name\n1,Müller\n".encode("cp1252"), "text/csv")}
        refused = await client.post("/ui/datasets/upload", data=fields, files=files)
        said = await ended(client, refused.headers["location"])
        assert "choose the file&#39;s encoding in the form" in said
        taken = await client.post("/ui/datasets/upload", data=fields | {"encoding": "cp1252"}, files=files)
        assert "version 1 with 1 row" in await ended(client, taken.headers["location"])
        unknown = await client.post("/ui/datasets/upload", data=fields | {"encoding": "klingon"}, files=files)
        assert (unknown.status_code, "klingon" in unknown.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("id,name\n1\n", "or choose &#34;put them aside&#34; for bad records to load the good records"),
        ("id,other\n1,a\n", "tick &#34;accept other columns&#34; to accept it"),
    ],
)
async def test_refusal_of_an_upload_speaks_of_the_fields_of_the_form(api: RunningApi, body: str, said: str) -> None:
    async with log_in(api) as client:
        fields = {"csrf": await secret_of(client), "name": "worded"}
        first = await client.post("/ui/datasets/upload", data=fields, files={"file": FILE})
        await ended(client, first.headers["location"])
        refused = await client.post("/ui/datasets/upload", data=fields, files={"file": ("b.csv", body.encode())})
        page = await ended(client, refused.headers["location"])
        assert said in page
        assert "=quarantine" not in page


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"csrf": "x", "name": "plain"}, 403, "load the page again"),
        ({"name": "plain"}, 403, "load the page again"),
        ({"csrf": None, "name": "Plain"}, 400, "a name matches"),
        ({"csrf": None, "name": "receipts"}, 400, "receipts"),
        ({"csrf": None, "name": "plain", "mode": "merge"}, 400, "mode"),
    ],
)
async def test_form_that_is_wrong_is_refused_before_the_file_is_taken(
    api: RunningApi, fields: dict[str, str | None], status: int, said: str
) -> None:
    async with log_in(api) as client:
        secret = await secret_of(client)
        taken = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal taken
            for name, value in fields.items():
                text = secret if value is None else value
                yield f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
            for _ in range(64):
                taken += 1
                yield b"x" * (1 << 16)
            yield b"\r\n--b--\r\n"

        answer = await client.post(
            "/ui/datasets/upload", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        assert (answer.status_code, said in answer.text) == (status, True), answer.text[-800:]
        assert not list(api.services.work_dir.glob("upload-*"))


async def test_file_before_its_fields_is_refused(api: RunningApi) -> None:
    async with log_in(api) as client:
        body = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nid\n1\r\n'
            b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + (await secret_of(client)).encode()
        )
        answer = await client.post(
            "/ui/datasets/upload", content=body + b"\r\n--b--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )  # fmt: skip
        assert answer.status_code == 403


async def test_reader_cannot_upload(api: RunningApi) -> None:
    async with log_in(api, "reader") as client:
        fields = {"csrf": await secret_of(client), "name": "plain"}
        answer = await client.post("/ui/datasets/upload", data=fields, files={"file": FILE})
        assert answer.status_code == 403
        assert "write" in answer.text
        assert 'id="upload"' not in (await client.get("/ui/datasets")).text


async def test_answers_and_work_survive_a_restart(store: S3ObjectStore, tmp_path: Path) -> None:
    statement = "SELECT 41 + 1 AS n, 'Ann <b>' AS t"
    async with started(store, tmp_path) as api, log_in(api, "ann") as client, log_in(api) as primary:
        csrf = await secret_of(client)
        answer = await client.post("/ui/sql", data={"csrf": csrf, "sql": statement})
        place = answer.headers["location"]
        assert (await client.post("/ui/sql", data={"csrf": csrf, "sql": "DROP TABLE x"})).status_code == 403
        fields = {"csrf": await secret_of(primary), "name": "kept"}
        upload = await primary.post("/ui/datasets/upload", data=fields, files={"file": FILE})
        assert "version 1 with 2 rows" in await ended(primary, upload.headers["location"])
        blocked = asyncio.Event()
        waiting = api.app.state.site.jobs.start(
            "Replay 3 tasks", lambda _: blocked.wait(), owner="ann", kind="replay", if_lost="go on with the batch",
            link="/ui/replay/b",
        )  # fmt: skip
    async with started(store, tmp_path) as api, log_in(api, "ann") as client, log_in(api) as primary:
        page = (await client.get(place)).text
        assert ">42<" in page
        assert "Ann &lt;b&gt;" in page
        assert (await primary.get(place)).status_code == 404
        shown = (await client.get("/ui/sql")).text
        assert "DROP TABLE x" in shown
        assert "Ann &lt;b&gt;" in shown
        ran = re.findall(r'href="(/ui/sql/history/[^"]+)"', shown)
        assert (
            statement.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;") in (await client.get(ran[1])).text
        )
        assert (await primary.get(ran[1])).status_code == 404
        assert "version 1 with 2 rows" in (await primary.get(upload.headers["location"])).text
        cut = (await client.get(f"/ui/jobs/{waiting.id}")).text
        assert "Cut off; it was last heard of after" in cut
        assert "go on with the batch" in cut
        assert 'href="/ui/replay/b"' in cut
        await client.post("/ui/sql/forget", data={"csrf": await secret_of(client)})
        assert (await client.get(place)).status_code == 404
        assert "DROP TABLE" not in (await client.get("/ui/sql")).text
    async with started(store, tmp_path, ann=["read"]) as api, log_in(api, "ann") as client:
        answer = await client.post("/ui/sql", data={"csrf": await secret_of(client), "sql": statement})
        assert (await client.get(answer.headers["location"])).status_code == 200


async def test_answer_asked_with_rights_that_are_gone_is_not_shown(store: S3ObjectStore, tmp_path: Path) -> None:
    async with started(store, tmp_path) as api, log_in(api, "ann") as client:
        answer = await client.post("/ui/sql", data={"csrf": await secret_of(client), "sql": "SELECT 1 AS n"})
    async with started(store, tmp_path, ann=["read"]) as api, log_in(api, "ann") as client:
        assert (await client.get(answer.headers["location"])).status_code == 404


async def test_edit_of_the_triage_is_sent_with_the_line_ends_that_were_written(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[TriageChoice] = []

    async def decide(*given: Any) -> None:
        sent.append(given[-1])

    monkeypatch.setattr(triage_page, "decide_triage_item", decide)
    async with log_in(api) as client:
        form = {
            "csrf": await secret_of(client),
            "decision": "edit",
            "version": "1",
            "note": "a\r\nb",
            "output": "c\r\nd",
        }
        answer = await client.post(f"/ui/triage/{'0' * 32}/decision", data=form)
    assert answer.status_code == 303
    assert [(choice.note, choice.output) for choice in sent] == [("a\nb", "c\nd")]


async def test_part_that_is_asked_for_from_no_address_leads_to_the_login(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        answer = await client.get("/ui/runs", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/ui/login"
