"""What the engine says when a query fails, as one of our errors: whose fault it is decides which."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lakehouse.adapters.duckdb_engine import translate
from lakehouse.errors import BadInput, InsufficientStorage, LakehouseError, StoreUnavailable

FULL = Path("/dev/full")
BIG = "SELECT r, repeat(r::VARCHAR, 20) AS s FROM range(3000000) t(r) ORDER BY s DESC"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, on which every write finds no space")
@pytest.mark.parametrize("as_arrow", [False, True])
def test_query_that_spills_to_a_full_disk_is_507_with_its_remedy(tmp_path: Path, as_arrow: bool) -> None:
    for size in ("32K", "64K", "96K", "128K", "160K", "192K", "224K", "DEFAULT"):
        for number in range(4):
            (tmp_path / f"duckdb_temp_storage_{size}-{number}.tmp").symlink_to(FULL)
    config: dict[str, str | int] = {"memory_limit": "40MB", "threads": 1, "temp_directory": str(tmp_path)}
    with duckdb.connect(config=config) as engine:
        read = (lambda: engine.execute(BIG).to_arrow_table()) if as_arrow else (lambda: engine.execute(BIG).fetchall())
        with pytest.raises((duckdb.Error, RuntimeError, OSError)) as failed:
            read()
    error = translate(failed.value)
    assert isinstance(error, InsufficientStorage)
    assert "No space left on device; make room in the data folder" in error.detail
    assert str(tmp_path) not in error.detail


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("IO Error: Could not establish connection error for HTTP GET to 'http://10.0.0.1/a'", StoreUnavailable),
        ("HTTP Error: 500 (No space left on device)", StoreUnavailable),
        ("Conversion Error: No space left on device", BadInput),
    ],
)
def test_other_failures_are_what_they_were(said: str, kind: type[LakehouseError]) -> None:
    assert type(translate(duckdb.Error(said))) is kind
