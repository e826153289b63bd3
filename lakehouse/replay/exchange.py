"""Replays and baselines between lakes and runtimes, as JSON lines: each object of them with its key.

A line: `{"format": "lakehouse.exchange/1", "kind": "replay"|"baseline", "key", "sha256", "raw", "record"}`. `raw` is
the object as it lies in the bucket, a text (of a Parquet file its base64), `sha256` that of its bytes, `record` the
same as JSON where it is a JSON document. Who takes a line in goes by `raw`; who only reads goes by `record`. Of a batch
these are its document, its tasks, its rows (`replay_run.v1`), what a judge said, the verdict; its Parquet file and its
raw lines are made again of the rows.

Belongs here: the form, which keys there may be. Not here: where objects come from and go to (see
lakehouse/adapters/replay_exchange.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import orjson

from lakehouse.errors import BadInput
from lakehouse.replay.batch import RESERVED
from lakehouse.storage.exchange_line import FORMAT, read_exchanged, require_unchanged

Kind: TypeAlias = Literal["replay", "baseline"]
MOST_LINE_BYTES = 256 << 20
_BINARY = ".parquet"
_ID = r"[a-z0-9][a-z0-9-]{0,63}"
_ROW = r"\d{6}\.[a-z][a-z0-9_]{0,39}\.json"
_REPLAY = re.compile(
    rf"replay/(?P<batch>{_ID})/(?:batch\.json|tasks\.[0-9a-f]{{16}}\.jsonl|(?:rows|failed)/{_ROW}|judge/[0-9a-f]{{32}}\.json|judge\.json"
    r"|verdict\.json|verdict\.md)"
)
_BASELINE = re.compile(
    r"(?:audits/baselines|drift/[a-z_]+/baselines)/[A-Za-z0-9_./-]{1,200}\.(?:json|parquet)"
    r"|drift/[a-z_]+/baseline\.json"
)


@dataclass(frozen=True, slots=True)
class ExchangedObject:
    """An object on its way: what it is of, its key, its bytes."""

    kind: Kind
    key: str
    body: bytes

    @property
    def batch_id(self) -> str | None:
        """The batch that it is of."""
        found = _REPLAY.fullmatch(self.key)
        return None if found is None else found["batch"]

    def to_json(self) -> bytes:
        """The line of the exchange, with its LF."""
        said: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind,
            "key": self.key,
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "raw": base64.b64encode(self.body).decode() if self.key.endswith(_BINARY) else self.body.decode(),
            "record": orjson.loads(self.body) if self.key.endswith(".json") else None,
        }
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def kind_of(key: str) -> Kind | None:
    """What an object is of; None: it is not exchanged."""
    found = _REPLAY.fullmatch(key)
    if found is not None and found["batch"] not in RESERVED:
        return "replay"
    is_baseline = _BASELINE.fullmatch(key) is not None and ".." not in key and "//" not in key
    return "baseline" if is_baseline else None


def read_object(line: bytes, *, number: int) -> ExchangedObject:
    """Read a line of the exchange.

    Args:
        line: Its bytes.
        number: Its number in the file, from 1, for messages.

    Raises:
        BadInput: It is none, or was changed on its way.
    """
    said = read_exchanged(line, kinds=get_args(Kind), number=number, writer="lakehouse exchange replays-out")
    key, raw = said.get("key"), said.get("raw")
    if not isinstance(key, str) or kind_of(key) != said["kind"]:
        raise BadInput(f"line {number}: key {str(key)[:120]!r} is none of a {said['kind']}", line=number)
    if not isinstance(raw, str):
        raise BadInput(f"line {number}: raw must be the object's text", line=number)
    try:
        body = base64.b64decode(raw, validate=True) if key.endswith(_BINARY) else raw.encode()
    except (binascii.Error, UnicodeEncodeError):
        raise BadInput(f"line {number}: raw is not text, or no base64 where it must be", line=number) from None
    require_unchanged(said, body, number=number)
    if key.endswith(".json"):
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadInput(f"line {number}: the object {key!r} is not JSON", line=number) from None
    return ExchangedObject(said["kind"], key, body)
