"""Control characters in names and values are shown, and change nothing of what stands beside them."""

from __future__ import annotations

import pytest

from lakehouse.control_characters import visible
from lakehouse_api.ui.formats import CELL_CHARACTERS, cell
from lakehouse_cli import dataset_tables
from lakehouse_cli.terminal import shown

OVERRIDE = "\u202e"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain, ü, 日本, עברית", "plain, ü, 日本, עברית"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07\x9b", "\\x1b[31mred\\x07\\x9b"),
        (f"cod{OVERRIDE}txt.exe\u2069", "cod\\u202etxt.exe\\u2069"),
        ("a\u2028b", "a\\u2028b"),
        ("👩\u200d🔧 \u200fعربي", "👩\u200d🔧 \u200fعربي"),  # joiners and marks are how these are written
    ],
)
def test_control_characters_are_escaped_and_others_stay(text: str, said: str) -> None:
    assert visible(text) == said


def test_ends_of_lines_stay_where_there_is_a_place_for_them() -> None:
    assert visible("a\n\tb\x00", keeps_lines=True) == "a\n\tb\\x00"


def test_value_for_a_console_is_neither_markup_nor_escapes() -> None:
    assert shown("[red]\x1b[2J") == "\\[red]\\x1b[2J"


def test_name_with_an_end_of_line_breaks_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [{"name": f"a\nb{OVERRIDE}", "type": "BIGINT", "pii": False}]
    manifest = {"name": "d", "version": 1, "row_count": 1, "size_bytes": 1, "objects": [1], "updated_at": "now"}
    dataset_tables.print_dataset({**manifest, "columns": columns})
    assert "a\\nb\\u202e  BIGINT" in capsys.readouterr().out
    answer = {"columns": columns, "rows": [["x\ny"], [None]], "truncated": False, "row_count": 2}
    dataset_tables.print_answer(answer)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["a\\nb\\u202e", "x\\ny", "NULL"]


def test_cell_of_a_page_reads_forwards() -> None:
    assert cell(f"1{OVERRIDE}23\n4") == "1\\u202e23\n4"
    assert cell(OVERRIDE * (CELL_CHARACTERS + 1)) == "\\u202e" * CELL_CHARACTERS + "…"
