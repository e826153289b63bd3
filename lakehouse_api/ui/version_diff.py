"""What two versions of a dataset differ in: columns, rows, bytes, files.

Belongs here: the comparison of two manifests. Not here: rows, which SQL compares (`as_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.catalog.manifest import Column, DataObject, Manifest


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """From one version to another.

    Attributes:
        columns_added: That only the second has.
        columns_gone: That only the first has.
        columns_changed: Of both, with another type or mark.
        files_added: That only the second has.
        files_gone: That only the first has.
        files_kept: How many both have.
        rows: How many more rows, negative: fewer.
        bytes: How many more bytes.
    """

    before: Manifest
    after: Manifest
    columns_added: Sequence[Column]
    columns_gone: Sequence[Column]
    columns_changed: Sequence[tuple[Column, Column]]
    files_added: Sequence[DataObject]
    files_gone: Sequence[DataObject]
    files_kept: int
    rows: int
    bytes: int


def diff_versions(before: Manifest, after: Manifest) -> VersionDiff:
    """Compare two versions of one dataset."""
    had = {column.name: column for column in before.columns}
    has = {column.name: column for column in after.columns}
    old = {file.key: file for file in before.objects}
    new = {file.key: file for file in after.objects}
    return VersionDiff(
        before=before,
        after=after,
        columns_added=[column for name, column in has.items() if name not in had],
        columns_gone=[column for name, column in had.items() if name not in has],
        columns_changed=[(had[name], column) for name, column in has.items() if name in had and had[name] != column],
        files_added=[file for key, file in new.items() if key not in old],
        files_gone=[file for key, file in old.items() if key not in new],
        files_kept=len(old.keys() & new.keys()),
        rows=after.row_count - before.row_count,
        bytes=after.size_bytes - before.size_bytes,
    )
