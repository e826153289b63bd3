"""Days of raw streams: which objects belong to which partition, and what a partition was made of.

Belongs here: pure rules on listings. Not here: reading them (see lakehouse/adapters/evidence_materializer.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import orjson

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.tables.evidence import SCHEMA_VERSION

RAW = "raw/"
CODE_VERSION = "2"
"""Rises when the same lines would give other files, whatever the transform; that of a transform is its own."""


_SUFFIX = ".jsonl"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RawObject:
    """A raw object as a listing names it."""

    key: str
    size: int
    etag: str


def day_prefix(stream: str, day: date) -> str:
    """Where the raw objects of a day lie."""
    return f"{RAW}{stream}/dt={day.isoformat()}/"


def day_of(key: str, stream: str) -> date | None:
    """The day of a raw object's folder, or None for an object that is in none."""
    prefix = f"{RAW}{stream}/dt="
    if not key.startswith(prefix) or key[len(prefix) + 10 : len(prefix) + 11] != "/":
        return None
    try:
        return date.fromisoformat(key[len(prefix) : len(prefix) + 10])
    except ValueError:
        return None


def by_day(objects: Iterable[RawObject], stream: str) -> dict[date, list[RawObject]]:
    """Objects of a stream by their day, each day's in order of their keys; those that are not read are left out."""
    days: dict[date, list[RawObject]] = {}
    for one in sorted(objects, key=lambda one: one.key):
        day = day_of(one.key, stream)
        if day is not None and one.key.endswith(_SUFFIX):
            days.setdefault(day, []).append(one)
    return days


def is_read(key: str, stream: str) -> bool:
    """Whether an object under a stream's folder is one of its raw objects, by its name."""
    return day_of(key, stream) is not None and key.endswith(_SUFFIX)


def unread_remedy(keys: Sequence[str]) -> str:
    """What to say of objects that are not read, one at least."""
    shown = ", ".join(map(repr, keys[:_SHOWN])) + (" and others" if len(keys) > _SHOWN else "")
    return (
        f"{counted(len(keys), 'object', 'is')} not read: {shown}; raw lines are read from"
        f" {RAW}<stream>/dt=YYYY-MM-DD/<name>{_SUFFIX}, not compressed: put them there, or remove them"
    )


def unknown_streams_remedy(names: Sequence[str], known: Iterable[str]) -> str:
    """What to say of folders of raw lines that are those of no stream, one at least."""
    shown = ", ".join(f"{RAW}{name}/" for name in names[:_SHOWN]) + (" and others" if len(names) > _SHOWN else "")
    return (
        f"{counted(len(names), 'folder', 'is')} not read, for there is no such stream: {shown}; streams are"
        f" {', '.join(sorted(known))}: move the lines to the one they belong to, or remove them"
    )


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both among them.

    Raises:
        BadInput: The last lies before the first.
    """
    if last < first:
        raise BadInput(f"the last day, {last}, lies before the first, {first}")
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def fingerprint_of(stream: str, version: int, objects: Sequence[RawObject]) -> str:
    """SHA-256 hex of what a partition is made of: while it is the same, the partition need not be made again.

    Args:
        stream: Name of the stream.
        version: That of its transform.
        objects: The day's raw objects, in any order. They never change under their key; the ETag tells if one did.
    """
    said = [
        f"evidence/{stream}", CODE_VERSION, SCHEMA_VERSION, version,
        sorted([one.key, one.size, one.etag] for one in objects),
    ]  # fmt: skip
    return hashlib.sha256(orjson.dumps(said)).hexdigest()
