"""Upgrade: which stored documents are older than this program, and their rewriting by compare-and-swap.

Belongs here: the scan, the report, the rewriting. Not here: the formats and migrations (see formats.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from lakehouse.errors import Conflict, NotFound, PreconditionFailed
from lakehouse.operations.formats import FORMATS, MIGRATIONS, Document, Migrations, StoredFormat
from lakehouse.storage.objects import ObjectStore, list_all

_MAX_TRIES = 10
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One document that is not of the current version."""

    key: str
    format: str
    from_version: int
    to_version: int


@dataclass(slots=True)
class UpgradeReport:
    """What is stored in which version, what is to be rewritten (`dry_run`) or was, and what cannot be read."""

    dry_run: bool
    found: Counter[tuple[str, int]] = field(default_factory=Counter)
    rewrites: list[Rewrite] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def upgrade(
    store: ObjectStore,
    *,
    dry_run: bool,
    formats: Sequence[StoredFormat] = FORMATS,
    migrations: Migrations = MIGRATIONS,
) -> UpgradeReport:
    """Bring every stored document to the version this program writes; a second call finds nothing to do.

    Run logs are never rewritten. Take a backup first: there is no way back.

    Raises:
        Conflict: Something is newer than this program, or no migration leads from its version; nothing was rewritten.
    """
    report = UpgradeReport(dry_run)
    refused: list[str] = []
    for form in formats:
        for key, version in _scan(store, form, report):
            report.found[form.name, version] += 1
            if version == form.version or (form.is_lines and version < form.version):
                continue
            if not _has_path(form, version, migrations):
                refused.append(f"{key} ({form.name} version {version}, this program writes {form.version})")
            else:
                report.rewrites.append(Rewrite(key, form.name, version, form.version))
    if refused:
        more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise Conflict(
            f"this program cannot upgrade {', '.join(refused[:_SHOWN])}{more}; nothing was changed. "
            "Use the program that wrote them, or a later one",
            refused=len(refused),
        )
    if not dry_run:
        by_name = {form.name: form for form in formats}
        for rewrite in report.rewrites:
            _rewrite(store, rewrite.key, by_name[rewrite.format], migrations)
    return report


def migrate(document: Document, form: StoredFormat, migrations: Migrations) -> Document:
    """Apply the migrations that lead from a document's version to the current one, one after the other."""
    while (version := form.read_version(document)) < form.version:
        document = migrations[form.name, version](document)
        if form.read_version(document) <= version:
            raise RuntimeError(f"the migration of {form.name} from version {version} does not raise it")
    return document


def _has_path(form: StoredFormat, version: int, migrations: Migrations) -> bool:
    return version < form.version and all((form.name, step) in migrations for step in range(version, form.version))


def _scan(store: ObjectStore, form: StoredFormat, report: UpgradeReport) -> Iterator[tuple[str, int]]:
    for info in list_all(store, form.prefix):
        if not info.key.endswith(form.suffix):
            continue
        try:
            body = _first_line(store, info.key) if form.is_lines else store.get(info.key).body
            version = form.read_version(orjson.loads(body))
        except NotFound:
            continue  # it has gone since it was listed
        except (ValueError, AttributeError, TypeError):
            report.unreadable.append(info.key)
        else:
            yield info.key, version


def _first_line(store: ObjectStore, key: str) -> bytes:
    line = b""
    with store.open(key) as reader:
        for chunk in reader.chunks(1 << 16):
            head, line_break, _ = chunk.partition(b"\n")
            line += head
            if line_break:
                break
    return line


def _rewrite(store: ObjectStore, key: str, form: StoredFormat, migrations: Migrations) -> None:
    for _ in range(_MAX_TRIES):
        try:
            stored = store.get(key)
        except NotFound:
            return
        document = migrate(orjson.loads(stored.body), form, migrations)
        body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        try:
            store.put(key, body, if_match=stored.info.etag, content_type="application/json")
        except PreconditionFailed:
            continue  # a writer was quicker: migrate what it wrote
        return
    raise Conflict(
        f"{key!r} was changed by others again and again; stop the writers and run the upgrade again", key=key
    )
