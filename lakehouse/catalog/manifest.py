"""The manifest: one version of a dataset, as stored and as served.

Belongs here: the frozen dataclasses and their JSON form (CONTRACTS.md section 3, format_version 1).
Not here: how a version is committed (see lakehouse/catalog/service.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from lakehouse.catalog.names import schema_fingerprint
from lakehouse.errors import LakehouseError
from lakehouse.storage.format_version import require_not_newer

FORMAT_VERSION = 1


class BrokenManifest(LakehouseError):
    """A manifest's bytes are not a manifest; only its own dataset is affected."""

    title = "Broken manifest"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its DuckDB type, and whether it holds personal data."""

    name: str
    type: str
    pii: bool = False


@dataclass(frozen=True, slots=True)
class DataObject:
    """One immutable Parquet file of a dataset and where it came from.

    `source_sha256` is the hash of the uploaded bytes, `source_options` the fingerprint of the options they were read
    with; `source_key` and `source_etag` name the landing object, None for uploads.
    """

    key: str
    size: int
    sha256: str
    source_sha256: str
    row_count: int
    source_options: str = ""
    source_key: str | None = None
    source_etag: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a dataset. Times are UTC; `version` counts from 1 and goes on after a delete.

    `parent_version` is the version this one replaced; `skipped` are version numbers whose writer died before its
    version went live; `previous_deleted_at` says that the dataset was deleted between the parent and this version.
    """

    dataset_id: str
    name: str
    columns: tuple[Column, ...]
    objects: tuple[DataObject, ...]
    version: int
    commit_id: str
    created_at: datetime
    updated_at: datetime
    committed_by: str = ""
    note: str = ""
    parent_version: int | None = None
    skipped: tuple[int, ...] = ()
    deleted_at: datetime | None = None
    previous_deleted_at: datetime | None = None
    format_version: int = FORMAT_VERSION
    schema_fingerprint: str = field(default="")

    def __post_init__(self) -> None:
        if not self.schema_fingerprint:
            fingerprint = schema_fingerprint((c.name, c.type) for c in self.columns)
            object.__setattr__(self, "schema_fingerprint", fingerprint)

    @property
    def row_count(self) -> int:
        """Rows of all objects together."""
        return sum(o.row_count for o in self.objects)

    @property
    def size_bytes(self) -> int:
        """Bytes of all objects together."""
        return sum(o.size for o in self.objects)

    def to_document(self) -> dict[str, Any]:
        """The JSON document, as stored and as `GET /v1/catalog/{name}` answers it."""
        document = asdict(self)
        document["row_count"] = self.row_count
        for key in ("created_at", "updated_at", "deleted_at", "previous_deleted_at"):
            moment = document[key]
            document[key] = None if moment is None else format_utc(moment)
        return document

    def to_json(self) -> bytes:
        """The stored bytes."""
        return orjson.dumps(self.to_document(), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, body: bytes, *, key: str) -> Manifest:
        """Read stored bytes.

        Raises:
            BrokenManifest: Naming the key and what is wrong.
        """
        try:
            return cls._from_document(orjson.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
            raise BrokenManifest(
                f"{key!r} is not a manifest ({reason}); restore it from catalog/versions/", key=key
            ) from None

    @classmethod
    def _from_document(cls, document: Mapping[str, Any]) -> Manifest:
        require_not_newer(document, FORMAT_VERSION)
        manifest = cls(
            dataset_id=document["dataset_id"],
            name=document["name"],
            columns=tuple(Column(c["name"], c["type"], bool(c.get("pii", False))) for c in document["columns"]),
            objects=tuple(
                DataObject(
                    o["key"], int(o["size"]), o["sha256"], o["source_sha256"], int(o["row_count"]),
                    o.get("source_options", ""), o.get("source_key"), o.get("source_etag"),
                )
                for o in document["objects"]
            ),
            version=int(document["version"]),
            commit_id=document["commit_id"],
            created_at=parse_utc(document["created_at"]),
            updated_at=parse_utc(document["updated_at"]),
            committed_by=document.get("committed_by", ""),
            note=document.get("note", ""),
            parent_version=document.get("parent_version"),
            skipped=tuple(document.get("skipped", ())),
            deleted_at=_maybe_utc(document.get("deleted_at")),
            previous_deleted_at=_maybe_utc(document.get("previous_deleted_at")),
            format_version=document["format_version"],
        )  # fmt: skip
        if manifest.schema_fingerprint != document["schema_fingerprint"]:
            raise ValueError("schema_fingerprint does not match the columns")
        return manifest


def format_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a `Z`: sorts as text."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def parse_utc(text: str) -> datetime:
    """Read `format_utc`'s form, or any ISO 8601 time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset")
    return moment.astimezone(UTC)


def _maybe_utc(text: str | None) -> datetime | None:
    return None if text is None else parse_utc(text)
