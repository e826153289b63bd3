"""Engines over the lake: several at once over one folder, lists as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.evidence_lake import make_list, open_lake


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
