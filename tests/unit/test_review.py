"""Cross-model review: diffs, places, findings, engagement, convergence, the life of findings, the second pass."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from lakehouse.errors import BadInput, NotFound, TooLarge
from lakehouse.review.answers import Heard, hear
from lakehouse.review.bundles import MOST_BYTES, WARN_BYTES, Bundle, make_bundles
from lakehouse.review.convergence import converge
from lakehouse.review.diff import parse_diff
from lakehouse.review.findings import Finding, read_answer
from lakehouse.review.life import Change, KeptFindings, keep, person_says
from lakehouse.review.lines import line_of_change, lines_of
from lakehouse.review.panel import Answered, Said
from lakehouse.review.places import Place, PlacesOf
from lakehouse.review.rates import rates_of
from lakehouse.review.report import findings_markdown, review_markdown
from lakehouse.review.review import Diff, Review
from lakehouse.review.second_pass import changes_of, read_judgements, to_judge
from lakehouse.scoring.lineage import lineage_of, lineage_sql, lineages

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DIFF = """\
diff --git a/src/pay.py b/src/pay.py
index 1..2 100644
--- a/src/pay.py
+++ b/src/pay.py
@@ -10,5 +10,6 @@ def pay(rate, hours):
     check(rate)
-    total = rate * hours
-    log(total)
+    total = rate / hours
+    if total > 1000:
+        raise ValueError(total)
     return total
 # end
diff --git a/notes.md b/notes.md
new file mode 100644
--- /dev/null
+++ b/notes.md
@@ -0,0 +1,2 @@
+# Notes
+--- not a header
"""
BLOCK = "SEVERITY: BLOCK\nWHERE: src/pay.py:11\nWHY: hours may be zero, and then the division raises\n"
ANALYSIS = (
    "src/pay.py now divides the rate by the hours and raises above a thousand; notes.md only adds a heading. I checked"
    " the callers of pay, the rounding, and that the guard comes behind the computation as it should be.\n"
)


def bundle(text: str = DIFF) -> Bundle:
    return make_bundles(parse_diff(text))[0]


def heard(text: str, reviewer: str = "kimi/kimi-k2", finish: str = "stop") -> Heard:
    return hear(text, finish_reason=finish, reviewer=reviewer, bundle=bundle())


def finding(reviewer: str, first: int, last: int | None = None, severity: str = "WARN", path: str = "a") -> Finding:
    return Finding(severity, Place(path, first, last or first), "it is wrong there", reviewer, 1)  # type: ignore[arg-type]


def made(*answers: tuple[str, str]) -> Review:
    """A review of `DIFF` by reviewers with their answers."""
    said = [
        Answered(seat, heard(text, reviewer), Said(text, "stop", reviewer, "ollama", 10, 5, 0.0, 1.0))
        for seat, (reviewer, text) in enumerate(answers, 1)
    ]
    return Review.of(
        said, review_id="0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c", created_at=NOW,
        diff=Diff("x.diff", "0" * 64, len(DIFF), 2), bundles=[bundle()],
    )  # fmt: skip


def test_lines_have_their_numbers_on_both_sides() -> None:
    [pay, notes] = parse_diff(DIFF)
    assert (pay.path, notes.path) == ("src/pay.py", "notes.md")
    assert [(old, new) for _, old, new in pay.hunks[0].numbered()] == [
        (10, 10), (11, None), (12, None), (None, 11), (None, 12), (None, 13), (13, 14), (14, 15),
    ]  # fmt: skip
    assert pay.text + notes.text == DIFF


def test_paths_are_read_as_git_and_diff_write_them() -> None:
    text = (
        'diff --git "a/\\303\\244 b.txt" "b/\\303\\244 b.txt"\n--- "a/\\303\\244 b.txt"\n+++ "b/\\303\\244 b.txt"\n'
        "@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"
        "diff --git a/old.py b/new name.py\nsimilarity index 100%\nrename from old.py\nrename to new name.py\n"
        "diff --git a/x.bin b/x.bin\nindex 1..2\nBinary files a/x.bin and b/x.bin differ\n"
        "diff --git a/gone.py b/gone.py\ndeleted file mode 100644\n--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
        "--- a/plain.c\t2026-01-01 00:00:00\n+++ b/plain.c\t2026-01-02 00:00:00\n@@ -1 +1 @@\n-a\n+b\n"
        "--- bare.c\n+++ bare.c\n@@ -1 +1 @@\n-a\n+b\n-- \n2.43.0\n"
    )
    assert [file.path for file in parse_diff(text)] == [
        "ä b.txt", "new name.py", "x.bin", "gone.py", "plain.c", "bare.c",
    ]  # fmt: skip
    assert [file.path for file in parse_diff(DIFF.replace("\n", "\r\n"))] == ["src/pay.py", "notes.md"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("hello\n", None, "not a unified diff"), ("", None, "not a unified diff"),
        ("@@ -1 +1 @@\n-a\n+b\n", 1, "of no file"),
        ("diff --cc a\n--- a/a\n+++ b/a\n@@@ -1,1 -1,1 +1,2 @@@\n  a\n++b\n", 1, "combined"),
        ("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n", 3, "cut off"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n", 6, "too small"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\nc\n", 6, "does not fit"),
        ("--- a/x\n+++ b/x\n@@ nonsense\n-a\n", 3, "not a header of a hunk"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n--- a/x\n+++ b/x\n@@ -5 +5 @@\n-a\n+b\n", None, "twice"),
    ],
)  # fmt: skip
def test_diff_that_does_not_add_up_is_refused_with_its_line(text: str, line: int | None, part: str) -> None:
    with pytest.raises(BadInput, match=part) as refused:
        parse_diff(text)
    assert refused.value.fields.get("line") == line


def test_real_commits_have_the_lines_that_git_counts() -> None:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for commit in git("log", "-n", "12", "--no-merges", "--format=%h").split():
        text = git("show", "--format=%B", "-M", commit)
        files = {file.path: file for file in parse_diff(text)} if "\ndiff --git" in text else {}
        for row in git(
            "-c", "core.quotePath=false", "show", "--format=", "--numstat", "--no-renames", "-z", commit
        ).split("\0"):
            if not row:
                continue
            added, deleted, path = row.split("\t", 2)
            if added == "-" or path not in files or "rename to" in "".join(files[path].header):
                continue
            lines = [line for hunk in files[path].hunks for line in hunk.lines]
            assert (sum(x[:1] == "+" for x in lines), sum(x[:1] == "-" for x in lines)) == (int(added), int(deleted))


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("src/pay.py:11", Place("src/pay.py", 11, 11)), ("`src/pay.py:11-13`", Place("src/pay.py", 11, 13)),
        ("b/src/pay.py:14", Place("src/pay.py", 14, 14)), ("src/pay.py:-11", Place("src/pay.py", 11, 11, "old")),
        ("src/pay.py:-11-12", Place("src/pay.py", 11, 12, "old")), ("**notes.md:1**", Place("notes.md", 1, 1)),
        ("src/pay.py:L12", Place("src/pay.py", 12, 12)), ("src/pay.py:11 (the division)", Place("src/pay.py", 11, 11)),
        ("src/pay.py:99 and src/pay.py:11", None), ("see src/pay.py:11", None),
        ("src/pay.py:16", None), ("src/pay.py:9", None), ("src/pay.py:14-16", None), ("src/pay.py:13-11", None),
        ("pay.py:11", None), ("other.py:11", None), ("src/pay.py", None), ("", None), ("src/pay.py:-14", None),
        ("src/pay.py:0", None), ("notes.md:-1", None),
    ],
)  # fmt: skip
def test_place_counts_when_it_is_in_the_diff(written: str, place: Place | None) -> None:
    assert PlacesOf(parse_diff(DIFF)).read(written) == place


@pytest.mark.parametrize(
    "path", [".github/ci.yml", "_x.py", "app/[id].tsx", "a:b.py", "b/x", "x 1.py", "*.md", "(a)/b.py"]
)
def test_place_is_found_whatever_its_path_begins_and_ends_with(path: str) -> None:
    places = PlacesOf(parse_diff(f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n"))
    for written in (
        f"{path}:1",
        f"`{path}:1`",
        f"`{path}`:1",
        f"**{path}:1**.",
        f"({path}:1)",
        f"b/{path}:1",
        f" {path}:1 ",
    ):
        assert places.read(written) == Place(path, 1, 1), written


def test_old_number_is_meant_where_the_new_side_has_none() -> None:
    places = PlacesOf(parse_diff("--- a/x\n+++ b/x\n@@ -40,2 +4,1 @@\n a\n-b\n"))
    assert places.read("x:41") == Place("x", 41, 41, "old")
    assert places.read("x:4") == Place("x", 4, 4)
    assert not Place("x", 4, 4).overlaps(Place("x", 4, 4, "old"))


def test_bundles_warn_and_refuse_by_size() -> None:
    def one(path: str, size: int, hunks: int = 1) -> str:
        body = "".join(f"@@ -0,0 +{n * 10 + 1},1 @@\n+{'x' * (size // hunks)}\n" for n in range(hunks))
        return f"--- /dev/null\n+++ b/{path}\n{body}"

    small = make_bundles(parse_diff("".join(one(f"f{n}", 20_000) for n in range(5))))
    assert [(b.number, b.paths, b.warning) for b in small] == [
        (1, ("f0", "f1"), None), (2, ("f2", "f3"), None), (3, ("f4",), None),
    ]  # fmt: skip
    [warned] = make_bundles(parse_diff(one("f", WARN_BYTES + 1, hunks=2)))
    assert warned.warning is not None
    assert "--split" in warned.warning
    [whole] = make_bundles(parse_diff(one("f", WARN_BYTES + 1)), is_split=True)
    assert whole.warning is not None
    assert "one hunk" in whole.warning
    assert "--split" not in whole.warning  # which would cut nothing
    with pytest.raises(TooLarge, match="--force-oversize"):
        make_bundles(parse_diff(one("f", MOST_BYTES + 1)))
    [forced] = make_bundles(parse_diff(one("f", MOST_BYTES + 1)), is_forced=True)
    assert forced.size > MOST_BYTES
    split = make_bundles(parse_diff(one("f", 120_000, hunks=6)), is_split=True)
    assert [len(b.files[0].hunks) for b in split] == [2, 2, 2]
    assert {b.paths for b in split} == {("f",)}
    assert make_bundles(parse_diff("diff --git a/o b/n\nrename from o\nrename to n\n")) == ()


def test_bundle_shows_the_number_of_each_line() -> None:
    text = bundle().text()
    assert "    11 +    total = rate / hours" in text
    assert "   -11 -    total = rate * hours" in text
    assert "=== src/pay.py" in text


def test_findings_are_read_however_they_are_set() -> None:
    text = (
        f"{ANALYSIS}\n**SEVERITY:** BLOCK\n**WHERE:** `src/pay.py:11`\n**WHY:** hours may be zero,\nand it raises\n\n"
        "- Severity: warn\n  Where: src/pay.py:12-13\n  Why: no currency\n\n"
        "SEVERITY: INFO\nWHERE: src/pay.py:99\nWHY: outside\n"
        "SEVERITY: LOUD\nWHERE: src/pay.py:11\nWHY: no such severity\n"
        "SEVERITY: INFO\nWHERE: notes.md:1\n\nprose\nVERDICT: reject\n"
    )
    read = read_answer(text, PlacesOf(parse_diff(DIFF)), reviewer="m", bundle=1)
    assert [(f.severity, str(f.place), f.reason) for f in read.findings] == [
        ("BLOCK", "src/pay.py:11", "hours may be zero, and it raises"), ("WARN", "src/pay.py:12-13", "no currency"),
    ]  # fmt: skip
    assert (read.stated, read.dropped.outside, read.dropped.malformed) == ("reject", 1, 2)
    one = '{"severity": "WARN", "where": "src/pay.py:11", "why": "zero"}'
    as_json = f'```json\n{{"findings": [{one}, 7], "verdict": "cycle"}}\n```'
    read = read_answer(as_json, PlacesOf(parse_diff(DIFF)), reviewer="m", bundle=1)
    assert ([str(f.place) for f in read.findings], read.stated, read.dropped.malformed) == (
        ["src/pay.py:11"],
        "cycle",
        1,
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{BLOCK}WITHDRAWN: src/pay.py:11\n",
        BLOCK.replace("raises", "raises. Wait, this is not an issue after all."),
        BLOCK.replace("raises", "raises. On second thought, I withdraw this."),
        BLOCK.replace("raises", "raises. Never mind."),
        '{"findings": [{"severity": "BLOCK", "where": "src/pay.py:11", "why": "it divides", "withdrawn": true}]}',
    ],
)
def test_finding_that_its_reviewer_takes_back_is_dropped_and_counted(text: str) -> None:
    read = read_answer(text, PlacesOf(parse_diff(DIFF)), reviewer="m", bundle=1)
    assert (read.findings, read.dropped.withdrawn) == ((), 1)


@pytest.mark.parametrize("why", ["The caller assumes that it is fine.", "The guard is not an issue here, the sign is."])
def test_finding_that_only_speaks_of_fine_things_stays(why: str) -> None:
    read = read_answer(BLOCK.replace("hours", why), PlacesOf(parse_diff(DIFF)), reviewer="m", bundle=1)
    assert len(read.findings) == 1


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        ("", "stop", "empty"), ("  \n", "stop", "empty"), (f"{ANALYSIS}VERDICT: accept", "length", "cut"),
        (f"{BLOCK}VERDICT: reject", "length", "cut"), ("LGTM!\nVERDICT: accept", "stop", "too short"),
        (ANALYSIS, "stop", "neither a finding nor a verdict"),
        (f"{ANALYSIS}VERDICT: accept, or VERDICT: cycle", "stop", "neither a finding nor a verdict"),
        (f"{ANALYSIS}SEVERITY: BLOCK\nWHERE: src/pay.py:400\nWHY: nothing is there at all", "stop", "not in the diff"),
        (f"{ANALYSIS.replace('src/pay.py', 'it').replace('notes.md', 'it')}VERDICT: accept", "stop", "names no file"),
    ],
)  # fmt: skip
def test_answer_that_holds_no_analysis_is_not_engaged(text: str, finish: str, why: str) -> None:
    one = heard(text, finish=finish)
    assert (one.verdict, one.findings) == (None, ())
    assert why in one.why_not


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"{ANALYSIS}VERDICT: accept", "accept"), (f"{ANALYSIS}**VERDICT:** `Cycle`.", "cycle"),
        (f"{BLOCK}VERDICT: accept", "reject"), (BLOCK, "reject"), (BLOCK.replace("BLOCK", "WARN"), "cycle"),
        (f"{ANALYSIS}{BLOCK.replace('BLOCK', 'INFO')}", "accept"),
        (f"{ANALYSIS}VERDICT: reject\n\nOr so it seemed.\nVERDICT: accept", "reject"),
        (f"{ANALYSIS}VERDICT: accept, or cycle, or reject\nVERDICT: cycle", "cycle"),
    ],
)  # fmt: skip
def test_verdict_is_the_worse_of_what_is_stated_and_found(text: str, verdict: str) -> None:
    assert heard(text).verdict == verdict


@pytest.mark.parametrize(
    "found",
    [
        BLOCK.replace("BLOCK", "CRITICAL"), "SEVERITY: BLOCK | WHERE: src/pay.py:11 | WHY: it divides by zero.\n",
        f"{BLOCK.replace('BLOCK', 'INFO')}SEVERITY: BLOCK\nWHERE: src/pay.py:11\n",
    ],
)  # fmt: skip
def test_approval_beside_findings_that_cannot_be_read_is_none(found: str) -> None:
    one = heard(f"{ANALYSIS}{found}VERDICT: accept")
    assert (one.verdict, one.why_not, one.dropped.malformed) == (
        None, "it accepts, and holds findings that cannot be read", 1,
    )  # fmt: skip
    assert heard(f"{ANALYSIS}{found}VERDICT: reject").verdict == "reject"


def test_same_place_is_said_once_by_a_reviewer() -> None:
    one = heard(f"{BLOCK}{BLOCK.replace('BLOCK', 'WARN').replace(':11', ':11-12')}VERDICT: reject")
    assert ([f.severity for f in one.findings], one.dropped.duplicate) == (["BLOCK"], 1)


def test_lineages_converge_and_models_do_not() -> None:
    thrice = [finding("gpt-4o", 5), finding("openrouter/openai/gpt-4o", 5), finding("gpt-4o-mini", 4, 6)]
    [point] = converge(thrice)
    assert (point.lineages, point.is_converged) == (("openai",), False)
    unknown = [finding("ollama/mystery:7b", 5), finding("openrouter/acme/mystery", 5)]
    [point] = converge(unknown)
    assert not point.is_converged
    both = converge([*thrice, finding("claude-sonnet-4-5", 6, 9, "BLOCK"), finding("kimi-k2", 6, path="b")])
    assert [(str(p.place), p.severity, p.lineages, p.is_converged) for p in both] == [
        ("a:4-9", "BLOCK", ("anthropic", "openai"), True), ("b:6", "WARN", ("moonshot",), False),
    ]  # fmt: skip


def test_lineage_of_a_name_is_that_of_sql() -> None:
    names = [f"x/{prefix}-1:7b" for prefix, _ in lineages()] + ["GPT-OSS:20b", "my-llama"]
    with duckdb.connect() as engine:
        for name in names:
            [in_sql] = engine.execute(f"SELECT {lineage_sql('m')} FROM (SELECT ? AS m)", [name]).fetchone() or ()
            assert lineage_of(name) == (in_sql or "model my-llama")


def test_one_model_on_several_seats_approves_and_converges_as_one() -> None:
    review = made(("gpt-4o", BLOCK), ("openrouter/openai/gpt-4o", BLOCK), ("ollama/gpt-oss:20b", BLOCK))
    assert [p.is_converged for p in review.points] == [False]
    review = made(("gpt-4o", BLOCK), ("kimi-k2", BLOCK))
    assert [p.is_converged for p in review.points] == [True]


def test_silence_is_no_approval() -> None:
    review = made(("gpt-4o", "LGTM"), ("kimi-k2", ""))
    assert (review.verdict(), review.unreviewed()) == (None, (1,))
    assert not any(seat.is_approval for seat in review.seats())
    assert list(lines_of(review)) == []
    text = review_markdown(review)
    assert "`gpt-4o` is not engaged on bundle 1: its answer is too short to hold an analysis." in text
    assert "| not engaged |" in text
    review = made(("gpt-4o", f"{ANALYSIS}VERDICT: accept"), ("kimi-k2", ""))
    assert review.verdict() == "accept"
    assert [seat.is_approval for seat in review.seats()] == [True, False]


def test_dispute_is_between_lineages() -> None:
    accepts = f"{ANALYSIS}VERDICT: accept"
    assert made(("gpt-4o", accepts), ("gpt-4o-mini", BLOCK)).disputed() == ()
    assert made(("gpt-4o", accepts), ("kimi-k2", BLOCK)).disputed() == (1,)


def test_lines_hold_verdict_and_findings_of_who_is_engaged() -> None:
    review = made(("gpt-4o", BLOCK), ("kimi-k2", "LGTM"))
    [line] = lines_of(review, actor="dana")
    assert (line["by"], line["is_human"], line["verdict"]) == ("gpt-4o", False, "reject")
    assert line["review_of"] == f"diff:{'0' * 64}#1"
    assert line["notes"] == ["BLOCK src/pay.py:11: hours may be zero, and then the division raises"]
    [about] = lines_of(review, about="run-7")
    assert about["review_of"] == "run-7"
    assert "output" not in about  # else it would pass for what the run should have answered


def test_markdown_of_models_makes_no_markup() -> None:
    review = made(("gpt-4o", BLOCK.replace("hours", "<img src=x onerror=alert(1)> | [x](javascript:1)")))
    text = review_markdown(review) + findings_markdown(keep(review))
    assert "<img" not in text
    assert "[x](" not in text.replace("\\[x](", "")


def kept(*answers: tuple[str, str]) -> KeptFindings:
    return keep(made(*answers))


def test_findings_live_and_say_by_whom_and_why() -> None:
    before = kept(("gpt-4o", BLOCK), ("kimi-k2", BLOCK))
    assert [(f.number, f.state, f.lineages) for f in before.findings] == [
        (1, "open", ("moonshot", "openai")), (2, "open", ("moonshot", "openai")),
    ]  # fmt: skip
    after = before.changed([1], person_says("dismissed", by="dana", why="hours is checked above", at=NOW))
    assert (after.version, after.of(1).state, after.of(2).state) == (2, "dismissed", "open")
    assert after.of(1).history == (
        Change("dismissed", "dana", True, "hours is checked above", "2026-03-04T12:00:00.000000Z"),
    )
    assert KeptFindings.from_document(after.to_document(), key="k") == after
    line = line_of_change("r", after.of(1), after.of(1).history[-1], version=2)
    assert (line["verdict"], line["is_human"], line["review_of"]) == ("reject", True, "review:r#1")
    for state, by, why in (("dismissed", "d", "again"), ("open", "d", " "), ("open", "", "x"), ("gone", "d", "x")):
        with pytest.raises(BadInput):
            after.changed([1], person_says(state, by=by, why=why, at=NOW))
    with pytest.raises(NotFound):
        after.of(7)


def test_false_positives_are_those_of_decided_findings() -> None:
    review = kept(("gpt-4o", f"{BLOCK}{BLOCK.replace(':11', ':14')}{BLOCK.replace(':11', ':15')}"))
    [rate] = rates_of([review])
    assert (rate.findings, rate.open, rate.false_positive_rate) == (3, 3, None)
    for number, state in ((1, "dismissed"), (2, "fixed")):
        review = review.changed([number], person_says(state, by="dana", why="looked", at=NOW))
    [rate] = rates_of([review, review])
    assert (rate.findings, rate.dismissed, rate.fixed, rate.false_positive_rate) == (6, 2, 2, 0.5)


JUDGED = "FINDING: 1\nSTATE: fixed\nWHY: the guard now refuses zero hours\n"


def said(text: str, finish: str = "stop") -> Said:
    return Said(text, finish, "m", "ollama")


def test_fix_is_judged_by_another_lineage_alone() -> None:
    review = kept(("gpt-4o", BLOCK))
    with pytest.raises(BadInput, match="another lineage"):
        to_judge(review, ["openrouter/openai/gpt-4o-mini"])
    may = to_judge(review, ["gpt-oss:20b", "kimi-k2"])
    assert {name: [f.number for f in found] for name, found in may.items()} == {"gpt-oss:20b": [], "kimi-k2": [1]}
    judged = read_judgements(said(JUDGED), review.findings, reviewer="kimi-k2")
    [(number, change)] = changes_of(review, judged, at=NOW)
    assert (number, change.state, change.by, change.is_human) == (1, "fixed", "kimi-k2", False)
    own = read_judgements(said(JUDGED), review.findings, reviewer="gpt-4o")
    assert changes_of(review, own, at=NOW) == []
    with pytest.raises(BadInput, match="lineage"):
        review.changed([1], replace(change, by="o3-mini"))


@pytest.mark.parametrize(
    "answer",
    [said(""), said(JUDGED, "length"), said(JUDGED.replace("1", "9")), said(JUDGED.replace("fixed", "perhaps")),
     said("FINDING: 1\nSTATE: fixed\nWHY: ok\n")],
)  # fmt: skip
def test_answer_that_judges_nothing_changes_nothing(answer: Said) -> None:
    review = kept(("gpt-4o", BLOCK))
    assert changes_of(review, read_judgements(answer, review.findings, reviewer="kimi-k2"), at=NOW) == []


def test_one_that_says_open_stands_against_all_that_say_fixed() -> None:
    review = kept(("gpt-4o", BLOCK)).changed([1], person_says("fixed", by="dana", why="in 1f2e", at=NOW))
    good = read_judgements(said(JUDGED), review.findings, reviewer="kimi-k2")
    bad = read_judgements(said(JUDGED.replace("fixed", "open")), review.findings, reviewer="claude-haiku")
    assert changes_of(review, good, at=NOW) == []
    [(_, change)] = changes_of(review, [*good, *bad], at=NOW)
    assert (change.state, change.by) == ("open", "claude-haiku")
    twice = read_judgements(said(JUDGED + JUDGED.replace("fixed", "open")), review.findings, reviewer="kimi-k2")
    assert [one.state for one in twice] == ["open"]
