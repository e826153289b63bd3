"""Versioned configs in the bucket (CONTRACTS.md sections 1 and 7): written once, one of them live.

Belongs here: what a version and the live pointer hold. Not here: what a config means (see search_config.py), how
versions are numbered and written (see lakehouse/storage/versions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import orjson
import structlog

from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.versions import NumberedVersions

PREFIX = "config/"
FORMAT_VERSION = 1
_log = structlog.get_logger("lakehouse.config")


class Config(Protocol):
    """What a config's document means."""

    def to_document(self) -> dict[str, Any]:
        """The JSON document, every field with its value."""


ConfigT = TypeVar("ConfigT", bound=Config)


@dataclass(frozen=True, slots=True)
class ConfigKind(Generic[ConfigT]):
    """A config by its name: its default (version 0), and how a document is read over another config."""

    name: str
    default: ConfigT
    parse: Callable[[object, ConfigT], ConfigT]

    def read(self, document: object) -> ConfigT:
        """A stored document; fields that it lacks are the default's.

        Raises:
            BadInput: Naming the field that is wrong.
        """
        return self.parse(document, self.default)

    def version_name(self, version: int) -> str:
        """What answers call a version: `search/3`."""
        return f"{self.name}/{version}"


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One version of a config: its number, document, and who wrote it when and why. `version` 0 is the default."""

    name: str
    version: int
    document: Mapping[str, Any]
    created_at: str = ""
    by: str = ""
    note: str = ""


class ConfigStore:
    """Configs by name over any `ObjectStore`; stateless.

    Args:
        store: The bucket.
        clock: The time now, aware, in UTC.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    def live(self, name: str) -> ConfigVersion:
        """The version that serves; version 0 with an empty document when none was ever set.

        Raises:
            BadInput: The pointer or the version is damaged.
            StoreUnavailable: The store does not answer.
        """
        number = self._live_number(name)
        return ConfigVersion(name, 0, {}) if number is None else self.get(name, number)

    def get(self, name: str, version: int) -> ConfigVersion:
        """One version; 0 is the default, which is not stored.

        Raises:
            NotFound: There is no such version.
        """
        if version == 0:
            return ConfigVersion(name, 0, {})
        key = self._versions(name).key(version)
        try:
            document = orjson.loads(self._store.get(key).body)
            return ConfigVersion(
                name, version, document["config"], document["created_at"], document["by"], document.get("note", "")
            )
        except NotFound:
            raise NotFound(f"there is no version {version} of config {name!r}", name=name) from None
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise BadInput(f"{key} is damaged; set another version live", name=name) from None

    def versions(self, name: str) -> list[ConfigVersion]:
        """Every version that can be read, newest first."""
        found = []
        for number in self._versions(name).numbers():
            try:
                found.append(self.get(name, number))
            except BadInput as error:  # one that is damaged hides no other
                _log.warning("config_damaged", reason=error.detail)
        return found

    def publish(self, name: str, document: Mapping[str, Any], *, by: str, note: str = "") -> ConfigVersion:
        """Write a new version and make it live; of two at once both are kept, and the one that moved last is live.

        Raises:
            Unavailable: Others kept winning.
        """
        created_at = format_utc(self._clock())
        stored = {"format_version": FORMAT_VERSION, "config": dict(document), "by": by, "note": note}
        body = orjson.dumps(stored | {"created_at": created_at})
        version = self._versions(name).add(lambda _: body)
        self.set_live(name, version)
        return ConfigVersion(name, version, document, created_at, by, note)

    def set_live(self, name: str, version: int) -> None:
        """Make a version that exists the live one; rolling back is this.

        Raises:
            NotFound: There is no such version.
            Unavailable: Others kept winning.
        """
        self.get(name, version)
        body = orjson.dumps({"format_version": FORMAT_VERSION, "version": version})
        self._versions(name).move_pointer(body)

    def _live_number(self, name: str) -> int | None:
        key = self._versions(name).pointer_key
        try:
            body = self._store.get(key).body
        except NotFound:
            return None
        try:
            return int(orjson.loads(body)["version"])
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{key} is damaged; delete it or set a version live", name=name) from None

    def _versions(self, name: str) -> NumberedVersions:
        folder = f"{PREFIX}{name}/"
        return NumberedVersions(self._store, folder, f"{folder}live.json", f"config {name!r}")
