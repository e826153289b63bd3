"""Entries of the memory log: one acknowledged operation each, and the order all processes agree on.

Belongs here: the dataclasses and one line's bytes. Not here: whole objects (see log_object.py), their keys (see
keys.py).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
import orjson

from lakehouse.catalog.manifest import parse_utc
from lakehouse.errors import BadInput, TooLarge
from lakehouse.memory.hybrid_clock import HLC_LIMIT

FORMAT_VERSION = 1
MAX_LINE_BYTES = 1 << 20
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ORDER = re.compile(rf"(?P<hlc>[0-9a-f]{{16}})-(?P<writer>{_UUID})-(?P<seq>[0-9]{{12}})-(?P<position>[0-9]{{4}})")
_MAX_OP = 64


class Order(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where an entry stands; its text, `<hlc>-<writer>-<seq>-<position>`, sorts the same way.

    Attributes:
        hlc: Hybrid logical clock (see hybrid_clock.py).
        writer: UUIDv7 of the stream.
        seq: Number of the object in the stream, from 1.
        position: Number of the entry in the object, from 0.
    """

    hlc: int
    writer: str
    seq: int
    position: int

    def __str__(self) -> str:
        return f"{self.hlc:016x}-{self.writer}-{self.seq:012d}-{self.position:04d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            BadInput: It is none.
        """
        match = _ORDER.fullmatch(text)
        if match is None or (hlc := int(match["hlc"], 16)) >= HLC_LIMIT:
            raise BadInput(f"{text[:100]!r} is not a revision; pass one that a write answered, unchanged")
        return cls(hlc, sys.intern(match["writer"]), int(match["seq"]), int(match["position"]))


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One operation, as every process sees it. `payload` is what JSON gives back, never to be changed."""

    op_id: str
    order: Order
    op: str
    payload: Mapping[str, Any]
    recorded_at: datetime
    actor: str


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry that waits for its place; `payload_json` is its payload as it will be stored."""

    op_id: str
    op: str
    payload_json: bytes
    recorded_at: datetime
    actor: str

    def line(self, order: Order) -> bytes:
        """The stored line at its place, ended by LF."""
        document = {
            "op_id": self.op_id,
            "order": str(order),
            "op": self.op,
            "payload": orjson.Fragment(self.payload_json),
            "recorded_at": _utc_text(self.recorded_at),
            "actor": self.actor,
            "format_version": FORMAT_VERSION,
        }
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)

    def at(self, order: Order) -> Entry:
        """The entry at its place; its payload is the stored one, so that all processes hold the same."""
        return Entry(self.op_id, order, self.op, orjson.loads(self.payload_json), self.recorded_at, self.actor)


def _utc_text(moment: datetime) -> str:
    """What `format_utc` gives, in a fifth of the time: it is done for every write."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def make_draft(op: str, payload: Mapping[str, Any], *, op_id: str, actor: str, recorded_at: datetime) -> Draft:
    """Check an operation and encode its payload.

    Args:
        op: What is done, 1 to 64 characters.
        payload: A JSON object.
        op_id: UUIDv7 of the operation.
        actor: Who does it.
        recorded_at: The time now, aware.

    Raises:
        BadInput: The operation has no name, or the payload is no JSON.
        TooLarge: The payload has more than `MAX_LINE_BYTES`.
    """
    if not 0 < len(op) <= _MAX_OP:
        raise BadInput(f"an operation's name has 1 to {_MAX_OP} characters, not {len(op)}")
    if not isinstance(payload, dict):
        raise BadInput(f"the payload of {op!r} is not a JSON object")
    try:
        encoded = orjson.dumps(payload)
        orjson.dumps((op, actor))
    except TypeError as error:
        raise BadInput(f"the payload of {op!r} is not JSON: {error}") from None
    if len(encoded) > MAX_LINE_BYTES:
        raise TooLarge(
            f"the payload of {op!r} has {len(encoded)} bytes; at most {MAX_LINE_BYTES} are allowed",
            max_bytes=MAX_LINE_BYTES,
        )
    return Draft(op_id, op, encoded, recorded_at, actor)


def read_line(line: bytes) -> Entry:
    """The entry of a stored line.

    Raises:
        ValueError: The line is damaged, or of a format that this program does not know.
    """
    document = orjson.loads(line)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    if document.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"format_version {document.get('format_version')!r} is unknown")
    try:
        texts = [document[name] for name in ("op_id", "order", "op", "recorded_at", "actor")]
        payload = document["payload"]
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    if not all(isinstance(text, str) for text in texts) or not isinstance(payload, dict):
        raise ValueError("a field has the wrong type")
    op_id, order, op, recorded_at, actor = texts
    try:
        return Entry(op_id, Order.parse(order), op, payload, parse_utc(recorded_at), actor)
    except BadInput as error:
        raise ValueError(error.detail) from None
