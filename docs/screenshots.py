"""Two pictures of each page, by the real pages in a real browser over a lake that is filled for them; see `docs/ui/`.

Belongs here: which pages, which sizes, the pages of the index. Not here: filling the lake (see tests/pages.py).
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "ui"
INDEX = FOLDER / "README.md"
CHROMIUM = Path("/usr/bin/chromium")
WORKERS = 2000
SIZES = {"wide-light": (1280, 800, "light"), "narrow-dark": (390, 800, "dark")}
PAGES = {
    "fill": "The whole co-pilot in one flow: need, candidates, proposal, outreach, outcome.",
    "search": "Without and with what was learned, side by side.",
    "datasets": "The catalog, and uploads.",
    "dataset": "A dataset: schema, sample, versions.",
    "sql": "The SQL workbench with its chart.",
    "memory": "Pathways and playbooks.",
    "playbook": "A playbook's weight over time.",
    "runs": "The evidence explorer.",
    "run": "A run with its lineage.",
    "corpora": "Builds, and corpora to search.",
    "build": "A build: gates, accounts, files, card.",
    "triage": "What needs a person, worked through by keys.",
    "drift": "Where each kind of drift stands.",
    "outcome": "One kind of drift over time: GPT-4 of March and of June on published questions.",
    "replay": "Replays with their verdicts, and the form that begins one.",
    "batch": "Arms compared, with intervals, the rule that decided, and the answers.",
    "health": "Parts, queues, fragments, costs by role.",
    "docs": "Every route of the API, to be read and tried.",
}
LINKED = {
    "playbook": ("/ui/memory", "/ui/memory/playbooks/"),
    "run": ("/ui/runs?score=accepted", "/ui/runs/one"),
    "build": ("/ui/corpora", "/ui/corpora/sft/"),
    "outcome": ("/ui/drift", "/ui/drift/outcome"),
    "batch": ("/ui/replay", "/ui/replay/workers-by-role"),
}

if TYPE_CHECKING:
    from playwright.sync_api import Page


def write_pictures(*, is_forced: bool = False) -> bool:
    """Make all pictures anew, where the pages are others than when they were made.

    Ids and times differ from lake to lake, so pictures of the same pages would be other bytes each time.

    Returns:
        False: they would have to be made, and there is no browser, or the published answers that Drift shows are
        not here; nothing is touched then.
    """
    if not is_forced and fingerprint() in (INDEX.read_text() if INDEX.exists() else ""):
        return True
    if not CHROMIUM.exists():
        return False
    sys.path.insert(0, str(HERE.parent))
    from playwright.sync_api import sync_playwright

    from tests.api import TOKEN, api_process
    from tests.pages import fill_lake
    from tests.pages_learning import fill_drift, fill_replay
    from tests.servers import store_server

    with (
        tempfile.TemporaryDirectory(prefix="lakehouse-pictures-") as name,
        store_server(Path(name) / "store") as store,
        api_process(objects := store.objects(bucket="pictures"), Path(name) / "api") as api,
    ):
        fill_lake(api, Path(name) / "files", workers=WORKERS)
        if not fill_drift(api.environ, objects):
            return False
        with api.client() as client:
            fill_replay(api.environ, client, Path(name) / "files")
        with sync_playwright() as playwright:  # after the commands: each has an event loop of its own
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            FOLDER.mkdir(exist_ok=True)
            for size, (width, height, scheme) in SIZES.items():
                context = browser.new_context(
                    base_url=api.url,
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    reduced_motion="reduce",
                )
                page = context.new_page()
                page.goto("/ui")
                page.get_by_label("Token").fill(TOKEN)
                page.get_by_role("button", name="Log in").click()
                page.get_by_role("heading", name="Search").wait_for()
                for key in PAGES:
                    _open(page, key)
                    page.wait_for_load_state("networkidle")
                    page.screenshot(path=FOLDER / f"{key}-{size}.png")
                context.close()
            browser.close()
    INDEX.write_text(index_page())
    return True


def fingerprint() -> str:
    """What the pictures are made of: the pages, the lake, this file."""
    root = HERE.parent
    sources = [
        *(root / "lakehouse_api" / "ui").rglob("*"),
        *(root / "tests").glob("pages*.py"),
        Path(__file__),
    ]
    digest = hashlib.sha256()
    for path in sorted(path for path in sources if path.is_file() and "__pycache__" not in path.parts):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def index_page() -> str:
    """The page that shows them."""
    lines = [
        "# The pages",
        "",
        "Made by `make docs` from the pages themselves (`docs/screenshots.py`); [the guide](../guides/pages.md) says",
        "what each is for.",
        "",
        f"<!-- made of {fingerprint()} -->",
        "",
    ]
    for key, said in PAGES.items():
        pictures = " ".join(f"![{key}, {size.replace('-', ', ')}]({key}-{size}.png)" for size in SIZES)
        lines += [f"## {key.capitalize()}", "", said, "", pictures, ""]
    return "\n".join(lines).rstrip() + "\n"


def _open(page: Page, key: str) -> None:
    """Bring a page to where it has something to show."""
    if key == "search":
        page.goto("/ui/search?q=electrician+with+industrial+wiring+in+Toledo&corpus=workers&k=5")
    elif key == "fill":
        page.goto("/ui/fill?need=a+reliable+welder&count=2&corpus=workers")
    elif key == "dataset":
        page.goto("/ui/datasets/of/workers")
    elif key == "sql":
        page.goto("/ui/sql")
        statement = "SELECT role, count(*) AS workers FROM workers GROUP BY ALL ORDER BY 2 DESC LIMIT 8"
        page.get_by_label("One statement that reads").fill(statement)
        page.get_by_role("button", name="Run").click()
        page.get_by_text("Chart", exact=True).click()
        page.get_by_role("button", name="Draw").click()
        page.locator("#chart svg").wait_for()
        page.locator("#answer").scroll_into_view_if_needed()
    elif key in LINKED:
        listed, link = LINKED[key]
        page.goto(listed)
        page.locator(f"main a[href^='{link}']").first.click()
    elif key == "triage":
        page.goto("/ui/triage")
        page.keyboard.press("j")
        page.locator("[data-shown]").wait_for()
    elif key == "docs":
        page.goto("/ui/docs")
        page.locator(".opblock-summary").first.wait_for()
    else:
        page.goto(f"/ui/{key}")


if __name__ == "__main__":
    sys.exit(0 if write_pictures(is_forced=True) else f"needs {CHROMIUM} and ../shared/data/drift")
