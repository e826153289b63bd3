"""Logs are cut by size and the oldest go."""

from __future__ import annotations

from pathlib import Path

from lakehouse_cli.child_logs import NewLines, last_lines, rotate


def test_small_log_stays(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("x" * 10)
    assert not rotate(log, max_bytes=10, keep=3)
    assert not rotate(tmp_path / "absent.log", max_bytes=10, keep=3)
    assert [p.name for p in tmp_path.iterdir()] == ["api.log"]


def test_large_log_moves_on_and_only_so_many_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    for content in ("first", "second", "third", "fourth"):
        log.write_text(content)
        assert rotate(log, max_bytes=3, keep=2)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "api.log": "",
        "api.log.1": "fourth",
        "api.log.2": "third",
    }


def test_writer_in_append_mode_goes_on_at_the_start(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        assert rotate(log, max_bytes=50, keep=1)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "api.log.1").read_bytes() == b"a" * 100


def test_log_that_no_copy_can_be_made_of_stays_with_its_older_ones(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("whole")
    (tmp_path / "api.log.1").write_text("older")
    (tmp_path / "api.log.copy").symlink_to("/dev/full")  # every write to it finds no space left on the device
    assert not rotate(log, max_bytes=3, keep=2)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"api.log": "whole", "api.log.1": "older"}


def test_new_lines_are_read_once_and_after_a_rotation_from_the_start(tmp_path: Path) -> None:
    log = tmp_path / "store.log"
    lines = NewLines(log)
    assert lines.read() == b""
    log.write_text("first\n")
    assert lines.read() == b"first\n"
    assert lines.read() == b""
    log.write_text("x\n")
    assert lines.read() == b"x\n"
    log.write_text("of the process before\n")
    lines.skip()
    assert lines.read() == b""


def test_of_a_flood_of_new_lines_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "store.log"
    lines = NewLines(log)
    log.write_bytes(b"a" * 100 + b"the end")
    assert lines.read(max_bytes=7) == b"the end"
    assert lines.read() == b""


def test_last_lines_of_a_long_log_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("\n".join(f"line {i}" for i in range(10_000)))
    assert last_lines(log, 2) == ["line 9998", "line 9999"]
    assert last_lines(tmp_path / "absent.log") == []
