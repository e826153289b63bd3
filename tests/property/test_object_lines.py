"""Lines of an object are the same however its bytes come in chunks: those that an open file gives."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.storage.lines import lines_of

parts = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"", b"bc\n", b"\n\n"]), max_size=12)


@given(parts)
def test_lines_do_not_depend_on_chunks(chunks: list[bytes]) -> None:
    assert list(lines_of(chunks)) == list(io.BytesIO(b"".join(chunks)))
