"""What a form of the triage sends is what was written."""

from __future__ import annotations

from lakehouse_api.ui.triage_page import as_written


def test_lines_end_as_they_did_in_the_box() -> None:
    assert as_written("one\r\ntwo\n\r\nthree\r") == "one\ntwo\n\nthree\r"
