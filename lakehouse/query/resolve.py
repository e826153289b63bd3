"""Which view a name in a query stands for, and who may see it.

Belongs here: names to views. Not here: the text of views (see views.py), who runs them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import BadInput, Forbidden
from lakehouse.query.views import ViewSpec, dataset_view, reserved_view
from lakehouse.tables.reserved import PII_VIEWS, RESERVED_VIEWS

ReadAsOf = Callable[[str], Awaitable[Manifest]]


async def resolve_view(
    name: str, snapshot: CatalogSnapshot, *, bucket: str, has_pii: bool, read_as_of: ReadAsOf | None
) -> ViewSpec:
    """The view behind a name.

    Args:
        name: A name from the query, lower case.
        snapshot: The catalog as it is.
        bucket: Where the objects lie.
        has_pii: True: personal data may be seen.
        read_as_of: Gives a dataset's manifest of the time that the query asks for.

    Raises:
        BadInput: There is no such dataset.
        Forbidden: All of it is personal.
        BrokenManifest: It cannot be read; other datasets can.
    """
    if name in RESERVED_VIEWS:
        if name in PII_VIEWS and not has_pii:
            raise Forbidden(f"{name!r} holds free text of people; it needs a token with the scope pii")
        return reserved_view(name)
    if read_as_of is not None:
        return dataset_view(_masked_as_now(await read_as_of(name), snapshot.manifests.get(name)), bucket)
    if name in snapshot.broken:
        raise BrokenManifest(f"the manifest of {name!r} is broken: {snapshot.broken[name]}", name=name)
    manifest = snapshot.manifests.get(name)
    if manifest is None:
        raise BadInput(f"there is no dataset {name!r}; SHOW TABLES lists those there are", name=name)
    return dataset_view(manifest, bucket)


def _masked_as_now(then: Manifest, now: Manifest | None) -> Manifest:
    """An old version with every column personal that is so now: marking one would be in vain otherwise."""
    personal = {column.name for column in now.columns if column.pii} if now is not None else set()
    columns = tuple(replace(column, pii=column.pii or column.name in personal) for column in then.columns)
    return replace(then, columns=columns, commit_id=f"{then.commit_id} masked by {now.commit_id if now else ''}")


def is_known(name: str, snapshot: CatalogSnapshot) -> bool:
    """True for a name that the catalog gives: a live dataset, broken or not, or a reserved view."""
    return name in RESERVED_VIEWS or snapshot.knows(name)


def shown_names(snapshot: CatalogSnapshot) -> tuple[str, ...]:
    """What SHOW TABLES lists."""
    return tuple(sorted({*snapshot.manifests, *RESERVED_VIEWS}))
