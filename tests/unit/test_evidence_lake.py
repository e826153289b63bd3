"""Engines over the lake: several at once over one folder, lists as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.evidence_lake import make_list, open_lake
from lakehouse.errors import InsufficientStorage, StoreUnavailable


def test_engines_that_spill_at_once_into_one_folder_do_not_share_their_files(tmp_path: Path) -> None:
    count = 500_000
    with (
        open_lake(tmp_path, tmp_path, memory_bytes=16 << 20, threads=1) as one,
        open_lake(tmp_path, tmp_path, memory_bytes=16 << 20, threads=1) as other,
    ):
        for step, engine in enumerate((one, other), start=1):
            engine.execute(
                f"CREATE TABLE spilled AS SELECT i, sha256((i * {step})::VARCHAR) AS h FROM range({count}) numbers(i)"
            )
        folders = {path.parent for path in tmp_path.rglob("*.tmp")}
        assert len(folders) == 2
        assert tmp_path not in folders
        for step, engine in enumerate((one, other), start=1):
            found = engine.execute(f"SELECT count(*) FROM spilled WHERE h = sha256((i * {step})::VARCHAR)")
            assert found.fetchall() == [(count,)]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("texts", [(), ["it's", 'q"u', "Ünï🤖\0x", "", "'; DROP TABLE listed; --", "a\nb", "", "NULL"]])
def test_list_is_a_table_of_the_very_texts(tmp_path: Path, texts: list[str]) -> None:
    with open_lake(tmp_path, tmp_path) as engine:
        make_list(engine, "listed", "name", texts)
        assert [row[0] for row in engine.execute("SELECT name FROM listed").fetchall()] == list(texts)


def test_engine_over_a_folder_loads_nothing_that_is_not_signed(tmp_path: Path) -> None:
    with open_lake(tmp_path, tmp_path) as engine:
        assert engine.execute("SELECT current_setting('allow_unsigned_extensions')").fetchall() == [(False,)]


def test_memory_that_gives_out_while_an_answer_is_read_is_told_as_what_it_is(tmp_path: Path) -> None:
    many = "range(CASE WHEN i = 40_000 THEN 9_000_000 ELSE 1 END)"
    answer = f"SELECT repeat('<', 100) AS text, json_extract(to_json({many}), '$[0]') AS n FROM range(50_000) n(i)"
    with (
        pytest.raises(InsufficientStorage, match="take fewer days"),
        open_lake(tmp_path, tmp_path, memory_bytes=64 << 20, threads=1) as engine,
    ):
        engine.execute(answer).to_arrow_reader(2048).read_all()


def test_object_that_cannot_be_read_amid_an_answer_is_the_stores_fault_and_other_files_are_not(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="HTTP Error"), open_lake(tmp_path, tmp_path):
        raise OSError("HTTP Error: Unable to connect to URL")
    with pytest.raises(FileNotFoundError), open_lake(tmp_path, tmp_path):
        (tmp_path / "nowhere").read_bytes()
