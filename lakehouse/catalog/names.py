"""Dataset names, ids and fingerprints.

Belongs here: pure rules of CONTRACTS.md section 3. Not here: manifests (see lakehouse/catalog/manifest.py).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

from lakehouse.errors import BadInput, Conflict
from lakehouse.tables.reserved import RESERVED_VIEWS

DATASET_NAMESPACE = uuid.UUID("a8f3c1d2-4e5b-5a6c-9d8e-7f0a1b2c3d4e")
RESERVED_NAMES = frozenset(RESERVED_VIEWS)
# Names of the engine's own tables: a dataset of such a name could never be asked for.
ENGINE_NAMES = re.compile(r"(duckdb_|pragma_|sqlite_|pg_|information_schema).*", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def check_dataset_name(name: str) -> str:
    """Return `name` when a dataset may bear it.

    Raises:
        BadInput: Naming the rule that is broken.
    """
    check_name_form(name)
    if name in RESERVED_NAMES:
        raise BadInput(
            f"dataset name {name!r} is refused: it is a reserved view name; choose another", rule="reserved-name"
        )
    if ENGINE_NAMES.fullmatch(name):
        raise BadInput(
            f"dataset name {name!r} is refused: names that begin with duckdb_, pragma_, sqlite_, pg_ or"
            " information_schema are the SQL engine's; choose another",
            rule="engine-name",
        )
    return name


def check_name_form(name: str) -> str:
    """Return `name` when there may be a dataset of it: one of a name that was reserved later is there all the same.

    Raises:
        BadInput: No dataset ever bore such a name.
    """
    if _NAME.fullmatch(name) is None:
        raise BadInput(
            f"dataset name {name[:80]!r} is refused: a name matches [a-z][a-z0-9_]{{0,62}}"
            " (lower-case letters, digits and underscores, a letter first)",
            rule="dataset-name",
        )
    return name


def dataset_id(name: str) -> str:
    """The UUIDv5 of a dataset's name: the same on every machine."""
    return str(uuid.uuid5(DATASET_NAMESPACE, name))


def schema_fingerprint(columns: Iterable[tuple[str, str]]) -> str:
    """SHA-256 hex over `(name, type)` in header order: `name` 0x1f `type` 0x1e each, UTF-8.

    Source: CONTRACTS.md section 3. Nullability and PII marks are not part of it.
    """
    digest = hashlib.sha256()
    for name, type_ in columns:
        digest.update(f"{name}\x1f{type_}\x1e".encode())
    return digest.hexdigest()


def refuse_ambiguous_columns(names: Iterable[str]) -> None:
    """Refuse columns that SQL cannot tell apart: it takes upper and lower case for the same.

    Raises:
        Conflict: Naming the two.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise Conflict(
                f"columns {other!r} and {name!r} differ only in upper and lower case, which SQL does not tell apart;"
                " rename one of them",
                columns=[other, name],
            )
