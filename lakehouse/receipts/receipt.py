"""The receipt of one materialization (`receipt.v1`) and the key it is stored under.

Belongs here: the frozen dataclasses, their JSON form, their balance.
Not here: views over receipts (see lakehouse/query).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import BadInput
from lakehouse.storage.keys import check_key
from lakehouse.storage.objects import ObjectInfo, ObjectStore

SCHEMA = "receipt.v1"
PREFIX = "receipts/"


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """An object that went in or came out; `sha256` is hex, `rows` None where rows are not counted."""

    key: str
    sha256: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class ReceiptCounts:
    """Rows of one materialization.

    `taken` is `in` on the wire and equals new + corrected + duplicate + quarantined + left_out; the last, of loads,
    is on the wire where there are any.
    """

    taken: int
    new: int
    corrected: int = 0
    duplicate: int = 0
    quarantined: int = 0
    out: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        if self.taken != self.new + self.corrected + self.duplicate + self.quarantined + self.left_out:
            raise BadInput(
                "a receipt must balance: in = new + corrected + duplicate + quarantined + left_out", counts=asdict(self)
            )

    def to_document(self) -> dict[str, int]:
        """The wire form."""
        document = asdict(self)
        if not self.left_out:
            del document["left_out"]
        return {"in": document.pop("taken"), **document}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one run did to one partition of one asset. Times are UTC.

    A receipt with `memo_hits` stands for so many partitions that the run found as they should be and left alone.
    """

    asset: str
    partition: str
    run_id: str
    code_version: str
    git_commit: str
    started_at: datetime
    ended_at: datetime
    inputs: tuple[ReceiptItem, ...]
    outputs: tuple[ReceiptItem, ...]
    counts: ReceiptCounts
    errors: tuple[str, ...] = ()
    ok: bool = True
    memo_hits: int = 0

    @property
    def key(self) -> str:
        """Where it is stored."""
        return check_key(f"{PREFIX}{self.asset}/{self.partition}/{self.run_id}.json")

    def to_document(self) -> dict[str, Any]:
        """The JSON document of CONTRACTS.md section 9."""
        document = {"schema": SCHEMA, **asdict(self)}
        document["started_at"] = format_utc(self.started_at)
        document["ended_at"] = format_utc(self.ended_at)
        document["counts"] = self.counts.to_document()
        if not self.memo_hits:
            del document["memo_hits"]
        return document

    def to_json(self) -> bytes:
        """The stored bytes."""
        return orjson.dumps(self.to_document(), option=orjson.OPT_SORT_KEYS)


def write_receipt(store: ObjectStore, receipt: Receipt) -> ObjectInfo:
    """Store a receipt; a run that is repeated under its own id replaces its receipt.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return store.put(receipt.key, receipt.to_json(), content_type="application/json")
