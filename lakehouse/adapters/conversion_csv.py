"""CSV to Parquet: DuckDB reads text, every value is checked on its way, and the exact scanner takes what it refuses.

Belongs here: the passes over a CSV. Not here: the grammar of values and the scanner (see lakehouse/ingest).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.conversion_columns import ROW_GROUP_ROWS, drift, fixed_types
from lakehouse.adapters.conversion_encoding import as_utf8
from lakehouse.adapters.conversion_quarantine import Quarantine, open_quarantine
from lakehouse.adapters.csv_shape import inspect_shape
from lakehouse.adapters.duckdb_quoting import quote_name, quote_text
from lakehouse.catalog.manifest import Column
from lakehouse.errors import Conflict, Unprocessable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.ingest.csv_scanner import CsvScanner, rewrite_canonical, sniff_delimiter
from lakehouse.ingest.grammar import TYPES, narrowest_type, sql_check
from lakehouse.ingest.pii import is_personal

if TYPE_CHECKING:
    import duckdb

_SAMPLE_RECORDS = 1000
_BUFFER_BYTES = 4 << 20
_MAX_LINE_BYTES = 256 << 10
# Below this size rows keep their order; above, order costs memory and time that nobody has asked for.
_ORDERED_BYTES = 32 << 20
_MISFIT = re.compile(r"lakehouse-misfit")


@dataclass(slots=True)
class CsvFile:
    """A CSV in UTF-8, ready for the engine."""

    path: Path
    delimiter: str
    names: list[str]


def convert_csv(engine: duckdb.DuckDBPyConnection, request: ConversionRequest) -> Converted:
    """Convert a CSV; see `lakehouse.ingest.conversion.Converter`."""
    options = request.options
    source = as_utf8(request.source, request.work_dir, options.encoding)
    delimiter = sniff_delimiter(source) if options.delimiter == "auto" else options.delimiter
    scanner = CsvScanner(source, delimiter, encoding=options.encoding)
    names = scanner.header()
    fixed = fixed_types(names, request)
    bad = open_quarantine(request.work_dir, options.on_error)
    file = CsvFile(source, delimiter, names)
    sample = _sample(scanner)
    types = {n: fixed.get(n) or narrowest_type(c) or "BIGINT" for n, c in zip(names, sample, strict=True)}
    made = None if len(names) == 1 else _write_if_regular(engine, file, request, types, fixed)
    if made is None:
        file = _rewritten(file, request, fixed, bad)
        made = _write_parquet(engine, file, request, types, fixed)
    typed, row_count = made
    marked = {c.name for c in request.registered or () if c.pii} | options.pii
    columns = tuple(
        Column(n, typed[n], n in marked or (request.registered is None and is_personal(n, values)))
        for n, values in zip(names, sample, strict=True)
    )
    by_name = {c.name: c for c in columns}
    ordered = columns if request.registered is None else tuple(by_name[c.name] for c in request.registered)
    return Converted(ordered, request.work_dir / "out.parquet", row_count, bad.count, bad.file)


def _sample(scanner: CsvScanner) -> list[list[str]]:
    """The first records, column by column."""
    rows = [fields for fields, _ in islice(scanner.records(), _SAMPLE_RECORDS) if fields is not None]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in scanner.header()]


def _write_if_regular(
    engine: duckdb.DuckDBPyConnection,
    file: CsvFile,
    request: ConversionRequest,
    types: Mapping[str, str],
    fixed: Mapping[str, str],
) -> tuple[dict[str, str], int] | None:
    """Write the Parquet straight from the file; None when only the exact scanner can say what is in it.

    The bytes are looked at while the engine converts.
    """
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(inspect_shape, file.path, file.delimiter)
        try:
            typed, row_count = _write_parquet(engine, file, request, types, fixed)
        except _Refused:
            return None
        except (Conflict, Unprocessable):
            if look.result().is_regular:
                raise
            return None
        shape = look.result()
    expected = (row_count + 1) * (len(file.names) - 1)
    is_even = not shape.has_trailing_delimiter or shape.delimiters == expected
    return (typed, row_count) if shape.is_regular and is_even else None


def _rewritten(file: CsvFile, request: ConversionRequest, fixed: Mapping[str, str], bad: Quarantine) -> CsvFile:
    """The file as the exact scanner reads it; refuses it at its first bad record, or collects those."""
    is_quarantining = request.options.on_error == "quarantine"
    wanted = {i: fixed.get(n, "") for i, n in enumerate(file.names)}
    checked = {i: t for i, t in wanted.items() if is_quarantining and _is_checked(t)}
    target = request.work_dir / "canonical.csv"
    scanner = CsvScanner(file.path, file.delimiter, types=checked, encoding=request.options.encoding)
    rewrite_canonical(scanner, target, bad.take)
    return CsvFile(target, ",", file.names)


def _is_checked(type_: str) -> bool:
    return type_ in TYPES


class _Refused(Exception):
    """The engine's reader could not read the file."""


def _write_parquet(
    engine: duckdb.DuckDBPyConnection,
    file: CsvFile,
    request: ConversionRequest,
    types: Mapping[str, str],
    fixed: Mapping[str, str],
) -> tuple[dict[str, str], int]:
    """Write the Parquet; a type that some value does not fit is widened and the pass repeated."""
    import duckdb

    typed = dict(types)
    order = [c.name for c in request.registered] if request.registered else file.names
    for _ in range(3):
        try:
            row_count = _copy(engine, file, order, typed, request.work_dir / "out.parquet")
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            if not _MISFIT.search(str(error)):
                raise _Refused from None
            survey = _survey(engine, file, typed, fixed)
        else:
            survey = typed if row_count else {n: fixed.get(n, "VARCHAR") for n in typed}
            empty = _empty_columns(engine, request.work_dir / "out.parquet", typed, fixed) if row_count else {}
            survey = {**survey, **empty}
        if survey == typed:
            return typed, row_count
        misfits = [n for n in survey if n in fixed and survey[n] != fixed[n]]
        if misfits:
            raise _misfit_error(file, request, fixed, survey, misfits[0])
        typed = dict(survey)
    raise Unprocessable("the file could not be typed; please report it")


def _copy(
    engine: duckdb.DuckDBPyConnection, file: CsvFile, order: Sequence[str], typed: Mapping[str, str], target: Path
) -> int:
    size = file.path.stat().st_size
    engine.execute(f"SET preserve_insertion_order = {str(size <= _ORDERED_BYTES).lower()}")
    selected = ", ".join(_typed_value(name, typed[name]) for name in order)
    row = engine.execute(
        f"COPY (SELECT {selected} FROM {_reader(file)}) TO {quote_text(str(target))}"
        f" (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    ).fetchone()
    return int(row[0]) if row else 0


def _typed_value(name: str, type_: str) -> str:
    column = quote_name(name)
    if type_ == "VARCHAR" or not _is_checked(type_):
        return column if type_ == "VARCHAR" else f"CAST({column} AS {type_}) AS {column}"
    value, condition = sql_check(column, type_)
    # The message holds the column so that the engine cannot fold it into a constant and raise at once.
    misfit = f"error('lakehouse-misfit ' || left({column}, 1))"
    return f"CASE WHEN {column} IS NULL THEN NULL WHEN {condition} THEN {value} ELSE {misfit} END AS {column}"


def _survey(
    engine: duckdb.DuckDBPyConnection, file: CsvFile, typed: Mapping[str, str], fixed: Mapping[str, str]
) -> dict[str, str]:
    """The narrowest types that really hold, for all columns in one pass."""
    questions = []
    for name, type_ in typed.items():
        candidates = _ladder(type_)
        questions += [(name, t) for t in candidates]
    conditions = ", ".join(
        f"bool_and({quote_name(n)} IS NULL OR coalesce({sql_check(quote_name(n), t)[1]}, false))" for n, t in questions
    )
    row = engine.execute(f"SELECT {conditions} FROM {_reader(file)}").fetchone() or ()
    holds = {question: held is not False for question, held in zip(questions, row, strict=True)}
    survey = {}
    for name, type_ in typed.items():
        survey[name] = next((t for t in _ladder(type_) if holds[name, t]), type_ if type_ not in TYPES else "VARCHAR")
    return survey


def _ladder(type_: str) -> tuple[str, ...]:
    if type_ == "BIGINT":
        return ("BIGINT", "DOUBLE")
    return (type_,) if type_ in TYPES else ()


def _empty_columns(
    engine: duckdb.DuckDBPyConnection, parquet: Path, typed: Mapping[str, str], fixed: Mapping[str, str]
) -> dict[str, str]:
    """Columns without a single value are text, whatever was tried: nothing decided their type."""
    free = [n for n, t in typed.items() if n not in fixed and t != "VARCHAR"]
    if not free:
        return {}
    counts = ", ".join(f"count({quote_name(n)}) = 0" for n in free)
    row = engine.execute(f"SELECT {counts} FROM read_parquet({quote_text(str(parquet))})").fetchone() or ()
    return {n: "VARCHAR" for n, is_empty in zip(free, row, strict=True) if is_empty}


def _misfit_error(
    file: CsvFile, request: ConversionRequest, fixed: Mapping[str, str], survey: Mapping[str, str], name: str
) -> Exception:
    """Find the first value that does not fit, with its line in the file as it came."""
    index = file.names.index(name)
    original = as_utf8(request.source, request.work_dir, request.options.encoding)
    delimiter = request.options.delimiter
    delimiter = sniff_delimiter(original) if delimiter == "auto" else delimiter
    width = len(file.names)
    for fields, bad in CsvScanner(original, delimiter, types={index: fixed[name]}).records():
        if bad is None or fields is not None:
            continue
        if request.registered is None:
            return bad.error(f"column {name!r}")
        value = bad.raw.split(delimiter)[index] if bad.raw.count(delimiter) == width - 1 else bad.reason
        retyped = {"name": name, "from": fixed[name], "to": survey[name], "value": value[:80], "line": bad.line}
        return drift({"added": [], "gone": [], "retyped": [retyped]})
    return drift({"added": [], "gone": [], "retyped": [{"name": name, "from": fixed[name], "to": survey[name]}]})


def _reader(file: CsvFile) -> str:
    columns = ", ".join(f"{quote_text(n)}: 'VARCHAR'" for n in file.names)
    size = file.path.stat().st_size
    buffer = f", buffer_size = {_BUFFER_BYTES}" if size > _BUFFER_BYTES else ""
    return (
        f"read_csv({quote_text(str(file.path))}, columns = {{{columns}}}, auto_detect = false, header = true,"
        f" delim = {quote_text(file.delimiter)}, quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
        f" null_padding = false, max_line_size = {_MAX_LINE_BYTES}{buffer})"
    )
