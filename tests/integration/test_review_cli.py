"""`lakehouse review` as a process: models behind HTTP that answer as scripted, the embedded one, a real store."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.review_diff import read_diff
from lakehouse.adapters.review_store import RATES, ReviewStore
from lakehouse.errors import BadInput, NotFound
from lakehouse.review.life import person_says
from lakehouse.storage.objects import list_all
from lakehouse_cli.main import app
from tests.dagster_lake import lake_environ
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.servers import StoreServer
from tests.unit.test_review import ANALYSIS, BLOCK, DIFF, JUDGED, NOW

FIX = """\
--- a/src/pay.py
+++ b/src/pay.py
@@ -10,3 +10,4 @@
     check(rate)
+    check(hours)
     total = rate / hours
     if total > 1000:
"""
GPT, KIMI, CLAUDE = "openrouter/openai/gpt-4o", "openrouter/moonshotai/kimi-k2", "openrouter/anthropic/claude-haiku-4.5"


def answers(text: str | None, **given: Any) -> Reply:
    return Reply(document=completion(text, **given))


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="reviewing")
    store_process.drop_bucket("reviewing")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def environ(
    store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reviewing")
    (folder / "pay.diff").write_text(DIFF)
    (folder / "fix.diff").write_text(FIX)
    (folder / "empty.diff").write_text("")
    large = "".join(f"+{'x' * 99}\n" for _ in range(1100))
    (folder / "large.diff").write_text(f"--- /dev/null\n+++ b/large.txt\n@@ -0,0 +1,1100 @@\n{large}")
    store.ensure_bucket()
    providers = {"openrouter": {"url": endpoint.url, "is_key_needed": False}}
    own = {"PATH": os.defpath, "HOME": str(folder), "COLUMNS": "200", "LOGNAME": "dana"}
    return {
        **own,
        **lake_environ(
            store, folder / "data", LAKEHOUSE_CHAT_PROVIDERS=json.dumps(providers), LAKEHOUSE_CHAT_ATTEMPTS="1",
            LAKEHOUSE_EMBEDDED_MODEL_CONTEXT_TOKENS="1280", LAKEHOUSE_REVIEW_MAX_TOKENS="16",
        ),
    }  # fmt: skip


def lakehouse(environ: dict[str, str], *arguments: str) -> Result:
    """The command in this process: a new one for each would take a second."""
    with contextlib.chdir(environ["HOME"]):
        return CliRunner().invoke(app, ["review", *arguments], env=environ)


def raw_lines(store: S3ObjectStore, stream: str = "reviews") -> list[dict[str, Any]]:
    keys = sorted(info.key for info in list_all(store, f"raw/{stream}/"))
    return [json.loads(line) for key in keys for line in store.get(key).body.splitlines()]


@pytest.fixture(scope="module")
def reviewed(environ: dict[str, str], endpoint: ChatEndpointServer) -> dict[str, Any]:
    """A review by two lineages that converge, one that approves, one that says nothing, and one model twice."""
    outside = "SEVERITY: WARN\nWHERE: src/pay.py:99\nWHY: there is no such line in it\n"
    endpoint.by_model = {
        "openai/gpt-4o": answers(f"{ANALYSIS}{BLOCK}{outside}VERDICT: reject"),
        "moonshotai/kimi-k2": answers(BLOCK.replace(":11", ":11-12").replace("BLOCK", "WARN")),
        "anthropic/claude-haiku-4.5": answers(f"{ANALYSIS}VERDICT: accept"),
        "x-ai/grok-4": answers("LGTM"),
        "qwen/qwen3": answers(None),
        "google/gemini-2.5-pro": answers(f"{ANALYSIS}VERDICT: accept", finish_reason="length"),
        "deepseek/deepseek-v3": Reply(500, {"error": {"message": "no"}}),
    }
    names = [GPT, KIMI, CLAUDE, GPT, "openrouter/x-ai/grok-4", "openrouter/qwen/qwen3",
             "openrouter/google/gemini-2.5-pro", "openrouter/deepseek/deepseek-v3"]  # fmt: skip
    done = lakehouse(environ, "--diff", "pay.diff", "--reviewers", ",".join(names), "--json")
    assert done.exit_code == 1, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_review_converges_by_lineage_and_counts_what_it_drops(reviewed: dict[str, Any]) -> None:
    assert (reviewed["verdict"], reviewed["disputed_bundles"]) == ("reject", [1])
    [point] = reviewed["points"]
    assert (point["where"], point["lineages"], point["is_converged"]) == (
        "src/pay.py:11-12", ["moonshot", "openai"], True,
    )  # fmt: skip
    assert reviewed["dropped"] == {"outside": 2, "withdrawn": 0, "malformed": 0, "duplicate": 1}


def test_who_is_not_engaged_is_shown_and_approves_nothing(reviewed: dict[str, Any]) -> None:
    seats = {one["reviewer"].rpartition("/")[2]: one for one in reviewed["reviewers"]}
    assert [name for name, one in seats.items() if one["approves"]] == ["claude-haiku-4.5"]
    why = {name: one["why_not"]["1"] for name, one in seats.items() if one["verdict"] is None}
    assert list(why) == ["grok-4", "qwen3", "gemini-2.5-pro", "deepseek-v3"]
    assert "too short" in why["grok-4"]
    assert "answered nothing" in why["qwen3"]
    assert "cut" in why["gemini-2.5-pro"]
    assert "500" in why["deepseek-v3"]


def test_review_is_in_the_run_log_and_in_the_bucket(reviewed: dict[str, Any], store: S3ObjectStore) -> None:
    lines = [
        line for line in raw_lines(store) if line.get("review_id") == reviewed["review_id"] and not line["is_human"]
    ]
    made = {(line["by"], line["verdict"]) for line in lines if line["run_id"].count("/") == 3}
    assert made == {(GPT, "reject"), (KIMI, "cycle"), (CLAUDE, "accept")}
    assert {line["review_of"] for line in lines if "thing" in line} == {f"diff:{reviewed['diff']['sha256']}#1"}
    calls = [line for line in raw_lines(store, "chat_calls") if line["role"] == "reviewer"]
    assert {line["status"] for line in calls} == {"ok", "failed"}
    assert all(line["settings"]["temperature"] == 0 for line in calls)
    report = store.get(f"audits/reviews/{reviewed['review_id']}/report.md").body.decode()
    assert report.startswith(f"# Review {reviewed['review_id']}\n\n**Rejected.**")


def test_findings_are_changed_judged_again_and_counted(
    reviewed: dict[str, Any], environ: dict[str, str], endpoint: ChatEndpointServer, store: S3ObjectStore
) -> None:
    review_id = reviewed["review_id"]
    shown = lakehouse(environ, "show", review_id)
    assert "1. **open** BLOCK `src/pay.py:11`" in shown.stdout
    done = lakehouse(environ, "set", review_id, "2", "dismissed", "--why", "hours are checked before")
    assert (done.exit_code, done.stdout) == (0, "finding 2 is dismissed\n"), done.stderr
    again = lakehouse(environ, "set", review_id, "2", "dismissed", "--why", "hours are checked before")
    assert (again.exit_code, again.stdout) == (0, "finding 2 is dismissed\n")
    other = lakehouse(environ, "set", review_id, "2", "dismissed", "--why", "I agree", "--by", "lee")
    assert (other.exit_code, "already" in other.stderr) == (1, True)
    same = lakehouse(environ, "second-pass", review_id, "--diff", "fix.diff", "--reviewers", "openrouter/openai/gpt-5")
    assert (same.exit_code, "another lineage" in same.stderr) == (1, True)
    endpoint.by_model["anthropic/claude-haiku-4.5"] = answers(JUDGED)
    done = lakehouse(
        environ, "second-pass", review_id, "--diff", "fix.diff", "--reviewers", f"{CLAUDE},{GPT}", "--json"
    )
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["changed"], list(told["not_engaged"])) == ([1], [GPT])
    assert [(f["state"], f["history"][-1]["by"]) for f in told["findings"]] == [
        ("fixed", CLAUDE),
        ("dismissed", "dana"),
    ]
    rates = json.loads(lakehouse(environ, "rates", "--json").stdout)["reviewers"]
    assert {one["reviewer"]: one["false_positive_rate"] for one in rates} == {GPT: 0.0, KIMI: 1.0}
    assert json.loads(store.get(RATES).body)["reviewers"] == rates
    said = {line["review_of"]: (line["is_human"], line["verdict"]) for line in raw_lines(store)}
    assert said[f"review:{review_id}#2"] == (True, "reject")
    assert said[f"review:{review_id}#1/fix"] == (False, "accept")
    assert review_id in lakehouse(environ, "list").stdout


def test_two_that_change_one_finding_lose_nothing(reviewed: dict[str, Any], store: S3ObjectStore) -> None:
    reviews = ReviewStore(store)
    seen: list[int] = []

    def update(kept: Any) -> Any:
        if not seen:  # somebody else comes in between
            reviews.change(
                reviewed["review_id"], lambda k: k.changed([2], person_says("open", by="b", why="x", at=NOW))
            )
        seen.append(kept.version)
        return kept.changed([1], person_says("deferred", by="a", why="later", at=NOW))

    after = reviews.change(reviewed["review_id"], update)
    assert len(seen) == 2
    assert (after.of(1).state, after.of(2).state) == ("deferred", "open")
    with pytest.raises(NotFound):
        reviews.findings("0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c")
    for bad in ("../x", "rates.json", ""):
        with pytest.raises(BadInput):
            reviews.findings(bad)


def test_embedded_model_reviews_and_is_not_believed(environ: dict[str, str]) -> None:
    done = lakehouse(environ, "--diff", "pay.diff", "--reviewers", "smollm2-135m-instruct", "--json")
    document = json.loads(done.stdout)
    [seat] = document["reviewers"]
    assert seat["lineage"] == "huggingface"
    assert (seat["verdict"] is None) == (done.exit_code == 3)
    assert not seat["approves"]
    assert "cut" in seat["why_not"]["1"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("--diff", "pay.diff", "--reviewers", "nobody/x"), 1, "there is no model"),
        (("--diff", "pay.diff", "--reviewers", "kimi/kimi-k2"), 1, "cannot be asked"),
        (("--diff", "pay.diff"), 1, "nobody is to review"),
        (("--diff", "empty.diff", "--reviewers", GPT), 1, "nothing to review"),
        (("--diff", "no-such-rev", "--reviewers", GPT), 1, "not a file, and git knows"),
        (("--diff=--output=x", "--reviewers", GPT), 1, "neither a file nor a revision"),
        (("--diff", "large.diff", "--reviewers", GPT), 1, "--force-oversize"),
        (("--diff", "large.diff", "--force-oversize", "--dry-run"), 0, "warning: bundle 1"),
        (("show", "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"), 1, "there is no review"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_and_asks_nobody(
    environ: dict[str, str], endpoint: ChatEndpointServer, arguments: tuple[str, ...], code: int, part: str
) -> None:
    before = len(endpoint.requests)
    done = lakehouse(environ, *arguments)
    assert (done.exit_code, part in done.stderr, isinstance(done.exception, SystemExit | None)) == (code, True, True), (
        done.stderr
    )
    assert len(endpoint.requests) == before


def test_revision_is_what_it_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, check=True)

    git("init", "-q", "-b", "main")
    git("config", "diff.noprefix", "true")
    for text in ("one\n", "two\n", "three\n"):
        (tmp_path / "ä.txt").write_text(text)
        git("add", ".")
        git("commit", "-q", "-m", text)
    assert read_diff("HEAD", folder=tmp_path).endswith("@@ -1 +1 @@\n-two\n+three\n")
    assert read_diff("HEAD~2..HEAD", folder=tmp_path).endswith("@@ -1 +1 @@\n-one\n+three\n")
    assert "+one" in read_diff("HEAD~2", folder=tmp_path)
