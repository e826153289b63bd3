"""Conversions on a full disk: it is the disk that is told of, whatever the format, and never a damaged file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.conversion_child import convert
from lakehouse.errors import InsufficientStorage
from lakehouse.ingest.conversion import ConversionRequest
from lakehouse.ingest.options import IngestOptions

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, on which every write finds no space")
@pytest.mark.parametrize("format_", ["csv", "jsonl", "json", "parquet"])
def test_disk_that_is_full_is_told_as_such(format_: str, tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    work.mkdir()
    for name in ("out.parquet", "tmp_out.parquet"):
        (work / name).symlink_to(FULL)
    if format_ == "parquet":
        pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}), source)
    else:
        source.write_text({"csv": "id,name\n1,a\n", "jsonl": '{"id": 1}\n', "json": '[{"id": 1}]'}[format_])
    with pytest.raises(InsufficientStorage, match="No space left on device; make room") as refused:
        convert(ConversionRequest(source, work, IngestOptions(format=format_)), threads=1)
    assert str(tmp_path) not in refused.value.detail
