"""The pages in a real browser, on real data: each loads cleanly, each does its task, nobody's markup runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.api import TOKEN, ApiProcess, api_process
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.pages import NEED, SCRIPT, fill_lake
from tests.servers import StoreServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

CHROMIUM = Path("/usr/bin/chromium")
WIDE: ViewportSize = {"width": 1280, "height": 900}
PAGES = (
    f"/ui/search?q={NEED.replace(' ', '+')}&corpus=workers", "/ui/fill", "/ui/datasets", "/ui/datasets/of/workers",
    "/ui/datasets/of/hostile?a=1&b=2", "/ui/sql", "/ui/memory", "/ui/runs", "/ui/corpora", "/ui/triage", "/ui/drift",
    "/ui/drift/outcome", "/ui/replay", "/ui/health",
)  # fmt: skip

# One run, one build, one pathway and one playbook, as the lists lead to them.
LEADS_TO = {
    "/ui/runs": ["/ui/runs/one"],
    "/ui/corpora": ["/ui/corpora/sft/"],
    "/ui/memory": ["/ui/memory/pathways/", "/ui/memory/playbooks/"],
}
NARROW = {PAGES[0], "/ui/fill", "/ui/sql", "/ui/runs", "/ui/triage"}

AA = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
COLOURS = AA | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
FEWER = """
const later = document.querySelectorAll("tbody > tr:nth-child(n + 7), .results > li:nth-child(n + 4)");
for (const one of later) one.remove();
"""
FAINT = """
const line = document.createElement("p");
line.textContent = "nobody can read this";
line.style.color = "rgb(150, 150, 150)";
line.style.backgroundColor = "rgb(120, 120, 120)";
document.getElementById("main").append(line);
"""
PRESSED_TWICE = """
form => {
  const stopped = [];
  addEventListener("submit", (event) => { stopped.push(event.defaultPrevented); event.preventDefault(); });
  form.requestSubmit();
  form.requestSubmit();
  return stopped;
}
"""
COUNTED = """
scored => [...document.querySelectorAll("#by-score option")].slice(1)
  .reduce((sum, one) => sum + Number(/\\((.*)\\)$/.exec(one.textContent)[1].replace(",", "")), 0) === scored
"""


@dataclass
class Site:
    """A browser that has logged in to an API with a lake, and what its console has said."""

    api: ApiProcess
    browser: Browser
    state: Any
    endpoint: ChatEndpointServer
    errors: list[str] = field(default_factory=list)

    def context(self, **options: Any) -> BrowserContext:
        context = self.browser.new_context(storage_state=self.state, viewport=WIDE, base_url=self.api.url, **options)
        context.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.set_default_timeout(20_000)
        return context

    def sql(self, statement: str) -> list[Any]:
        with self.api.client() as client:
            answer = client.post("/v1/sql", json={"sql": statement}).raise_for_status()
        rows: list[Any] = answer.json()["rows"]
        return rows


@pytest.fixture(scope="module")
def site(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser: {CHROMIUM} is not there")
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("ui-pages")
    with (
        chat_endpoint() as endpoint,
        api_process(
            store_process.objects(bucket="ui-pages"),
            folder,
            chat_providers=json.dumps({"ollama": {"url": endpoint.url}}),
            chat_model="ollama/qwen2.5:3b",
            disk_refuse_percent=99.9,
            chat_attempts=1,
            replay_stop_after=1,
            replay_lease_s=20,
        ) as api,
        sync_playwright() as playwright,
    ):
        fill_lake(api, folder / "files", workers=2000)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(base_url=api.url)
        page.goto("/ui")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Search").wait_for()
        yield Site(api, browser, page.context.storage_state(), endpoint)
        browser.close()


@pytest.fixture(scope="module")
def window(site: Site) -> Iterator[Page]:
    """The window of all these tests: to open one takes the browser as long as most of them take."""
    context = site.context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(site: Site, window: Page) -> Iterator[Page]:
    """A window that has logged in and keeps nothing else; at the end its console must have said nothing wrong."""
    window.context.clear_cookies()
    window.context.add_cookies(site.state["cookies"])
    site.errors.clear()
    yield window
    window.context.set_offline(False)
    window.evaluate("localStorage.clear(); sessionStorage.clear()")
    window.goto("about:blank")  # what the page still did ends
    assert not site.errors


def settle(page: Page, path: str) -> None:
    """Open a page and wait until its parts have come."""
    from playwright.sync_api import expect

    page.goto(path)
    expect(page.locator("[hx-trigger=load] > p.hint:only-child")).to_have_count(0, timeout=20_000)


def test_every_page_is_accessible_and_fits_and_says_nothing_wrong(site: Site) -> None:
    """In light and dark, in the window of a phone, and in one as narrow as WCAG 1.4.10 (reflow) asks."""
    from axe_playwright_python.base import AXE_SCRIPT

    site.errors.clear()
    context = site.context(reduced_motion="reduce")  # no colour is on its way to another when it is looked at
    page = context.new_page()
    found = [*PAGES]
    for path in found:
        page.set_viewport_size(WIDE)
        settle(page, path)
        assert page.title().endswith("Lakehouse"), path
        found += [_first_link(page, beginning) for beginning in LEADS_TO.get(path, ())]
        for width in (320, 390, WIDE["width"]):
            page.set_viewport_size({"width": width, "height": WIDE["height"]})
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), (path, width)
        page.evaluate(AXE_SCRIPT)
        assert not _violations(page, AA), path
        page.evaluate(FEWER)  # each row and result has been looked at; others of a kind have the same colours
        page.emulate_media(color_scheme="dark")
        assert not _violations(page, COLOURS), (path, "dark")  # names, roles and sizes are those of the light
        page.emulate_media(color_scheme="light")
        if path in NARROW:
            page.set_viewport_size({"width": 390, "height": WIDE["height"]})
            assert not _violations(page, AA), (path, "narrow")
    # The checks would see something if there was anything to see.
    page.evaluate(FAINT)
    assert _violations(page, AA)
    page.emulate_media(color_scheme="dark")
    assert _violations(page, COLOURS)
    context.close()
    assert not [one for one in site.errors if "favicon" not in one]


def _violations(page: Page, rules: Mapping[str, Any]) -> list[Any]:
    """Which of the rules are broken, and by which elements."""
    found = page.evaluate("rules => axe.run(rules).then(results => results.violations)", rules)
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:2]]) for one in found]


def _first_link(page: Page, beginning: str) -> str:
    href = page.locator(f"main a[href^='{beginning}']").first.get_attribute("href")
    assert href is not None
    return href


def test_search_shows_the_lift_side_by_side_and_why(page: Page) -> None:
    page.goto("/ui/search")
    page.get_by_label("What are you looking for?").fill(NEED)
    page.get_by_role("button", name="Search", exact=True).click()
    lifted = page.locator("#found section").nth(1)
    lifted.get_by_text(re.compile(r"^lift ")).first.wait_for()
    assert page.locator("#found section").nth(0).get_by_text(re.compile(r"^lift ")).count() == 0
    lifted.get_by_text(re.compile(r"^up \d")).first.wait_for()
    lifted.get_by_role("button", name="Why?").first.click()
    page.get_by_text("Playbooks behind the lift").wait_for()
    assert "q=electrician" in page.url


def test_search_tells_of_a_corpus_that_is_gone_and_begins_with_workers(site: Site, page: Page) -> None:
    with site.api.client() as client:
        client.post("/v1/vectors/index", json={"name": "alpha", "embedder": "static"}).raise_for_status()
    try:
        settle(page, "/ui/search?q=welder&corpus=workers&corpus=gone_one")
        page.get_by_text("There is no corpus gone_one").wait_for()
        assert page.locator("#facets input").count() > 0
        settle(page, "/ui/search")
        assert page.locator("input[name=corpus]:checked").get_attribute("value") == "workers"
        settle(page, "/ui/search?q=welder&corpus=alpha")
        page.get_by_text("Nothing was found in alpha").first.wait_for()
    finally:
        with site.api.client() as client:
            client.delete("/v1/vectors/index/alpha").raise_for_status()


def test_search_filters_with_counts_hold(site: Site, page: Page) -> None:
    ((state, count),) = site.sql("SELECT state, count(*) FROM workers GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1")
    page.goto("/ui/search")
    page.get_by_text("Filters").click()
    box = page.locator(f"#facets input[name='f.state'][value='\"{state}\"']")
    box.wait_for()
    assert f"{count:,}" in (box.locator("xpath=..").inner_text())
    box.check()
    page.get_by_label("What are you looking for?").fill("welder")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("#found .results > li").first.wait_for()
    states = page.locator(
        "#found dl.facts div", has=page.locator("dt", has_text=re.compile("^state$"))
    ).all_inner_texts()
    assert len(states) == 20
    assert {one.split()[-1] for one in states} == {state}
    page.reload()
    page.locator("#found .results > li").first.wait_for()
    assert page.locator(f"#facets input[value='\"{state}\"']").is_checked()


def test_counts_of_filters_follow_what_is_ticked_in_others(site: Site, page: Page) -> None:
    ((state, _),) = site.sql("SELECT state, count(*) FROM workers GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1")
    ((active, everywhere),) = site.sql(
        f"SELECT count(*) FILTER (state = '{state}'), count(*) FROM workers WHERE status = 'active'"
    )
    assert active < everywhere
    page.goto("/ui/search")
    page.get_by_text("Filters").click()
    status = page.locator("#facets label", has=page.locator("input[name='f.status'][value='\"active\"']"))
    status.get_by_text(f"{everywhere:,}", exact=True).wait_for()
    box = page.locator(f"#facets input[name='f.state'][value='\"{state}\"']")
    states = page.locator("#facets input[name='f.state']").count()
    box.focus()
    page.keyboard.press("Space")
    status.get_by_text(f"{active:,}", exact=True).wait_for()
    assert page.locator("#facets input[name='f.state']").count() == states  # its own ticks do not narrow a field
    assert page.evaluate("document.activeElement.value") == f'"{state}"'  # the keys stay where they were
    page.keyboard.press("Space")
    status.get_by_text(f"{everywhere:,}", exact=True).wait_for()
    page.goto("/ui/runs")
    ((rule, scored),) = site.sql(
        "SELECT rule, count(*) FROM scored WHERE rule IS NOT NULL GROUP BY ALL ORDER BY 2, 1 LIMIT 1"
    )
    assert scored < site.sql("SELECT count(*) FROM scored")[0][0]
    page.get_by_label("Rule").select_option(rule)
    page.wait_for_function(COUNTED, arg=scored)  # the counts of scores are those of the rule's runs now
    assert page.locator("#by-rule option").count() > 2
    stream = page.get_by_label("Stream").locator("option").nth(1).get_attribute("value")
    page.get_by_label("Stream").select_option(stream)  # the boxes are others now, and filter as the first did
    page.wait_for_url(f"**stream={stream}*")
    assert f"rule={rule}" in page.url
    page.goto("/ui/runs?start=5000")
    page.get_by_role("link", name="Show the newest").click()
    page.locator("#runs tbody a").first.wait_for()


def test_thumb_becomes_a_playbook_and_not_this_one_goes(site: Site, page: Page) -> None:
    before = site.sql("SELECT count(*) FROM playbooks")[0][0]
    page.goto("/ui/search?q=a+calm+forklift+driver&corpus=workers")
    lifted = page.locator("#found section").nth(1)
    third = lifted.locator(".results > li").nth(2).locator("h3 span").first.inner_text().split(". ")[1]
    lifted.locator(".results > li").nth(2).get_by_role("button", name="fits").click()
    page.get_by_text("later searches like this lift it").wait_for()
    assert site.sql("SELECT count(*) FROM playbooks")[0][0] == before + 1
    page.reload()
    first = page.locator("#found section").nth(1).locator(".results > li").first
    assert first.locator("h3 span").first.inner_text() == f"1. {third}"
    first.get_by_role("button", name="Not result 1").click()
    page.get_by_text("left out by “not this one”").wait_for()
    assert third not in page.locator("#found section").nth(1).locator("h3").all_inner_texts()[0]
    page.get_by_role("link", name="Take it in again").click()
    page.wait_for_url(lambda address: "exclude" not in address)
    assert any(third in one for one in page.locator("#found section").nth(0).locator("h3").all_inner_texts())


def test_fill_goes_from_a_need_to_its_outcome(site: Site, page: Page) -> None:
    ((role, city, state),) = site.sql(
        "SELECT role, city, state FROM workers WHERE status = 'active' GROUP BY ALL"
        " ORDER BY count(*) DESC, 1, 2 LIMIT 1"
    )
    site.endpoint.replies = [Reply(document=completion(f"Are you free on Monday? {SCRIPT}"))]
    page.goto("/ui/fill")
    page.get_by_label("Who is needed?").fill(f"a reliable {role} for nights")
    for label, value in (("Role", role), ("City", city), ("State", state), ("Client id", "7")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Find candidates").click()
    page.get_by_role("button", name="Validate the proposal").click()
    page.locator("#proposal .ok").wait_for()
    page.locator("#proposal").get_by_role("button", name="Draft").first.click()
    draft = page.locator("#draft-1 textarea")
    draft.wait_for()
    assert draft.input_value() == f"Are you free on Monday? {SCRIPT}"
    draft.fill("We pay $99 an hour, are you free?")
    page.get_by_role("button", name="Check it again").click()
    page.locator("#draft-1 .error", has_text="pay").wait_for()
    page.get_by_label("What made the difference?").fill("called at eight")
    sent: list[str] = []
    note = lambda request: sent.append(request.url) if request.url.endswith("/outcome") else None  # noqa: E731
    page.on("request", note)
    page.get_by_role("button", name="It was filled").dblclick()
    page.locator("#outcome .ok").wait_for()
    page.wait_for_load_state("networkidle")
    page.remove_listener("request", note)
    assert len(sent) == 1  # what is pressed twice is one outcome
    assert page.get_by_role("button", name="It was filled").count() == 0
    page.get_by_role("link", name="the pathway").click()
    page.locator("pre", has_text="called at eight").first.wait_for()
    assert "broken" not in page.title()


def test_upload_shows_its_progress_and_survives_a_reload(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,name\n" + "".join(f"{n},name {n}\n" for n in range(20_000)))
    page.goto("/ui/datasets")
    page.get_by_role("textbox", name="Dataset").fill("uploaded")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/ui/jobs/*")
    page.reload()
    page.locator("main .ok", has_text="version 1 with 20,000 rows").wait_for()
    page.get_by_role("link", name="Show it").click()
    page.get_by_role("heading", name="uploaded").wait_for()
    page.goto("/ui/datasets")
    page.get_by_role("textbox", name="Dataset").fill("uploaded")
    file.write_text('id,name\n1,"never closed\n')
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.locator("main .error", has_text="Failed").wait_for()


def test_versions_and_rows_of_a_dataset(page: Page) -> None:
    page.goto("/ui/datasets")
    page.get_by_role("link", name="hostile").click()
    page.locator("#rows td", has_text="row 39").first.wait_for()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="From version 1 to 2").wait_for()
    assert "+1" in page.locator(".card dl").inner_text()


def test_dataset_named_as_a_word_of_sql_is_queried(site: Site, page: Page) -> None:
    with site.api.client() as client:
        files = {"file": ("order.csv", b"id,name\n1,ann\n")}
        client.post("/v1/ingest", params={"name": "order", "mode": "replace"}, files=files).raise_for_status()
    page.goto("/ui/datasets/of/order")
    page.get_by_role("link", name="Query it").click()
    page.get_by_role("button", name="Run").click()
    page.locator("#answer td", has_text="ann").wait_for()


def test_workbench_pages_ten_thousand_rows_and_draws_and_remembers(page: Page) -> None:
    page.goto("/ui/sql")
    statement = "SELECT range AS n, range % 7 AS k, repeat('x', 2000) AS t FROM range(10000)"
    page.get_by_label("One statement that reads").fill(statement)
    page.keyboard.press("Control+Enter")
    page.locator("#answer").get_by_text("rows 1 to 100 of 10,000").wait_for()
    assert page.locator("#answer tbody tr").count() == 100
    page.get_by_role("button", name="Later").click()
    page.locator("#answer").get_by_text("rows 101 to 200 of 10,000").wait_for()
    page.get_by_text("Chart", exact=True).click()
    page.get_by_label("Along").select_option("n")
    page.get_by_label("Upwards").select_option("k")
    page.get_by_label("As", exact=True).select_option("line")
    page.get_by_role("button", name="Draw").click()
    page.locator("#chart svg").wait_for()
    picture = page.request.get(page.locator("#chart figcaption a").get_attribute("href") or "")
    assert picture.body().startswith(b"\x89PNG")
    page.reload()
    page.get_by_text("rows 1 to 100 of 10,000").wait_for()
    assert page.locator("#sql-history a.mono").first.inner_text() == statement
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV").click()
    assert waiting.value.path().read_text().count("\n") == 10_001
    page.get_by_label("One statement that reads").fill("SELECT nothing FROM nowhere")


def test_back_leads_to_the_page_as_it_was(page: Page) -> None:
    box = page.get_by_label("What are you looking for?")
    page.goto("/ui/search")
    for sought in ("welder", "nurse"):
        box.fill(sought)
        page.get_by_role("button", name="Search", exact=True).click()
        page.wait_for_url(f"**q={sought}**")
        page.locator("#found .results > li").first.wait_for()
    page.go_back()
    page.wait_for_url("**q=welder**")
    page.get_by_role("navigation").wait_for()
    page.locator("#found .results > li").first.wait_for()
    assert box.input_value() == "welder"


def test_megabyte_of_a_cell_does_not_freeze_the_page(page: Page) -> None:
    page.goto("/ui/sql")
    page.get_by_label("One statement that reads").fill("SELECT * FROM hostile ORDER BY id")
    page.get_by_role("button", name="Run").click()
    page.locator("#answer tbody tr").first.wait_for()
    assert len(page.content()) < 100_000
    whole = page.request.get(page.locator("#answer a", has_text="whole").first.get_attribute("href") or "")
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.text() == "x" * (1 << 20)


def test_query_that_is_wrong_says_what_happened(site: Site, page: Page) -> None:
    page.goto("/ui/sql")
    page.get_by_label("One statement that reads").fill("DROP TABLE workers")
    page.get_by_role("button", name="Run").click()
    page.locator("#answer .error").wait_for()
    assert [one for one in site.errors if "403" in one]
    site.errors.clear()


def test_pathway_is_retired_and_playbook_forgotten(page: Page) -> None:
    page.goto("/ui/memory")
    page.locator("a[href^='/ui/memory/pathways/']").first.click()
    page.get_by_label("Why nobody should follow it").fill(f"outdated {SCRIPT}")
    page.get_by_role("button", name="Retire it").click()
    page.locator(".error", has_text="outdated <script>").wait_for()
    page.goto("/ui/memory")
    page.locator("a[href^='/ui/memory/playbooks/']").last.click()
    page.locator("figure svg").wait_for()
    address = page.url
    page.get_by_role("button", name="Forget it").click()
    page.wait_for_url("**/ui/memory")
    assert page.locator(f"a[href='{address.removeprefix(page.url.removesuffix('/ui/memory'))}']").count() == 0


def test_change_is_sent_once_however_often_it_is_pressed(page: Page) -> None:
    page.goto("/ui/memory")
    page.locator("a[href^='/ui/memory/playbooks/']").first.click()
    page.get_by_role("button", name="It worked").wait_for()
    assert page.locator("form[action$='/judge']").evaluate(PRESSED_TWICE) == [False, True]


def test_server_that_is_away_is_told_where_it_can_be_seen(site: Site, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/ui/search")
    page.get_by_label("What are you looking for?").fill("nurse")
    page.context.set_offline(True)
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("alert").get_by_text("The server did not answer").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("#found .results > li").first.wait_for()
    expect(page.locator("#away")).to_be_hidden()
    site.errors.clear()


def test_run_shows_its_record_and_its_lineage_to_the_corpus(page: Page) -> None:
    page.goto("/ui/runs?score=accepted")
    page.locator("#runs figure svg").nth(1).wait_for()
    page.get_by_text(re.compile(r"accepted of the runs that are decided, by (hour|day), .*: 100 % of")).wait_for()
    page.locator("#runs tbody a").first.click()
    page.locator(".graph svg g").first.wait_for()
    assert page.locator(".graph .kind", has_text="raw line").count()
    assert page.locator(".graph .kind", has_text="corpus").count()
    page.get_by_text("The same as a list").click()
    page.locator("details a[href^='/ui/corpora/']").first.click()
    page.get_by_role("heading", name="Gates").wait_for()


def test_builds_are_compared_and_downloaded(page: Page) -> None:
    page.goto("/ui/corpora")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Parameters").wait_for()
    assert page.locator("th", has_text="seed").count()
    page.goto("/ui/corpora")
    page.locator("tbody a.mono").first.click()
    page.locator("figure svg").first.wait_for()
    assert page.locator("figure .scroll").first.evaluate("e => e.scrollWidth <= e.clientWidth")  # all of a bar is seen
    with page.expect_download() as waiting:
        page.get_by_role("link", name="manifest.json").or_(page.get_by_role("link", name="README.md")).first.click()
    assert waiting.value.path().stat().st_size > 100


def test_corpus_is_built_as_long_work(page: Page) -> None:
    page.goto("/ui/corpora")
    page.get_by_text("Build one now").click()
    page.get_by_label("Parameters that differ").fill('{"seed": 11}')
    page.get_by_role("button", name="Build").click()
    page.wait_for_url("**/ui/jobs/*")
    page.reload()
    page.locator("main .ok", has_text="samples").wait_for()
    page.get_by_role("link", name="Show it").click()
    page.get_by_role("heading", name="Gates").wait_for()


ARMS = """version: 1
baseline: cold
arms:
  - {name: cold, playbook: false, model: ollama/m}
  - {name: warm, model: ollama/x}
"""


class _Waiting(dict[str, Reply]):
    """Replies that come once they may."""

    def __init__(self, replies: dict[str, Reply]) -> None:
        super().__init__(replies)
        self.go = threading.Event()

    def get(self, key: str, default: Any = None) -> Any:
        self.go.wait(60)
        return super().get(key, default)


def test_replay_by_a_form_is_alone_and_stopped_is_gone_on_with_to_its_verdict(
    site: Site, page: Page, tmp_path: Path
) -> None:
    ((worker, role, city),) = site.sql("SELECT worker_id, role, city FROM workers ORDER BY 1 LIMIT 1")
    wrong = Reply(document=completion(f"Nobody. {SCRIPT}"))
    right = Reply(document=completion(f"It is the one with id {worker}."))
    away = Reply(status=500, document={"error": {"message": "away"}})
    waiting = site.endpoint.by_model = _Waiting({"m": wrong, "x": away})
    expected = {"corpora": ["workers"], "expected": {"ids": [str(worker)]}}
    tasks = [{"task_id": f"t-{n}", "question": f"Who is a {role} in {city}? {n}"} | expected for n in range(2)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (tmp_path / "arms.yaml").write_text(ARMS)

    def begin(tab: Page, batch: str) -> None:
        tab.goto("/ui/replay")
        for place in (0, 1):
            tab.get_by_label("those of a file").nth(place).check()
        tab.get_by_label("File of tasks").set_input_files(tmp_path / "tasks.jsonl")
        tab.get_by_label("File of arms").set_input_files(tmp_path / "arms.yaml")
        tab.get_by_label("Name of the batch").fill(batch)
        tab.get_by_role("button", name="Begin").click()

    begin(page, "by-form")
    page.wait_for_url("**/ui/jobs/*")
    page.get_by_text("0 of 4").wait_for(timeout=60_000)
    second = page.context.new_page()
    begin(second, "second")
    second.locator("main .error", has_text="one is going on already (Replay by-form").wait_for()
    second.close()
    page.reload()  # what goes on is found again
    waiting.go.set()
    page.locator("main .error", has_text="what was answered is kept").wait_for(timeout=120_000)
    site.endpoint.by_model = {"m": wrong, "x": right}
    page.get_by_role("link", name="Show what there is").click()
    page.get_by_text("1 of 4").wait_for()
    page.get_by_role("button", name="Go on with it").click()
    page.locator("main .ok", has_text="the verdict is hold").wait_for(timeout=120_000)
    page.get_by_role("link", name="Show it").click()
    page.get_by_text("4 of 4").wait_for()
    page.locator("figure svg").wait_for()
    page.locator("td", has_text="<script>").first.wait_for()
    assert "broken" not in page.title()
    assert all("409" in one for one in site.errors), site.errors  # the browser tells of the refusal
    site.errors.clear()


def test_form_of_a_replay_that_compares_nothing_is_told_at_once(site: Site, page: Page) -> None:
    page.goto("/ui/replay")
    page.get_by_label("Name of the batch").fill("kept-name")
    page.get_by_label("playbook", exact=True).uncheck()
    page.get_by_label("playbook pathway").uncheck()
    page.get_by_role("button", name="Begin").click()
    page.locator("main .error", has_text="a replay compares").wait_for()
    page.get_by_role("link", name="Back to the form").click()
    page.get_by_text("It was refused. What was written is here").wait_for()
    assert page.get_by_label("Name of the batch").input_value() == "kept-name"
    assert not page.get_by_label("playbook pathway").is_checked()
    site.errors.clear()


def test_upload_works_without_a_script(site: Site, tmp_path: Path) -> None:
    context = site.browser.new_context(storage_state=site.state, base_url=site.api.url, java_script_enabled=False)
    page = context.new_page()
    (tmp_path / "rows.csv").write_text("id,name\n1,ann\n")
    page.goto("/ui/datasets")
    page.get_by_role("textbox", name="Dataset").fill("no_script")
    page.get_by_label("File").set_input_files(tmp_path / "rows.csv")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/ui/jobs/*")
    page.request.get(f"{page.url}/events")  # it ends with the work
    page.reload()  # without a script, whoever waits loads the page again
    assert "version 1 with 1 row" in page.locator("main .ok").inner_text()
    page.goto("/ui/health")
    page.locator(
        "noscript p", has_text="Without a script"
    ).wait_for()  # or "asking the store …" would be waited for in vain
    context.close()


def test_parts_are_whole_pages_without_a_script(site: Site) -> None:
    context = site.browser.new_context(storage_state=site.state, base_url=site.api.url, java_script_enabled=False)
    page = context.new_page()
    context.set_default_timeout(20_000)
    for name in ("Result 3 fits", "Why?"):
        page.goto("/ui/search?q=a+patient+scaffolder&corpus=workers")
        page.get_by_role("button", name=name).first.click()
        page.get_by_role("navigation").wait_for()
        assert page.title() == "Search · Lakehouse"
    page.goto("/ui/sql")
    page.get_by_label("One statement that reads").fill("SELECT range AS n, range % 7 AS k FROM range(250)")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Later").click()
    page.get_by_text("rows 101 to 200 of 250").wait_for()
    page.get_by_text("Chart", exact=True).click()
    page.get_by_role("button", name="Draw").click()
    page.locator("figure svg").wait_for()
    page.get_by_role("navigation").wait_for()
    context.close()


def test_keyboard_stays_where_it_was_or_goes_to_what_came(site: Site, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/ui/sql")
    page.get_by_label("One statement that reads").fill("SELECT range AS n FROM range(150)")
    page.get_by_role("button", name="Run").press("Enter")  # it is disabled while it waits
    page.locator("#answer table").wait_for()
    expect(page.locator("#ask")).to_be_focused()
    page.get_by_role("button", name="Later").press("Enter")  # there is no later page then
    page.locator("#answer").get_by_text("rows 101 to 150").wait_for()
    expect(page.locator("#answer")).to_be_focused()
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    page.get_by_label("One statement that reads").fill(slow)
    page.get_by_role("button", name="Run").press("Enter")
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.locator("#ask")).to_be_focused()
    assert {one.partition(",")[0] for one in site.errors} == {"htmx:afterRequest", "htmx:sendAbort"}  # it was aborted
    site.errors.clear()


def test_what_changed_is_said_in_a_line_and_the_same_again(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/ui/search?q=welder&corpus=workers")
    said = page.locator("#said[role=log] > p")
    for times in (1, 2):
        page.get_by_role("button", name="Search", exact=True).click()
        expect(said).to_have_text(["10 results"] * times)
    assert page.locator("main [aria-live]").count() == 0  # all results would be read out at once


def test_colours_of_the_system_and_paper_leave_nothing_out(site: Site) -> None:
    context = site.context(forced_colors="active", color_scheme="dark", reduced_motion="reduce")
    page = context.new_page()
    settle(page, "/ui/runs")
    page.locator("#runs tbody a").first.click()
    page.locator(".graph svg g").first.wait_for()
    assert page.locator("nav a[aria-current]").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    box, text = page.locator(".graph rect").first, page.locator(".graph text").first
    assert box.evaluate("e => getComputedStyle(e).fill") != text.evaluate("e => getComputedStyle(e).fill")
    page.emulate_media(media="print", forced_colors="none")
    assert page.locator("header.top").is_hidden()
    assert page.locator("pre").first.evaluate("e => getComputedStyle(e).maxHeight") == "none"
    context.close()


def test_triage_keeps_what_is_written_while_others_are_looked_at(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/ui/triage")
    page.keyboard.press("j")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    item = shown.get_attribute("data-shown")
    page.get_by_label("Note").fill("half of a thought")
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("What should have been answered").fill("a long answer")
    page.locator("#queue [aria-current] a").focus()
    page.keyboard.press("j")
    page.locator(f"[data-shown]:not([data-shown='{item}'])").wait_for()
    assert page.get_by_label("Note").input_value() == ""
    page.keyboard.press("k")
    page.locator(f"[data-shown='{item}']").wait_for()
    expect(page.get_by_label("What should have been answered")).to_have_value("a long answer")
    page.get_by_role("link", name="The run, whole").click()
    page.get_by_role("heading", name="Record").wait_for()
    page.go_back()
    page.locator(f"[data-shown='{item}']").wait_for()
    expect(page.get_by_label("What should have been answered")).to_have_value("a long answer")
    assert page.get_by_label("Note").input_value() == "half of a thought"
    page.get_by_label("Note").fill("")
    page.get_by_label("What should have been answered").evaluate("box => { box.value = box.defaultValue }")
    page.goto("/ui/health")  # a draft that is no draft any more is not kept
    assert page.evaluate("JSON.parse(sessionStorage.getItem('drafts')).items") == {}


@pytest.mark.parametrize("is_own_page", [False, True])
def test_what_was_sent_is_no_draft_and_who_logs_out_leaves_none(page: Page, is_own_page: bool) -> None:
    kept = "Object.keys(JSON.parse(sessionStorage.getItem('drafts') || '{\"items\": {}}').items)"
    page.route("**/decision", lambda route: route.fulfill(status=204))  # taken, and the page stays
    page.goto("/ui/triage")
    page.keyboard.press("j")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    item = str(shown.get_attribute("data-shown"))
    if is_own_page:
        page.goto(f"/ui/triage/{item}")
    page.get_by_label("Note").fill("sent once")
    with page.expect_response("**/decision"):
        page.get_by_role("button", name="I take it").click()
    page.unroute("**/decision")
    assert page.evaluate(kept) == []
    page.goto("/ui/health")
    assert page.evaluate(kept) == []
    page.goto(f"/ui/triage/{item}")
    page.get_by_label("Note").fill("left behind")
    page.goto("/ui/health")
    assert page.evaluate(kept) == [item]
    page.goto(f"/ui/triage/{item}")
    assert page.get_by_label("Note").input_value() == "left behind"
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Token").wait_for()
    assert page.evaluate("['drafts', 'unsent'].map((key) => sessionStorage.getItem(key))") == [None, None]


def test_item_that_is_opened_is_read_next_and_seen_below_a_long_list(page: Page) -> None:
    from playwright.sync_api import expect

    page.set_viewport_size({"width": 320, "height": 256})
    page.goto("/ui/triage")
    page.locator("#queue [data-item] a").first.press("Enter")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    expect(shown).to_be_focused()
    assert 0 <= shown.evaluate("e => e.getBoundingClientRect().top") < 256
    page.set_viewport_size(WIDE)
    assert re.match(r"Call worker \d+, certified", page.locator("[data-shown] textarea").input_value())
    assert "role" not in page.locator("[data-shown] pre").first.inner_text()


def test_keys_of_the_triage_are_turned_off(page: Page) -> None:
    page.goto("/ui/triage")
    page.get_by_label("Keys").uncheck()
    page.reload()
    page.keyboard.press("j")
    page.locator("#queue [data-item] a").first.click()
    page.locator("[data-shown]").wait_for()
    page.keyboard.press("e")
    assert page.locator("[data-shown] details[open]").count() == 0
    page.get_by_label("Keys").check()
    page.locator("h1").click()
    page.keyboard.press("e")
    page.locator("[data-shown] details[open]").wait_for()


def test_slow_query_is_cancelled_in_the_browser_and_in_the_server(site: Site, page: Page) -> None:
    page.goto("/ui/sql")
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    page.get_by_label("One statement that reads").fill(slow)
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#answer", has_text="cancelled").wait_for()
    page.get_by_role("button", name="Run").wait_for()
    page.get_by_label("One statement that reads").fill("SELECT 42 AS n")
    page.get_by_role("button", name="Run").click()  # one worker alone answers here: it is free again
    page.locator("#answer td", has_text="42").wait_for()
    assert "cancelled" in page.locator("#sql-history").inner_text()
    assert {one.partition(",")[0] for one in site.errors} == {"htmx:afterRequest", "htmx:sendAbort"}  # it was aborted
    site.errors.clear()


def test_markup_of_models_people_and_cells_is_text(site: Site, page: Page) -> None:
    ((run,),) = site.sql("SELECT run_id FROM scored WHERE model_name = 'small-model' ORDER BY 1 LIMIT 1")
    for path in (f"/ui/runs/one?id={run}", "/ui/datasets/of/hostile", "/ui/memory", "/ui/triage"):
        settle(page, path)
        assert page.title().endswith("· Lakehouse"), path
        assert page.locator("script:not([src])").count() == 0, path
        assert page.locator("img").count() == 0, path
    settle(page, f"/ui/runs/one?id={run}")
    assert SCRIPT in page.locator("pre").first.inner_text()
    page.goto("/ui/sql")
    page.get_by_label("One statement that reads").fill(
        f"SELECT '{SCRIPT.replace(chr(39), chr(39) * 2)}' AS \"<b>n\", 1 AS m"
    )
    page.get_by_role("button", name="Run").click()
    page.locator("#answer td").first.wait_for()
    page.get_by_text("Chart", exact=True).click()
    page.get_by_label("Upwards").select_option("m")
    page.get_by_role("button", name="Draw").click()
    page.locator("#chart svg").wait_for()
    assert page.locator("#chart script, #chart img, #answer b").count() == 0
    assert "broken" not in page.title()


def test_triage_is_worked_through_by_keys(site: Site, page: Page) -> None:
    with site.api.client() as client:
        waiting = client.get("/v1/triage").raise_for_status().json()
    assert waiting["open"] >= 3
    page.goto("/ui/triage")
    page.keyboard.press("j")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    first = shown.get_attribute("data-shown")
    page.keyboard.press("j")
    page.locator(f"[data-shown]:not([data-shown='{first}'])").wait_for()
    page.keyboard.press("k")
    page.locator(f"[data-shown='{first}']").wait_for()
    page.keyboard.press("a")
    page.locator("#queue .ok", has_text="accept").wait_for()
    page.locator(f"[data-shown]:not([data-shown='{first}'])").wait_for()  # the next one opens by itself
    page.keyboard.press("e")
    page.keyboard.type("x")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.get_by_role("button", name="Accept as edited").click()
    page.locator("#queue .ok", has_text="edit").wait_for()
    with site.api.client() as client:
        assert client.get("/v1/triage").json()["open"] == waiting["open"] - 2


def test_triage_loses_nothing_that_was_written_for_it(site: Site, page: Page) -> None:
    """Keys send what they are meant for alone, and a refusal stands beside what it refuses."""
    page.goto("/ui/triage")
    page.keyboard.press("j")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    item = shown.get_attribute("data-shown")
    assert page.locator("[hidden]").evaluate_all("all => all.some((one) => one.getClientRects().length)") is False
    page.get_by_label("Note").fill("read twice")
    page.keyboard.press("Enter")  # in a note there is nothing to decide
    page.keyboard.press("Control+Enter")
    page.locator("summary", has_text="Edit").click()
    written = page.get_by_label("What should have been answered")
    written.fill("by keys")
    right = page.locator("input[name=version]").input_value()
    page.evaluate("document.querySelector('input[name=version]').value = 'none'")
    page.keyboard.press("Control+Enter")
    page.locator("[data-refused] [role=alert]", has_text="version").wait_for()
    assert written.input_value() == "by keys"
    assert page.locator(f"#queue [data-item='{item}']").count() == 1
    page.evaluate(f"document.querySelector('input[name=version]').value = '{right}'")
    with page.expect_request("**/decision") as sent:
        written.press("Control+Enter")
    assert "output=by%20keys" in str(sent.value.post_data)
    page.locator("#queue .ok", has_text="edit").wait_for()
    with site.api.client() as client:
        decision = client.get(f"/v1/triage/{item}").raise_for_status().json()["decision"]
    assert (decision["verdict"], decision["note"]) == ("edit", "read twice")
    assert all("400" in one for one in site.errors), site.errors  # the browser tells of the refusal
    site.errors.clear()


def test_triage_leaves_what_the_second_of_two_has_written(site: Site, page: Page) -> None:
    page.goto("/ui/triage")
    page.keyboard.press("j")
    shown = page.locator("[data-shown]")
    shown.wait_for()
    item = str(shown.get_attribute("data-shown"))
    page.get_by_label("Note").fill("written for a quarter of an hour")
    with site.api.client() as client:
        version = client.get(f"/v1/triage/{item}").raise_for_status().json()["version"]
        first = {"decision": "accept", "version": version}
        client.post(f"/v1/triage/{item}/decision", json=first).raise_for_status()
    page.get_by_role("button", name="Reject (r)").click()
    page.locator("#item [role=alert]", has_text="was decided").wait_for()
    assert shown.get_attribute("data-shown") == item
    assert page.get_by_label("Note").input_value() == "written for a quarter of an hour"


def test_what_is_written_comes_back_when_the_session_ends_under_it(site: Site, page: Page) -> None:
    def log_in() -> None:
        page.get_by_role("alert").get_by_text("What was written comes back").wait_for()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()

    page.goto("/ui/triage")
    page.keyboard.press("j")
    item = str(page.locator("[data-shown]").get_attribute("data-shown"))
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("What should have been answered").fill("a long answer")
    page.context.clear_cookies()
    page.get_by_role("button", name="Accept as edited").click()
    log_in()
    page.locator(f"[data-shown='{item}']").wait_for()
    page.get_by_text("has not been sent").wait_for()
    assert page.get_by_label("What should have been answered").input_value() == "a long answer"

    page.goto("/ui/replay")  # a plain form: the page is left before it is known
    page.get_by_label("Most tasks").fill("7")
    page.context.clear_cookies()
    page.get_by_role("button", name="Begin").click()
    log_in()
    page.get_by_role("heading", name="Replay").wait_for()
    page.get_by_text("has not been sent").wait_for()
    assert page.get_by_label("Most tasks").input_value() == "7"
    page.reload()
    page.get_by_role("heading", name="Replay").wait_for()
    assert page.get_by_text("has not been sent").count() == 0
    assert all("401" in one for one in site.errors), site.errors
    site.errors.clear()


def test_triage_keeps_its_filter_and_offers_nothing_twice(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/ui/triage?state=open&kind=needs_review")
    items = page.locator("#queue [data-item]")
    waiting = items.count()
    assert waiting >= 2
    page.keyboard.press("j")
    for left in reversed(range(waiting)):
        chosen = page.locator("#queue [aria-current]").get_attribute("data-item")
        page.locator(f"[data-shown='{chosen}']").wait_for()
        page.keyboard.press("o")
        expect(items).to_have_count(left)  # who is taken on is not open any more
    page.locator("#queue", has_text=f"{waiting} assigned").wait_for()
    expect(page.locator("[data-shown]")).to_have_count(0)


def test_health_shows_parts_queues_and_costs(page: Page) -> None:
    settle(page, "/ui/health")
    page.locator("th", has_text="event_log").wait_for()
    page.get_by_role("region", name="Fragments").wait_for()
    assert "lines in the spool" in page.locator("main").inner_text()


def test_keyboard_reaches_the_content_first(page: Page) -> None:
    page.goto("/ui/health")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
