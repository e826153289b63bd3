"""Objects of the memory log: the lines of one group, or the mark of a write that was given up.

Belongs here: an object's bytes. Not here: one line (see entry.py), which objects are read (see stream.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from lakehouse.memory.entry import FORMAT_VERSION, Draft, Entry, Order, read_line

# Takes the place of a group whose callers heard an error and which is not in the bucket: what is still under way
# can then no longer get there.
VOID = orjson.dumps({"void": True, "format_version": FORMAT_VERSION}, option=orjson.OPT_APPEND_NEWLINE)

ERASED = b'{"erased":'
"""So begins what stands in the place of a line that was erased (see lakehouse/adapters/memory_erasure.py)."""


@dataclass(frozen=True, slots=True)
class LogObject:
    """One object as read. `corrupt` are the lines that could not be: their number, from 1, and why."""

    writer: str
    seq: int
    entries: tuple[Entry, ...]
    corrupt: tuple[tuple[int, str], ...] = ()


def write_object(drafts: Sequence[Draft], *, hlc: int, writer: str, seq: int) -> tuple[bytes, tuple[Entry, ...]]:
    """Give a group its place: the object's bytes, and the entries in it.

    Args:
        drafts: At most 10,000: a position has four digits.
        hlc: Clock of the first; the others follow it one by one.
        writer: The stream.
        seq: The object's number.
    """
    orders = [Order(hlc + position, writer, seq, position) for position in range(len(drafts))]
    body = b"".join([draft.line(order) for draft, order in zip(drafts, orders, strict=True)])
    return body, tuple([draft.at(order) for draft, order in zip(drafts, orders, strict=True)])


def read_object(body: bytes, *, writer: str, seq: int) -> LogObject:
    """Read an object's lines; damaged ones are told, never raised, and those that were erased are passed over."""
    if body == VOID:
        return LogObject(writer, seq, ())
    entries: list[Entry] = []
    corrupt: list[tuple[int, str]] = []
    lines = body.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        corrupt.append((1, "the object is empty"))
    for number, line in enumerate(lines, start=1):
        if line.startswith(ERASED):
            continue
        try:
            entry = read_line(line)
            if (entry.order.writer, entry.order.seq) != (writer, seq):
                raise ValueError("it belongs to another object")
        except ValueError as error:
            corrupt.append((number, str(error)))
        else:
            entries.append(entry)
    return LogObject(writer, seq, tuple(entries), tuple(corrupt))
