"""The API's documentation in a real browser: read, tried with a token, nothing from elsewhere, nothing kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.api import TOKEN, ApiProcess, api_process
from tests.servers import StoreServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

CHROMIUM = Path("/usr/bin/chromium")
# What the console says of the tries without a token, and Swagger UI of its own way to write links.
EXPECTED = ("the server responded with a status of 401", "Deprecated: escaping deep link whitespace")


@pytest.fixture(scope="module")
def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser: {CHROMIUM} is not there")
    with api_process(store_process.objects(bucket="ui-docs"), tmp_path_factory.mktemp("ui-docs")) as running:
        yield running
    store_process.drop_bucket("ui-docs")


@pytest.fixture(scope="module")
def browser(api: ApiProcess) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


def logged_in(context: BrowserContext) -> Page:
    """The page Docs, by the way of somebody who types `/docs`."""
    page = context.new_page()
    page.goto("/docs")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.locator(".opblock-summary").first.wait_for()
    assert page.url.endswith("/ui/docs")
    return page


def authorize(page: Page) -> None:
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").fill(TOKEN)
    page.get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").first.click()


def opened(page: Page, method: str, path: str) -> Locator:
    route = page.locator(f".opblock-{method}", has=page.locator(f'[data-path="{path}"]'))
    route.locator(".opblock-summary-control").click()
    return route


def execute(route: Locator, status: int) -> str:
    route.get_by_role("button", name="Execute").click()
    live = route.locator(".live-responses-table .response")
    live.locator(".response-col_status", has_text=str(status)).wait_for()
    return live.inner_text()


def test_routes_are_read_and_tried_with_a_token_and_nothing_is_asked_of_others(
    api: ApiProcess, browser: Browser
) -> None:
    """And the page, loaded again, has forgotten the token, is dark where the browser is, and fits a small one."""
    errors: list[str] = []
    asked: list[str] = []
    context = browser.new_context(base_url=api.url)
    context.set_default_timeout(30_000)
    context.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    page = logged_in(context)
    assert page.get_by_text("OAS 3.1").is_visible()
    catalog = opened(page, "get", "/v1/catalog")
    execute(catalog, 401)
    authorize(page)
    assert '"datasets"' in execute(catalog, 200)
    sql = opened(page, "post", "/v1/sql")
    sql.locator("textarea").first.fill('{"sql": "SELECT 40 + 2 AS answer"}')
    assert "42" in execute(sql, 200)
    assert TOKEN not in page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 900})
    page.reload()
    page.locator(".opblock-summary").first.wait_for()
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    assert max(page.evaluate(brightness)) < 64
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    execute(opened(page, "get", "/v1/catalog"), 401)
    assert [url for url in asked if not url.startswith((f"{api.url}/", "data:"))] == []
    assert [said for said in errors if not any(one in said for one in EXPECTED)] == []
    context.close()
