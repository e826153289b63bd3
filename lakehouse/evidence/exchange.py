"""Evidence between lakes and runtimes, as JSON lines: each record beside the raw line that it was made of.

A line: `{"format": "lakehouse.exchange/1", "kind": "evidence", "stream", "day", "sha256", "raw", "record"}`. `raw` is
the raw line as it lies in the bucket, `sha256` that of its bytes, `day` that of its folder, `record` the EvidenceRecord
v1 with times as ISO 8601 and `metadata` as an object. Who takes a line in goes by `raw`, from which the same rules make
the same record; who only reads goes by `record`.

Belongs here: the form, what is held against it. Not here: where lines come from and go to (see
lakehouse/adapters/evidence_exchange.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.storage.exchange_line import FORMAT, read_exchanged, require_unchanged

KIND = "evidence"


@dataclass(frozen=True, slots=True)
class ExchangedLine:
    """A raw line on its way: its stream, the day of its folder, its bytes without the LF."""

    stream: str
    day: date
    raw: bytes

    def to_json(self, record: bytes) -> bytes:
        """The line of the exchange, with its LF.

        Args:
            record: The EvidenceRecord as JSON.
        """
        said: dict[str, Any] = {
            "format": FORMAT,
            "kind": KIND,
            "stream": self.stream,
            "day": self.day.isoformat(),
            "sha256": hashlib.sha256(self.raw).hexdigest(),
            "raw": self.raw.decode(),
            "record": orjson.Fragment(record),
        }
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def read_line(line: bytes, *, number: int) -> ExchangedLine:
    """Read a line of the exchange.

    Args:
        line: Its bytes.
        number: Its number in the file, from 1, for messages.

    Raises:
        BadInput: It is none, or was changed on its way.
    """
    said = read_exchanged(line, kinds=(KIND,), number=number, writer="lakehouse exchange evidence-out")
    stream, raw = said.get("stream"), said.get("raw")
    if not isinstance(stream, str) or stream not in TRANSFORMS:
        raise BadInput(f"line {number}: stream {stream!r} is unknown here", line=number)
    if not isinstance(raw, str) or not raw or "\n" in raw:
        raise BadInput(f"line {number}: raw must be the raw line, a text without line breaks", line=number)
    data = raw.encode()
    require_unchanged(said, data, number=number)
    try:
        day = date.fromisoformat(str(said.get("day")))
    except ValueError:
        raise BadInput(f"line {number}: day {said.get('day')!r} is not a day; write YYYY-MM-DD", line=number) from None
    return ExchangedLine(stream, day, data)
