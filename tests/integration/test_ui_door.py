"""The door of the pages: who gets in, what a change must bring along, what every answer carries."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi, api_settings, running_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="ui-door")
    store_process.drop_bucket("ui-door")


@pytest.fixture(scope="module")
async def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    folder = tmp_path_factory.mktemp("ui-door")
    narrow = write_tokens_file(folder / "tokens.json", reader=["read"])
    async with running_api(api_settings(store, folder, tokens_file=narrow, allowed_hosts="lake.example")) as running:
        yield running


@pytest.fixture(scope="module")
async def open_api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    async with running_api(api_settings(store, tmp_path_factory.mktemp("ui-open"), auth_token=None)) as running:
        yield running


@asynccontextmanager
async def log_in(api: RunningApi, token: str = "test-token") -> AsyncIterator[httpx.AsyncClient]:
    async with api.client(token=None) as client:
        answer = await client.post("/ui/login", data={"token": token, "next": "/ui/health"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/health")
        yield client


async def test_page_without_a_session_leads_to_the_login_and_back(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        answer = await client.get("/ui/runs?score=accepted")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/ui/login?next=/ui/runs%3Fscore%3Daccepted"
        form = await client.get(answer.headers["location"])
        assert 'value="/ui/runs?score=accepted"' in form.text
        part = await client.get("/ui/runs", headers={"HX-Request": "true"})
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/ui/login")
        stood = {"HX-Request": "true", "HX-Current-URL": "http://127.0.0.1/ui/runs?score=accepted"}
        part = await client.post("/ui/sql", headers=stood)
        assert part.headers["hx-redirect"] == "/ui/login?next=/ui/runs%3Fscore%3Daccepted&unsent=true"


async def test_page_with_a_long_query_leads_to_a_login_that_opens(api: RunningApi) -> None:
    long = f"/ui/fill?need={'%20'.join(['weld'] * 400)}"
    stood = {"HX-Request": "true", "HX-Current-URL": f"http://127.0.0.1{long}"}
    async with api.client(token=None) as client:
        for login in (
            (await client.get(long)).headers["location"],
            (await client.post("/ui/fill/outcome", headers=stood)).headers["hx-redirect"],
        ):
            form = await client.get(login)
            assert form.status_code == 200
            assert 'name="next" value="/ui/fill"' in form.text


async def test_change_after_its_session_is_told_to_be_made_again(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        refused = await client.post("/ui/sql", data={"sql": "SELECT 1"})
        assert (refused.status_code, refused.headers["location"]) == (303, "/ui/login?next=/ui&unsent=true")
        assert "has not been done" in (await client.get(refused.headers["location"])).text
        left = await client.post("/ui/logout")
        assert left.headers["location"] == "/ui/login?next=/ui"  # nothing was lost
        assert "has not been done" not in (await client.get("/ui/login")).text


async def test_page_that_is_gone_back_to_comes_whole(api: RunningApi) -> None:
    async with log_in(api) as client:
        part = {"HX-Request": "true"}
        assert "<nav" not in (await client.get("/ui/runs", headers=part)).text
        assert "<nav" in (await client.get("/ui/runs", headers=part | {"HX-History-Restore-Request": "true"})).text


async def test_wrong_token_is_told_on_the_form_and_opens_nothing(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        answer = await client.post("/ui/login", data={"token": "guess", "next": "/ui"})
        assert answer.status_code == 401
        assert "this token is not known" in answer.text
        assert "set-cookie" not in answer.headers


async def test_session_is_http_only_and_holds_no_token(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        answer = await client.post("/ui/login", data={"token": "test-token", "next": "//evil.example"})
        cookie = answer.headers["set-cookie"]
        assert answer.headers["location"] == "/ui"
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/ui" in cookie
        assert "test-token" not in cookie
        assert (await client.get("/ui/health")).status_code == 200
    async with api.client(token=None, base_url="https://lake.example") as client:
        answer = await client.post("/ui/login", data={"token": "test-token", "next": "/ui"})
        assert "Secure" in answer.headers["set-cookie"]


async def test_api_takes_no_cookie_and_pages_take_no_bearer_token(api: RunningApi) -> None:
    async with log_in(api) as client:
        client.cookies.set("lakehouse_session", client.cookies["lakehouse_session"], path="/")
        assert (await client.get("/v1/catalog")).status_code == 401
    async with api.client() as client:
        assert (await client.get("/ui/health")).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "/ui/search/judge", "/ui/search/exclude", "/ui/sql", "/ui/sql/download", "/ui/logout", "/ui/fill/propose",
        "/ui/fill/draft", "/ui/fill/check", "/ui/fill/outcome", "/ui/memory/pathways/x/retire",
        "/ui/memory/playbooks/x/forget", "/ui/memory/playbooks/x/judge", "/ui/drift/outcome/acknowledge",
        "/ui/corpora/build", f"/ui/triage/{'0' * 32}/decision", "/ui/datasets/upload",
        "/ui/sql/forget", "/ui/replay/run", "/ui/replay/x/resume",
    ],
)  # fmt: skip
async def test_change_without_the_sessions_secret_is_refused(api: RunningApi, path: str) -> None:
    async with log_in(api) as client, log_in(api) as other:
        theirs = CSRF.search((await other.get("/ui/health")).text)
        assert theirs is not None
        for given in ({}, {"csrf": "x"}, {"csrf": theirs[1]}):
            answer = await client.post(path, data={"sql": "SELECT 1", **given})
            assert answer.status_code == 403, given
            assert "load the page again" in answer.text


async def test_every_change_of_the_pages_is_among_those_that_are_tried() -> None:
    from lakehouse_api.ui.routes import PAGES

    tried = test_change_without_the_sessions_secret_is_refused.pytestmark[0].args[1]
    changes = {
        re.sub(r"\{[^}]+\}", "*", route.path)
        for router in PAGES
        for route in router.routes
        if getattr(route, "methods", None) and "POST" in route.methods
    } - {"/ui/login"}
    covered = {
        re.sub(
            r"(pathways/x|playbooks/x|drift/outcome|triage/0{32}|replay/x)",
            lambda m: m[0].rsplit("/", 1)[0] + "/*",
            path,
        ).partition("?")[0]
        for path in tried
    }
    assert covered == changes


async def test_page_of_another_origin_cannot_drive_the_pages(api: RunningApi) -> None:
    async with log_in(api) as client:
        for method, path in (("GET", "/ui/health"), ("POST", "/ui/login")):
            answer = await client.request(
                method, path, headers={"Origin": "https://evil.example", "Referer": "http://["}
            )
            assert answer.status_code == 403
            assert "evil.example" in answer.text


async def test_scopes_hold_on_pages(api: RunningApi) -> None:
    async with log_in(api, "reader") as client:
        page = await client.get("/ui/datasets")
        assert "Upload" not in page.text
        assert "There is no dataset yet. Drop files" in page.text
        secret = CSRF.search(page.text)
        assert secret is not None
        answer = await client.post("/ui/search/judge", data={
            "csrf": secret[1], "q": "x", "id": "1", "corpus": "c", "verdict": "up",
        })  # fmt: skip
        assert answer.status_code == 403
        assert "lacks the scope &#39;write&#39;" in answer.text
        assert "scope <code>pii</code>" in (await client.get("/ui/memory")).text


async def test_every_answer_forbids_foreign_scripts_and_caches(api: RunningApi) -> None:
    async with log_in(api) as client:
        paths = (
            "/ui/login", "/ui/search", "/ui/fill", "/ui/datasets", "/ui/sql", "/ui/memory", "/ui/runs", "/ui/corpora",
            "/ui/triage", "/ui/drift", "/ui/replay", "/ui/health", "/ui/datasets/of/nothing", "/ui/nowhere",
        )  # fmt: skip
        for path in paths:
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert "<script>" not in answer.text
            assert " style=" not in answer.text
            assert not re.search(r" on[a-z]+=", answer.text)


async def test_empty_lake_says_on_each_page_what_to_do(api: RunningApi) -> None:
    async with log_in(api) as client:
        for path, said in {
            "/ui/search": "lakehouse corpus build", "/ui/fill": "lakehouse corpus build",
            "/ui/datasets": "Upload a file below", "/ui/memory": "lakehouse pathway add", "/ui/runs": "lakehouse score",
            "/ui/corpora": "lakehouse export sft", "/ui/triage": "lakehouse triage fill",
            "/ui/drift": "lakehouse drift baseline", "/ui/replay": "Begin below",
        }.items():  # fmt: skip
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert said in answer.text, path


async def test_documentation_of_the_api_is_a_page_and_a_browser_is_led_to_it(api: RunningApi) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with api.client(token=None) as client:
        answer = await client.get("/docs", headers=browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/docs")
        assert (await client.get("/docs")).status_code == 401  # what is no browser is told what the API tells it
        assert (await client.post("/docs", headers=browser)).status_code == 401
        assert (await client.get("/docs/", headers=browser)).status_code == 401
        answer = await client.get("/ui/docs")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login?next=/ui/docs")
        assert (await client.get("/ui/docs/openapi.json")).status_code == 303
    async with log_in(api, "reader") as client:
        page = await client.get("/ui/docs")
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in page.headers["content-security-policy"]
        assert "://" not in page.text  # nothing is from elsewhere
        for address in re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', page.text):
            file = await client.get(address)
            assert (file.status_code, len(file.content) > 100) == (200, True), address
        assert (await client.get("/ui/docs/openapi.json")).json() == api.app.openapi()
        assert 'href="/ui/docs"' in (await client.get("/ui/health")).text
        assert (await client.get("/ui/static/swagger/__init__.py")).status_code == 404


async def test_page_that_is_not_there_says_so_as_a_page(api: RunningApi) -> None:
    async with log_in(api) as client:
        answer = await client.get("/ui/nowhere")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "there is no page /ui/nowhere" in answer.text
        assert "openapi" not in answer.text  # a person in a browser has no use for it
        static = await client.get("/ui/static/../base.html")
        assert static.status_code == 404
        assert (await client.get("/ui/static/pages.css")).headers["cache-control"].endswith("immutable")


async def test_logging_out_ends_the_session_in_the_browser(api: RunningApi) -> None:
    async with log_in(api) as client:
        secret = CSRF.search((await client.get("/ui/health")).text)
        assert secret is not None
        answer = await client.post("/ui/logout", data={"csrf": secret[1]})
        assert answer.headers["location"] == "/ui/login"
        assert answer.headers["clear-site-data"] == '"storage"'
        assert (await client.get("/ui/health")).status_code == 303


async def test_without_tokens_pages_are_open_to_this_machine_with_csrf_all_the_same(open_api: RunningApi) -> None:
    async with open_api.client(token=None) as client:
        page = await client.get("/ui/sql")
        assert page.status_code == 200
        secret = CSRF.search(page.text)
        assert secret is not None
        assert (await client.post("/ui/sql", data={"sql": "SELECT 1"})).status_code == 403
        assert (await client.post("/ui/sql", data={"sql": "SELECT 1", "csrf": secret[1]})).status_code == 303
        assert "Log out" not in page.text
        assert (await client.get("/docs")).headers["location"] == "/ui/docs"
        assert (await client.get("/ui/docs")).status_code == 200
    async with open_api.client(token=None) as client:
        client.cookies.set("lakehouse_session", "1.of.another.installation", path="/ui")
        assert "lakehouse_session=1." in (await client.get("/ui/sql")).headers["set-cookie"]
    async with open_api.client(token=None, address="10.0.0.9") as client:
        assert (await client.get("/ui/sql")).status_code == 403


async def test_pages_work_below_a_sub_path(store: S3ObjectStore, tmp_path: Path) -> None:
    async with running_api(api_settings(store, tmp_path, root_path="/lake")) as api, api.client(token=None) as client:
        answer = await client.get("/lake/ui/health")
        assert answer.headers["location"] == "/lake/ui/login?next=/ui/health"
        opened = await client.post("/lake/ui/login", data={"token": "test-token", "next": "/ui/health"})
        assert opened.headers["location"] == "/lake/ui/health"
        assert "Path=/lake/ui" in opened.headers["set-cookie"]
        page = await client.get("/lake/ui/health")
        assert page.status_code == 200
        assert 'href="/lake/ui/search"' in page.text
        docs = await client.get("/lake/docs", headers={"Accept": "text/html"})
        assert docs.headers["location"] == "/lake/ui/docs"
        assert 'data-url="/lake/ui/docs/openapi.json"' in (await client.get("/lake/ui/docs")).text
