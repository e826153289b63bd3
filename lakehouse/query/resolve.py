"""Which view a name in a query stands for, and who may see it.

Belongs here: names to views. Not here: the text of views (see views.py), who runs them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from lakehouse.catalog.history import pointer_key
from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import BadInput, Forbidden
from lakehouse.query.views import Views, ViewSpec, reserved_view
from lakehouse.tables.reserved import PII_VIEWS, RESERVED_VIEWS, TIME_COLUMNS


@dataclass(frozen=True, slots=True)
class Past:
    """The time that a query asks for, and how a dataset's old versions are read: the one of then, and all there are."""

    moment: datetime
    read_as_of: Callable[[str], Awaitable[Manifest]]
    read_versions: Callable[[str], Awaitable[Sequence[Manifest]]]


class MemoryTables(Protocol):
    """What stands behind reserved names, as views: as it is, and as it was where that is known."""

    async def of(self, name: str) -> ViewSpec | None: ...

    async def as_of(self, name: str, moment: datetime) -> ViewSpec | None: ...


async def resolve_view(
    name: str,
    snapshot: CatalogSnapshot,
    *,
    views: Views,
    has_pii: bool,
    past: Past | None,
    memory: MemoryTables | None = None,
) -> ViewSpec:
    """The view behind a name.

    Args:
        name: A name from the query, lower case.
        snapshot: The catalog as it is.
        views: Those made before.
        has_pii: True: personal data may be seen.
        past: Old versions, for a query that asks for a time.
        memory: What stands behind reserved names; those that it has not are empty.

    Raises:
        BadInput: There is no such dataset, or the past of a reserved name is not known.
        Forbidden: All of it is personal.
        BrokenManifest: It cannot be read; other datasets can.
    """
    if name in RESERVED_VIEWS:
        if name in PII_VIEWS and not has_pii:
            raise Forbidden(f"{name!r} holds free text of people; it needs a token with the scope pii")
        return await _reserved(name, past, memory)
    if past is not None:
        return views.of(await _masked_as_now(await past.read_as_of(name), snapshot, past))
    if name in snapshot.broken:
        raise BrokenManifest(f"the manifest of {name!r} is broken: {snapshot.broken[name]}", name=name)
    manifest = snapshot.manifests.get(name)
    if manifest is None:
        raise BadInput(f"there is no dataset {name!r}; SHOW TABLES lists those there are", name=name)
    return views.of(manifest)


async def _reserved(name: str, past: Past | None, memory: MemoryTables | None) -> ViewSpec:
    now = None if memory is None else await memory.of(name)
    if memory is None or now is None or past is None:
        return now or reserved_view(name)
    then = await memory.as_of(name, past.moment)
    if then is None:
        moment = past.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        raise BadInput(
            f"{name!r} shows what is known now, and no earlier state of it is kept: leave as_of out, and choose its"
            f" rows by their time, as in WHERE {TIME_COLUMNS[name]} <= TIMESTAMP '{moment}'",
            name=name,
        )
    return then


async def _masked_as_now(then: Manifest, snapshot: CatalogSnapshot, past: Past) -> Manifest:
    """An old version with every column personal that has become so since: marking one would be in vain otherwise.

    A mark goes on from version to version, so the newest one tells, a deleted one too; but not of a column that went
    on the way, nor of a dataset that was deleted and loaded again. There every version that is kept has a say.
    """
    _, pointer = snapshot.pointers.get(pointer_key(then.name), ("", None))
    newest = pointer if isinstance(pointer, Manifest) else None
    personal = _personal(newest)
    if newest is None or newest.created_at != then.created_at or not _folded(then) <= _folded(newest):
        personal = personal.union(*map(_personal, await past.read_versions(then.name)))
    columns = tuple(replace(c, pii=c.pii or c.name.casefold() in personal) for c in then.columns)
    if columns == then.columns:
        return then
    marked = ",".join(sorted(personal & _folded(then)))
    return replace(then, columns=columns, commit_id=f"{then.commit_id} with {marked} masked")


def _folded(manifest: Manifest) -> frozenset[str]:
    """Names of the columns as SQL compares them: without their case."""
    return frozenset(c.name.casefold() for c in manifest.columns)


def _personal(manifest: Manifest | None) -> frozenset[str]:
    return frozenset(c.name.casefold() for c in manifest.columns if c.pii) if manifest is not None else frozenset()


def is_known(name: str, snapshot: CatalogSnapshot) -> bool:
    """True for a name that the catalog gives: a live dataset, broken or not, or a reserved view."""
    return name in RESERVED_VIEWS or snapshot.knows(name)


def shown_names(snapshot: CatalogSnapshot) -> tuple[str, ...]:
    """What SHOW TABLES lists."""
    return tuple(sorted({*snapshot.manifests, *RESERVED_VIEWS}))
