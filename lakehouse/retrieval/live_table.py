"""The pointer of a Lance table, `lance/<name>/live.json`: which version of which files readers open.

Belongs here: the document, its keys and its JSON form (CONTRACTS.md section 1, format_version 1). Not here: moving it
(see live_pointer.py), the files (see lakehouse/adapters/lance_files.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.storage.format_version import require_not_newer

FORMAT_VERSION = 1
TABLES = "lance/"
FILES_SUFFIX = ".lance"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class BrokenPointer(LakehouseError):
    """A table's `live.json` cannot be read; only its own table is affected."""

    title = "Broken table pointer"


@dataclass(frozen=True, slots=True)
class Successor:
    """Files that a rebuild fills and that will serve when it is done.

    `tag` says what they are built for, `built` what is in them already, by part of the table.
    """

    uri: str
    tag: str
    built: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Former:
    """Files that served until a time (UTC); garbage collection takes them when the history that is kept has passed."""

    uri: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit to some files made: the version, and its rows and fragments."""

    version: int
    rows: int
    fragments: int


@dataclass(frozen=True, slots=True)
class LiveTable:
    """What serves now.

    `uri` is relative to the bucket, so that a copied bucket works by itself; `version` is Lance's version of the
    files, and `generation` counts how often the files were replaced. `key` is the column that tells rows apart.
    `folded_through` says for each writer of the memory log how far it is in the table. A writer that was given a lower
    `fence` than the one here may not move the pointer. `claims` names, by part of the table, the build that may write
    it: the last that began. `rows` and `fragments` are of the version that serves.
    """

    uri: str
    version: int
    key: str
    info: Mapping[str, Any] = field(default_factory=dict)
    folded_through: Mapping[str, int] = field(default_factory=dict)
    fence: int = 0
    claims: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    fragments: int = 0
    generation: int = 1
    successor: Successor | None = None
    former: tuple[Former, ...] = ()
    commit_id: str = ""
    updated_at: datetime | None = None

    @property
    def revision(self) -> str:
        """Rises with every change of what serves; sorts as text."""
        return f"{self.generation:06d}.{self.version:012d}"

    def at(self, done: Committed) -> LiveTable:
        """The pointer after a commit to the files that serve."""
        return replace(self, version=done.version, rows=done.rows, fragments=done.fragments)

    def succeeded_by(self, uri: str, done: Committed, *, now: datetime) -> LiveTable:
        """The pointer after other files took over; those that served until now are remembered for the history."""
        former = (*self.former, Former(self.uri, now))
        return replace(self.at(done), uri=uri, generation=self.generation + 1, successor=None, former=former)

    def to_json(self) -> bytes:
        """The stored bytes."""
        document = asdict(self)
        document |= {
            "format_version": FORMAT_VERSION,
            "embedder": self.info.get("embedder"),
            "updated_at": None if self.updated_at is None else format_utc(self.updated_at),
            "former": [{"uri": f.uri, "until": format_utc(f.until)} for f in self.former],
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, body: bytes, *, key: str) -> LiveTable:
        """Read stored bytes.

        Raises:
            BrokenPointer: Naming the key and what is wrong.
        """
        try:
            return cls._from_document(orjson.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
            name = key.removeprefix(TABLES).partition("/")[0]
            raise BrokenPointer(
                f"{key!r} is not a table pointer ({reason}); mend it with: lakehouse index rebuild {name}", key=key
            ) from None

    @classmethod
    def _from_document(cls, document: Mapping[str, Any]) -> LiveTable:
        require_not_newer(document, FORMAT_VERSION)
        successor = document.get("successor")
        updated_at = document.get("updated_at")
        return cls(
            uri=_checked_uri(document["uri"]),
            version=int(document["version"]),
            key=document["key"],
            info=dict(document.get("info", {})),
            folded_through={str(k): int(v) for k, v in document.get("folded_through", {}).items()},
            fence=int(document.get("fence", 0)),
            claims=dict(document.get("claims", {})),
            rows=int(document.get("rows", 0)),
            fragments=int(document.get("fragments", 0)),
            generation=int(document.get("generation", 1)),
            successor=None if successor is None else _read_successor(successor),
            former=tuple(Former(_checked_uri(f["uri"]), parse_utc(f["until"])) for f in document.get("former", ())),
            commit_id=document.get("commit_id", ""),
            updated_at=None if updated_at is None else parse_utc(updated_at),
        )


def is_table_name(name: str) -> bool:
    """Whether a Lance table may bear the name."""
    return _NAME.fullmatch(name) is not None


def check_table_name(name: str) -> str:
    """Return `name` when a Lance table may bear it.

    Raises:
        BadInput: Naming the rule that is broken.
    """
    if not is_table_name(name):
        raise BadInput(
            f"table name {name[:80]!r} is refused: a name matches {_NAME.pattern} (lower-case letters, digits and"
            " underscores, a letter first)",
            rule="table-name",
        )
    return name


def live_key(name: str) -> str:
    """Key of a table's pointer."""
    return f"{TABLES}{name}/live.json"


def first_uri(name: str) -> str:
    """Where the files of a new table lie: the name that LanceDB's `open_table` knows it by."""
    return f"{TABLES}{name}{FILES_SUFFIX}"


def next_uri(name: str, unique: str) -> str:
    """Where the files of a rebuilt table lie; table names have no hyphen, so it cannot be another table's."""
    return f"{TABLES}{name}-{unique}{FILES_SUFFIX}"


def _read_successor(document: Mapping[str, Any]) -> Successor:
    return Successor(_checked_uri(document["uri"]), document["tag"], dict(document.get("built", {})))


def _checked_uri(uri: str) -> str:
    if not uri.startswith(TABLES) or not uri.endswith(FILES_SUFFIX) or "/" in uri.removeprefix(TABLES):
        raise ValueError(f"uri {uri!r} is not {TABLES}<name>{FILES_SUFFIX}")
    return uri
