"""An engine's way to S3: the extension is loaded without being hashed again, and nothing unsigned after it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lakehouse.adapters.duckdb_s3 import QUICK_LOAD, httpfs_file, open_way
from lakehouse.adapters.s3_keys import S3Keys


def test_what_is_loaded_after_the_way_is_signed(tmp_path: Path) -> None:
    unsigned = tmp_path / httpfs_file().name
    unsigned.write_bytes(httpfs_file().read_bytes()[:-256] + bytes(256))  # the signature stands at the end
    with duckdb.connect(config=QUICK_LOAD) as engine:
        open_way(
            engine, endpoint="http://127.0.0.1:1", region="us-east-1", keys=S3Keys("a", "b", None), read_timeout_s=1
        )
        loaded = "SELECT loaded FROM duckdb_extensions() WHERE extension_name = 'httpfs'"
        assert engine.execute(loaded).fetchall() == [(True,)]
        assert engine.execute("SELECT current_setting('allow_unsigned_extensions')").fetchall() == [(False,)]
        with pytest.raises(duckdb.Error, match="running"):
            engine.execute("SET allow_unsigned_extensions = true")
    with duckdb.connect(config=QUICK_LOAD) as engine:
        engine.execute("SET allow_unsigned_extensions = false")
        with pytest.raises(duckdb.Error, match="signature"):
            engine.execute(f"LOAD '{unsigned}'")
