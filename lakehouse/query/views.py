"""Views: what a dataset looks like to SQL, masked or in full.

Belongs here: the text of views from manifests. Not here: running it (see lakehouse/adapters/sql_worker.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lakehouse.catalog.manifest import Manifest
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.tables.reserved import MASK, PERSONAL_COLUMNS, RESERVED_VIEWS

_MOST_VIEWS = 1000


class ViewSpec(NamedTuple):
    """A view as a worker needs it: equal `identity`, equal view.

    `types` are those of the columns where the view casts each; a worker whose engine reads the very same from
    `source` leaves the casts out, which would cost every query.
    """

    name: str
    identity: str
    full: tuple[str, ...]
    masked: tuple[str, ...]
    source: str
    types: tuple[tuple[str, str], ...] = ()

    def text(self, *, is_full: bool, is_cast: bool = True) -> str:
        """The query of the view: all columns in full, or with masks in the place of personal ones."""
        casts = ", ".join(f"CAST({quote_name(name)} AS {type_}) AS {quote_name(name)}" for name, type_ in self.types)
        source = f"(SELECT {casts} FROM {self.source})" if is_cast and casts else self.source
        return f"SELECT {', '.join(self.full if is_full else self.masked)} FROM {source}"

    @property
    def description(self) -> str:
        """The statement that says what the engine reads, to compare with `types`."""
        return f"DESCRIBE SELECT {', '.join(quote_name(name) for name, _ in self.types)} FROM {self.source}"


class Views:
    """The views of datasets, made once per version: a dataset of many files has a long one.

    Args:
        bucket: Where the files lie.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._made: dict[str, ViewSpec] = {}

    def of(self, manifest: Manifest) -> ViewSpec:
        """The view of one version of a dataset."""
        view = self._made.get(manifest.name)
        if view is None or view.identity != manifest.commit_id:
            if len(self._made) >= _MOST_VIEWS:
                self._made.clear()
            view = self._made[manifest.name] = dataset_view(manifest, self._bucket)
        return view


def dataset_view(manifest: Manifest, bucket: str) -> ViewSpec:
    """The view of one version of a dataset.

    A masked column is a constant for every row, so that neither a null, nor a length, a sort, a join or a cast tells
    anything of the value; its type is VARCHAR there.
    """
    full = tuple(quote_name(c.name) for c in manifest.columns)
    masked = tuple(_masked(c.name) if c.pii else quote_name(c.name) for c in manifest.columns)
    types = tuple((c.name, c.type) for c in manifest.columns)
    filled = [o.key for o in manifest.objects if o.row_count]
    if not filled:
        return ViewSpec(manifest.name, manifest.commit_id, full, masked, _empty(types))
    # Files of several schemas are read by name; one schema saves the look into every footer.
    fingerprints = {key.split("/")[2] for key in filled}
    union = ", union_by_name = true" if len(fingerprints) > 1 else ""
    files = ", ".join(quote_text(f"s3://{bucket}/{key}") for key in filled)
    source = f"read_parquet([{files}]{union}, hive_partitioning = false)"
    if manifest.schema_fingerprint not in fingerprints:
        # The file that brought a column may be gone again, or have no rows: the column is there all the same.
        source = f"(SELECT * FROM {source} UNION ALL BY NAME {_empty(types)})"
    return ViewSpec(manifest.name, manifest.commit_id, full, masked, source, types)


@lru_cache
def reserved_view(name: str) -> ViewSpec:
    """The empty view of a reserved name."""
    types = tuple(RESERVED_VIEWS[name].items())
    columns = tuple(quote_name(column) for column, _ in types)
    return ViewSpec(name, "empty", columns, columns, _empty(types))


def memory_view(name: str, path: str, *, identity: str) -> ViewSpec:
    """The view of a reserved name over a file that this machine's workers read.

    Args:
        name: The view's.
        path: A Parquet file with its columns.
        identity: Another one for every file.
    """
    return masked_view(name, f"read_parquet([{quote_text(path)}])", identity=identity)


def masked_view(name: str, source: str, *, identity: str) -> ViewSpec:
    """The view of a reserved name over a source with its columns; personal ones are masked where that is asked for.

    Args:
        name: The view's.
        source: SQL of the source.
        identity: Another one for every source.
    """
    types = tuple(RESERVED_VIEWS[name].items())
    personal = PERSONAL_COLUMNS.get(name, frozenset())
    full = tuple(quote_name(column) for column, _ in types)
    masked = tuple(_masked(c) if c in personal else quote_name(c) for c, _ in types)
    return ViewSpec(name, identity, full, masked, source, types)


def stored_view(name: str, pattern: str) -> ViewSpec:
    """The view of a reserved name over JSON lines, whatever else these say.

    Args:
        name: The view's.
        pattern: URL of the files, with wildcards; there must be one at least.
    """
    types = tuple(RESERVED_VIEWS[name].items())
    columns = tuple(quote_name(column) for column, _ in types)
    read_as = ", ".join(f"{quote_text(column)}: {quote_text(type_)}" for column, type_ in types)
    source = f"read_json([{quote_text(pattern)}], columns = {{{read_as}}}, format = 'newline_delimited')"
    return ViewSpec(name, f"stored {pattern}", columns, columns, source, types)


def events_view(name: str, latest: ViewSpec, pattern: str) -> ViewSpec:
    """The view of a reserved name over its raw lines and, of those that are not shipped yet, over a file of the latest.

    Args:
        name: The view's; `event_id` tells its rows apart, and is the run id of a line that has none.
        latest: The view of the file, as `memory_view` gives it.
        pattern: URL of the lines, with wildcards; there must be one at least.
    """
    types = RESERVED_VIEWS[name]
    read_as = ", ".join(f"{quote_text(column)}: {quote_text(type_)}" for column, type_ in types.items())
    lines = (
        f"read_json([{quote_text(pattern)}], columns = {{run_id: 'VARCHAR', {read_as}}},"
        " format = 'newline_delimited', ignore_errors = true)"
    )
    columns = ", ".join(quote_name(column) for column in types)
    shipped = f"SELECT * REPLACE (coalesce(event_id, run_id) AS event_id) FROM {lines} WHERE run_id IS NOT NULL"
    source = (
        f"(SELECT {columns} FROM {latest.source} UNION ALL SELECT {columns} FROM ({shipped})"
        f" WHERE event_id NOT IN (SELECT event_id FROM {latest.source}))"
    )
    return ViewSpec(name, f"{latest.identity} {pattern}", latest.full, latest.masked, source, latest.types)


def receipts_view(pattern: str | None, compacted: Sequence[str]) -> ViewSpec | None:
    """The view `receipts`: each receipt once, wherever it lies.

    Args:
        pattern: URL of those that lie for themselves, with wildcards; None: there is none.
        compacted: URLs of Parquet files that hold many.
    """
    parts = [] if pattern is None else [stored_view("receipts", pattern).source]
    if compacted:
        files = ", ".join(quote_text(url) for url in compacted)
        parts.append(f"read_parquet([{files}], hive_partitioning = false)")
    if not parts:
        return None
    types = tuple(RESERVED_VIEWS["receipts"].items())
    columns = tuple(quote_name(column) for column, _ in types)
    selects = (f"SELECT {', '.join(columns)} FROM {part}" for part in parts)
    source = f"({' UNION '.join(selects)})"
    return ViewSpec("receipts", f"stored {pattern} {' '.join(compacted)}", columns, columns, source, types)


def _empty(types: tuple[tuple[str, str], ...]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {type_}) AS {quote_name(name)}" for name, type_ in types)
    return f"(SELECT {nulls} WHERE false)"


def _masked(column: str) -> str:
    return f"{quote_text(MASK)} AS {quote_name(column)}"
