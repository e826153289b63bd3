"""The lines of an object as its chunks come.

Belongs here: `lines_of`. Not here: what lines say, lines that are too long to be held (see
lakehouse/adapters/audit_lines.py, raw_lines.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each line with its LF, as an open file gives them; the last one may have none. Holds one line and a chunk."""
    held: list[bytes] = []
    for chunk in chunks:
        start = 0
        while end := chunk.find(b"\n", start) + 1:
            held.append(chunk[start:end])
            yield b"".join(held)
            held, start = [], end
        if start < len(chunk):
            held.append(chunk[start:])
    if held:
        yield b"".join(held)
