"""The parts of the pages that need no server: sessions, targets, filters, differences, drawings, kept answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.chart_svg import chart_svg
from lakehouse.catalog.manifest import Column, DataObject, Manifest
from lakehouse.errors import BadInput, InsufficientStorage, NotFound
from lakehouse.lineage.answer import Lineage, Memory, PlacedSample, RawLine, RunLineage, RunScore
from lakehouse.memory.entry import Order
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.playbook_entry import Evidence
from lakehouse_api.ui.chart_documents import rows_chart, series_chart
from lakehouse_api.ui.dependencies import whole_number
from lakehouse_api.ui.facet_filters import filter_of
from lakehouse_api.ui.formats import CELL_CHARACTERS, cell, last_answer, moment_text, size, turns, utc_text
from lakehouse_api.ui.lineage_graph import graph_of
from lakehouse_api.ui.memory_page import weights_over_time
from lakehouse_api.ui.paths import local_target
from lakehouse_api.ui.rendering import environment
from lakehouse_api.ui.result_rows import read_cell, read_rows
from lakehouse_api.ui.results import Result, Results
from lakehouse_api.ui.runs_page import RunFilters
from lakehouse_api.ui.sessions import LIFETIME_S, Sessions, digest_of
from lakehouse_api.ui.version_diff import diff_versions

KEY = b"k" * 32
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_cookie_gives_its_session_until_it_is_over() -> None:
    sessions = Sessions(KEY)
    session = sessions.open(digest_of("token"), now_s=1000)
    cookie = sessions.cookie(session)
    assert sessions.read(cookie, now_s=1000 + LIFETIME_S - 1) == session
    assert sessions.read(cookie, now_s=1000 + LIFETIME_S) is None
    assert "token" not in cookie


def test_cookie_of_another_installation_is_not_read() -> None:
    session = Sessions(b"other" * 8).open(b"", now_s=0)
    assert Sessions(KEY).read(Sessions(b"other" * 8).cookie(session), now_s=1) is None


@given(place=st.integers(0, 200), character=st.characters(codec="ascii"))
def test_changed_cookie_is_not_read(place: int, character: str) -> None:
    sessions = Sessions(KEY)
    cookie = sessions.cookie(sessions.open(digest_of("token"), now_s=0))
    at = place % len(cookie)
    changed = cookie[:at] + character + cookie[at + 1 :]
    assert (sessions.read(changed, now_s=1) is None) == (changed != cookie)


@given(st.text(max_size=450))
def test_any_text_as_cookie_is_refused_and_breaks_nothing(text: str) -> None:
    assert Sessions(KEY).read(text, now_s=0) is None


def test_csrf_of_another_session_is_refused() -> None:
    sessions = Sessions(KEY)
    one, other = sessions.open(b"", now_s=0), sessions.open(b"", now_s=0)
    assert sessions.is_csrf(one, sessions.csrf(one))
    assert not sessions.is_csrf(one, sessions.csrf(other))
    assert not sessions.is_csrf(one, "")
    assert not sessions.is_csrf(one, "é")


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/ui/runs?score=accepted", "/ui/runs?score=accepted"),
        ("/ui", "/ui"),
        ("https://evil.example", "/ui"),
        ("//evil.example/ui/", "/ui"),
        ("/ui/\\evil", "/ui"),
        ("/ui/x\r\nSet-Cookie: a=b", "/ui"),
        ("/uix", "/ui"),
        ("/ui/login?next=/ui/login", "/ui"),
        ("javascript:alert(1)", "/ui"),
    ],
)
def test_login_leads_to_pages_of_ours_alone(asked: str, led: str) -> None:
    assert local_target(asked) == led


def test_files_of_packages_are_those_that_were_taken() -> None:
    folder = files("lakehouse_api.ui") / "static" / "vendor"
    packages = json.loads((folder / "PACKAGES.json").read_text())
    assert set(packages) == {"htmx.min.js", "sse.min.js"}
    for name, said in packages.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == said["sha256"], name
        assert "BSD" in (folder / said["licence"]).read_text()


def test_templates_escape_and_name_what_is_missing() -> None:
    page = environment().from_string("{{ value|cell }}{{ value|pretty }}")
    assert "<script>" not in page.render(value="<script>alert(1)</script>")
    assert all("|safe" not in path.read_text() for path in Path(str(files("lakehouse_api.ui") / "templates")).glob("*"))


def test_times_are_told_alike_however_they_are_kept() -> None:
    told = "2026-03-01 10:00:00 UTC"
    for kept in (datetime(2026, 3, 1, 10, tzinfo=UTC), "2026-03-01T10:00:00.000000Z", "2026-03-01T11:00:00+01:00"):
        assert utc_text(kept) == told
    assert (utc_text(None), moment_text("yesterday")) == ("–", "yesterday")


def test_cells_are_cut_where_they_are_long() -> None:
    assert cell("x" * 1_000_000) == "x" * CELL_CHARACTERS + "…"
    assert cell(None) == ""
    assert cell({"a": [1, NOW]}) == '{"a":[1,"2026-03-01T00:00:00+00:00"]}'
    assert cell(b"\x00\xff") == "00ff"
    assert size(1536) == "1.5 KiB"


def test_turns_of_a_run_are_told_apart_and_bounded() -> None:
    assert turns('[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"1"}]}]') == [
        ("user", "hi"),
        ("assistant", '[\n  {\n    "id": "1"\n  }\n]'),
    ]
    assert turns("no JSON") == [("", "no JSON")]
    assert turns(None) == [("", "")]
    assert turns("[1]") == [("", "[1]")]
    assert turns(json.dumps([{"role": "user", "content": "x"}] * 105))[-1] == ("", "and 5 more")


def test_turn_that_would_read_backwards_shows_why() -> None:
    assert turns("open \u202egnp.exe") == [("", r"open \u202egnp.exe")]


def test_turn_that_is_cut_says_how_much_is_missing() -> None:
    assert turns("x" * 20_003) == [("", "x" * 20_000 + "\n… and 3 more characters")]


@pytest.mark.parametrize(
    ("output", "edited"),
    [
        ('[{"role": "assistant", "content": "look"}, {"role": "assistant", "content": "two\\nlines"}]', "two\nlines"),
        ("Call Ann.", "Call Ann."),
        (
            '[{"role": "assistant", "content": null, "tool_calls": []}]',
            '[{"role": "assistant", "content": null, "tool_calls": []}]',
        ),
        ('["a", "b"]', '["a", "b"]'),
        ("{}", "{}"),
        (None, ""),
    ],
)
def test_last_answer_is_what_is_edited(output: str | None, edited: str) -> None:
    assert last_answer(output) == edited


def test_form_of_filters_is_a_filter_that_the_search_reads() -> None:
    fields = [("f.state", '"OH"'), ("f.state", '"MI"'), ("l.skills", '"welding"'), ("min.rate", "20"), ("max.rate", "")]
    made = filter_of([*fields, ("q", "x")])
    assert made == {
        "and": [{"state": {"in": ["OH", "MI"]}}, {"skills": {"contains": "welding"}}, {"rate": {"gte": 20}}]
    }
    parse_filter(made)
    assert filter_of([("q", "x")]) is None
    with pytest.raises(BadInput, match="must be a number"):
        filter_of([("min.rate", "cheap")])


def test_filters_of_runs_are_quoted() -> None:
    where = RunFilters(stream="a' OR '1'='1", find="it's", since="2026-01-01").where()
    assert where == (
        "stream = 'a'' OR ''1''=''1' AND (contains(run_id, 'it''s') OR contains(coalesce(task_id, ''), 'it''s'))"
        " AND dt >= '2026-01-01'::DATE"
    )


def test_difference_of_versions_names_columns_and_files() -> None:
    def version(number: int, columns: tuple[Column, ...], keys: tuple[str, ...]) -> Manifest:
        objects = tuple(DataObject(key, 10, "0" * 64, "0" * 64, 5) for key in keys)
        return Manifest("d", "workers", columns, objects, number, "c", NOW, NOW)

    before = version(1, (Column("id", "BIGINT"), Column("rate", "DOUBLE")), ("a", "b"))
    after = version(2, (Column("id", "VARCHAR"), Column("name", "VARCHAR", pii=True)), ("b", "c", "d"))
    diff = diff_versions(before, after)
    assert [column.name for column in diff.columns_added] == ["name"]
    assert [column.name for column in diff.columns_gone] == ["rate"]
    assert [(was.type, now.type) for was, now in diff.columns_changed] == [("BIGINT", "VARCHAR")]
    assert (len(diff.files_added), len(diff.files_gone), diff.files_kept, diff.rows) == (2, 1, 1, 5)


def test_lineage_is_drawn_from_the_raw_line_to_the_corpus() -> None:
    line = RawLine("raw/chat_calls/dt=2026-03-01/x.jsonl", 7, "a" * 64, "chat_calls", "serves", "verified")
    score = RunScore(NOW.date(), "chat_calls", "accepted", "reward.full", "7", "a" * 64, "scored/x")
    sample = PlacedSample("sft", "b" * 32, "c" * 32, "chat", "train", 3, 3, 1, "origin", "r1", "a" * 64)
    run = RunLineage("r1", (line,), (score,), (sample,), memory=Memory(("uid-1",), ("playbook-1",)))
    graph = graph_of(Lineage("r1", "run", (run,)))
    kinds = [node.kind for node in graph.nodes]
    assert sorted(kinds) == ["corpus", "memory", "memory", "raw line", "run", "sample", "score"]
    assert len(graph.paths) == 6  # line to run, run to score, score to sample, sample to corpus, run to both memories
    assert {node.link for node in graph.nodes if node.kind == "corpus"} == {f"/ui/corpora/sft/{'b' * 32}"}
    many = replace(run, lines=tuple(replace(line, line=number) for number in range(1, 101)))
    assert graph_of(Lineage("r1", "run", (many,))).hidden == 60


def test_weight_rises_with_a_judgement_and_fades() -> None:
    orders = [Order(n, "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c", n, 0) for n in (1, 2)]
    evidence = [
        Evidence("1", orders[0], "ann", 1.0, NOW),
        Evidence("2", orders[1], "bob", 1.0, NOW + timedelta(days=10)),
    ]
    points = weights_over_time(evidence, now=NOW + timedelta(days=100), half_life_days=30)
    weights = dict(points)
    assert weights[NOW] == pytest.approx(1.0)
    assert weights[NOW + timedelta(days=100)] < weights[NOW + timedelta(days=10)]
    assert [moment for moment, _ in points] == sorted(moment for moment, _ in points)
    assert weights_over_time([], now=NOW, half_life_days=30) == []


def test_chart_takes_columns_of_any_name_and_cuts_long_values() -> None:
    rows = [{"a.b[0]": "x" * 1000, "n": 3}]
    chart = rows_chart(rows, {"a.b[0]": "string", "n": "int64"}, x="a.b[0]", y="n")
    assert chart["encoding"]["x"]["field"] == "c0"
    assert len(chart["data"]["values"][0]["c0"]) <= CELL_CHARACTERS + 1
    with pytest.raises(BadInput, match="mark must be"):
        rows_chart(rows, {"a.b[0]": "string", "n": "int64"}, x="a.b[0]", y="n", mark="pie")


async def _stream(table: pa.Table, chunk_rows: int) -> AsyncIterator[bytes]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk_rows)
    body = sink.getvalue().to_pybytes()
    for start in range(0, len(body), 4096):
        yield body[start : start + 4096]


def _keep(results: Results, table: pa.Table, most_rows: int, **given_: Any) -> Result:
    async def run() -> Result:
        return await results.keep(
            _stream(table, 7), sql="SELECT 1", owner=given_.get("owner", "ann"), most_rows=most_rows
        )

    return asyncio.run(run())


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results", keep_s=3600)


@given(start=st.integers(0, 120), count=st.integers(0, 60))
def test_page_of_an_answer_is_its_rows_whatever_the_batches(start: int, count: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        table = pa.table({"n": list(range(100)), "t": [f"row {n}" for n in range(100)]})
        result = _keep(Results(Path(name), keep_s=3600), table, 90)
        assert (result.rows, result.is_cut) == (90, True)
        expected = [(n, f"row {n}") for n in range(100)][start : min(start + count, 90)] if start < 90 else []
        assert read_rows(result, start=start, count=count) == expected


def test_cell_of_an_answer_is_whole_and_ends_with_its_rows(results: Results) -> None:
    result = _keep(results, pa.table({"t": ["a", "x" * 2_000_000]}), 10)
    assert len(read_cell(result, row=1, column=0)) == 2_000_000
    assert read_rows(result, start=0, count=2) == [("a",), ("x" * (CELL_CHARACTERS + 1),)]
    for row, column in ((2, 0), (0, 1)):
        with pytest.raises(NotFound):
            read_cell(result, row=row, column=column)


def test_times_beyond_any_calendar_are_shown_and_break_no_page(results: Results) -> None:
    days = pa.array([0, 2**31 - 1, -(2**31) + 1, None, 10**7], pa.int32()).cast(pa.date32())
    times = pa.array([0, 2**63 - 1, -(2**63) + 1, None, 10**18], pa.int64()).cast(pa.timestamp("us"))
    nested = pa.StructArray.from_arrays([days], ["d"])
    result = _keep(results, pa.table({"d": days, "t": times, "s": nested}), 10)
    rows = [[str(value) for value in row] for row in read_rows(result, start=0, count=10)]
    assert [row[0] for row in rows[:4]] == ["1970-01-01", "infinity", "-infinity", "None"]
    assert [row[1] for row in rows[:4]] == ["1970-01-01 00:00:00", "infinity", "-infinity", "None"]
    assert rows[1][2] == "(a time that no calendar of pages has)"
    assert read_cell(result, row=1, column=1) == "infinity"
    made = rows_chart(
        [{"d": row[0], "n": 1} for row in read_rows(result, start=0, count=10)], {"d": "date32[day]", "n": "int64"},
        x="d", y="n",
    )  # fmt: skip
    assert made["data"]["values"][0]["c0"] == "1970-01-01"
    nanoseconds = _keep(results, pa.table({"t": pa.array([1], pa.int64()).cast(pa.timestamp("ns"))}), 10)
    assert str(read_rows(nanoseconds, start=0, count=1)[0][0]).endswith("000000001")


def test_chart_of_nothing_is_told_and_long_names_leave_it_its_size() -> None:
    types = {"k": "string", "n": "int64", "t": "timestamp[us]"}
    for rows in ([], [{"k": "a", "n": None, "t": None}] * 3):
        for x, y in (("k", "n"), ("t", "n")):
            with pytest.raises(BadInput, match="nothing to draw"):
                rows_chart(rows, types, x=x, y=y)
    with pytest.raises(BadInput, match="nothing to draw"):
        rows_chart([{"k": "a", "n": float("nan"), "t": None}], types, x="k", y="n")
    name = "a very long name " * 20
    chart = rows_chart([{name: 1, "n": 2}], {name: "int64", "n": "int64"}, x=name, y="n")
    assert len(chart["encoding"]["x"]["title"]) <= 61


def test_answers_are_their_owners_and_the_oldest_goes(results: Results, tmp_path: Path) -> None:
    first = _keep(results, pa.table({"n": [1]}), 10)
    with pytest.raises(NotFound, match="run the query again"):
        results.get(first.id, owner="bob")
    for _ in range(24):
        _keep(results, pa.table({"n": [1]}), 10)
    with pytest.raises(NotFound):
        results.get(first.id, owner="ann")
    assert len(list((tmp_path / "results").glob("*.arrows"))) == len(list((tmp_path / "results").glob("*.json"))) == 24


def test_answer_that_is_too_large_leaves_no_file(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse_api.ui.results._MOST_BYTES", 10_000)
    with pytest.raises(InsufficientStorage, match="download it"):
        _keep(results, pa.table({"t": ["x" * 20_000]}), 10)
    assert not list((tmp_path / "results").iterdir())


def test_dashes_of_groups_are_seen_in_the_legend() -> None:
    drawn = chart_svg(series_chart([(f"2026-03-0{n}", n / 10, "a") for n in (1, 2)] * 2, what="w", groups="xxyy"))
    symbols = re.findall(r"<path [^>]*stroke-dasharray[^>]*>", drawn.partition("role-legend")[2])
    assert len(symbols) == 2
    assert all('stroke="#7f7f7f"' in one for one in symbols)
    assert len(re.findall(r'aria-roledescription="point"', drawn)) == 4


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "51", "1.5", "9" * 5000])
def test_number_that_is_none_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="must be a whole number from 1 to 50"):
        whole_number(text, "count", least=1, most=50)


def test_whole_number_may_stand_apart() -> None:
    assert whole_number(" 7 ", "count", least=1, most=50) == 7
