"""The look at a CSV's bytes, wherever its blocks begin and end."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.csv_shape import inspect_shape

BLOCK_BYTES = 2 << 20


def at_border(line: str, end: str, *, bytes_before: int, rest: str) -> tuple[str, int]:
    """A CSV of two columns in which so many bytes of a line stand before the border of two blocks; its records."""
    filler = f"1,{'x' * 1000}{end}"
    size = BLOCK_BYTES - bytes_before
    count, left = divmod(size - len(f"a,b{end}1,{end}"), len(filler))
    body = f"a,b{end}" + filler * count + f"1,{'x' * left}{end}"
    assert len(body) == size
    return body + line + rest, count + 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("line", ['1,2,""', "1,2,"])
@pytest.mark.parametrize("bytes_before", range(9))
def test_empty_field_too_many_is_seen_across_blocks(tmp_path: Path, line: str, end: str, bytes_before: int) -> None:
    path = tmp_path / "f.csv"
    for rest, more in (("", 0), (end, 0), (f"{end}3,4{end}", 1)):
        body, records = at_border(line, end, bytes_before=bytes_before, rest=rest)
        path.write_bytes(body.encode())
        shape = inspect_shape(path, ",")
        assert (shape.is_regular, shape.has_trailing_delimiter) == (True, True)
        assert shape.delimiters == records + more + 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("line", ['"1","2"', '1,"x"', '"",2', '"a"",""b",3'])
def test_lines_that_end_in_a_value_need_no_count(tmp_path: Path, line: str, end: str) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(f"a,b{end}{line}{end}{line}".encode())
    shape = inspect_shape(path, ",")
    assert (shape.is_regular, shape.has_trailing_delimiter, shape.delimiters) == (True, False, 0)
