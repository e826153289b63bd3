"""CSV to Parquet: DuckDB reads text and checks every value; files that it refuses are read by the exact scanner.

Belongs here: the passes over a CSV. Not here: the grammar of values and the scanner (see lakehouse/ingest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.conversion_columns import MISFIT, WIDE, drift, fixed_types, memory_limit, typed_value
from lakehouse.adapters.conversion_encoding import as_utf8
from lakehouse.adapters.conversion_pii import mark_personal
from lakehouse.adapters.conversion_quarantine import Quarantine, open_quarantine
from lakehouse.adapters.conversion_writing import write_parquet
from lakehouse.adapters.csv_shape import inspect_shape
from lakehouse.catalog.manifest import Column
from lakehouse.errors import Conflict, Unprocessable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.ingest.csv_scanner import BadRecord, CsvScanner, rewrite_canonical, sniff_delimiter
from lakehouse.ingest.grammar import fits, is_known, narrowest_type, sql_check
from lakehouse.query.quoting import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

_SAMPLE_RECORDS = 1000
_BUFFER_BYTES = 4 << 20
_MAX_LINE_BYTES = 256 << 10
# Files up to this size keep the order of their rows; in larger ones that would cost much memory and time.
_ORDERED_BYTES = 32 << 20
# Most answers of the engine about single values that are cached.
_VALUES_KNOWN = 10_000


@dataclass(slots=True)
class CsvFile:
    """A CSV in UTF-8, ready for the engine; `origin` is the file that it was rewritten from.

    `longest_bytes` bounds its records.
    """

    path: Path
    delimiter: str
    names: list[str]
    origin: CsvFile | None = None
    longest_bytes: int = _MAX_LINE_BYTES


def convert_csv(engine: duckdb.DuckDBPyConnection, request: ConversionRequest) -> Converted:
    """Convert a CSV; see `lakehouse.ingest.conversion.Converter`."""
    options = request.options
    source = as_utf8(request.source, request.work_dir, options.encoding)
    delimiter = sniff_delimiter(source) if options.delimiter == "auto" else options.delimiter
    scanner = CsvScanner(source, delimiter, encoding=options.encoding)
    names = scanner.header()
    fixed = fixed_types(names, request)
    engine.execute(f"SET memory_limit = '{memory_limit(len(names))}'")
    if len(names) > WIDE:
        engine.execute("SET threads = 1")  # each thread holds buffers for every column
    bad = open_quarantine(request.work_dir, options.on_error)
    file = CsvFile(source, delimiter, names)
    sample = _sample(scanner)
    types = {n: fixed.get(n) or narrowest_type(c) or "BIGINT" for n, c in zip(names, sample, strict=True)}
    made = None if len(names) == 1 else _write_if_regular(engine, file, request, types, fixed)
    if made is None:
        file = _rewritten(engine, file, request, fixed, bad)
        engine.execute(f"SET memory_limit = '{memory_limit(len(names), file.longest_bytes)}'")
        try:
            made = _write_parquet(engine, file, request, types, fixed)
        except _Refused:
            raise Unprocessable("the file could not be read although its records are sound; please report it") from None
    typed, row_count = made
    marked = {c.name for c in request.registered or () if c.pii} | options.pii
    parquet = request.work_dir / "out.parquet"
    order = names if request.registered is None else [c.name for c in request.registered]
    ordered = mark_personal(engine, parquet, tuple(Column(n, typed[n], n in marked) for n in order), row_count)
    without_sample = [n for n, v in zip(names, sample, strict=True) if n not in fixed and not any(v)]
    undecided = frozenset(_without_values(engine, parquet, without_sample))
    return Converted(ordered, parquet, row_count, bad.count, bad.file(), undecided)


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
            if look.result().is_regular and request.options.on_error != "quarantine":
                raise
            return None
        shape = look.result()
    expected = (row_count + 1) * (len(file.names) - 1)
    is_even = not shape.has_trailing_delimiter or shape.delimiters == expected
    return (typed, row_count) if shape.is_regular and is_even else None


def _rewritten(
    engine: duckdb.DuckDBPyConnection,
    file: CsvFile,
    request: ConversionRequest,
    fixed: Mapping[str, str],
    bad: Quarantine,
) -> CsvFile:
    """Rewrite the file as the exact scanner reads it; a bad record refuses the file or goes to the quarantine."""
    is_quarantining = request.options.on_error == "quarantine"
    wanted = {i: fixed.get(n, "") for i, n in enumerate(file.names)}
    checked = {i: t for i, t in wanted.items() if is_quarantining and t}
    target = request.work_dir / "canonical.csv"
    encoding = request.options.encoding
    scanner = CsvScanner(file.path, file.delimiter, types=checked, fit=_fit_by(engine), encoding=encoding)
    longest_bytes = rewrite_canonical(scanner, target, bad.take)
    return CsvFile(target, ",", file.names, origin=file, longest_bytes=max(_MAX_LINE_BYTES, longest_bytes))


def _fit_by(engine: duckdb.DuckDBPyConnection) -> Callable[[str, str], bool]:
    """`fits`, for every type: where Python does not know a type's values the engine is asked, value by value."""

    @lru_cache(maxsize=_VALUES_KNOWN)
    def ask(value: str, type_: str) -> bool:
        condition = sql_check("v", type_)[1]
        row = engine.execute(f"SELECT coalesce({condition}, false) FROM (SELECT $1::VARCHAR AS v)", [value]).fetchone()
        return row is not None and bool(row[0])

    return lambda value, type_: fits(value, type_) and (value == "" or is_known(type_) or ask(value, type_))


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
            if MISFIT not in str(error):
                raise _Refused from None
            survey = _survey(engine, file, typed)
        else:
            # Columns without a single value are text, as nothing decides their type.
            tried = [n for n, t in typed.items() if n not in fixed and t != "VARCHAR"]
            empty = _without_values(engine, request.work_dir / "out.parquet", tried)
            survey = {**typed, **dict.fromkeys(empty, "VARCHAR")}
        if survey == typed:
            return typed, row_count
        misfits = [n for n in survey if n in fixed and survey[n] != fixed[n]]
        if misfits:
            name = misfits[0]
            raise _misfit_error(engine, file, request, name, type_=fixed[name], found=survey[name])
        typed = dict(survey)
    raise Unprocessable("the file could not be typed; please report it")


def _copy(
    engine: duckdb.DuckDBPyConnection, file: CsvFile, order: Sequence[str], typed: Mapping[str, str], target: Path
) -> int:
    size = file.path.stat().st_size
    engine.execute(f"SET preserve_insertion_order = {str(size <= _ORDERED_BYTES).lower()}")
    selected = ", ".join(typed_value(name, typed[name]) for name in order)
    return write_parquet(engine, f"SELECT {selected} FROM {_reader(file)}", target)


def _survey(engine: duckdb.DuckDBPyConnection, file: CsvFile, typed: Mapping[str, str]) -> dict[str, str]:
    """The narrowest types that really hold, for all columns in one pass."""
    questions = [(name, candidate) for name, type_ in typed.items() for candidate in _ladder(type_)]
    conditions = ", ".join(
        f"bool_and({quote_name(n)} IS NULL OR coalesce({sql_check(quote_name(n), t)[1]}, false))" for n, t in questions
    )
    row = engine.execute(f"SELECT {conditions} FROM {_reader(file)}").fetchone() or ()
    holds = {question: held is not False for question, held in zip(questions, row, strict=True)}
    return {n: next((t for t in _ladder(type_) if holds[n, t]), "VARCHAR") for n, type_ in typed.items()}


def _ladder(type_: str) -> tuple[str, ...]:
    if type_ == "BIGINT":
        return ("BIGINT", "DOUBLE")
    return () if type_ == "VARCHAR" else (type_,)


def _without_values(engine: duckdb.DuckDBPyConnection, parquet: Path, names: Sequence[str]) -> list[str]:
    """Of the columns named, those that have no value in the Parquet."""
    if not names:
        return []
    counts = ", ".join(f"count({quote_name(n)}) = 0" for n in names)
    row = engine.execute(f"SELECT {counts} FROM read_parquet({quote_text(str(parquet))})").fetchone() or ()
    return [n for n, is_empty in zip(names, row, strict=True) if is_empty]


def _misfit_error(
    engine: duckdb.DuckDBPyConnection,
    file: CsvFile,
    request: ConversionRequest,
    name: str,
    *,
    type_: str,
    found: str,
) -> Exception:
    """The refusal for the first value that does not fit, with its line in the file as it came."""
    column, index = quote_name(name), file.names.index(name)
    engine.execute("SET preserve_insertion_order = true")
    condition = f"{column} IS NOT NULL AND NOT coalesce({sql_check(column, type_)[1]}, false)"
    row = engine.execute(f"SELECT {column} FROM {_reader(file)} WHERE {condition} LIMIT 1").fetchone()
    value = str(row[0]) if row else ""
    record, line = _place(file.origin or file, index, value)
    if request.registered is None:
        reason = f"column {name!r}: {value[:80]!r} is not a {type_}"
        return BadRecord(record, line, reason, "").error("")
    retyped = {"name": name, "from": type_, "to": found, "value": value[:80], "line": line}
    return drift({"added": [], "gone": [], "retyped": [retyped]})


def _place(file: CsvFile, index: int, value: str) -> tuple[int, int]:
    """Record and line of the first field of a column that has this value."""
    for record, line, fields in CsvScanner(file.path, file.delimiter).placed_records():
        if len(fields) == len(file.names) and fields[index] == value:
            return record, line
    return 0, 1


def _reader(file: CsvFile) -> str:
    columns = ", ".join(f"{quote_text(n)}: 'VARCHAR'" for n in file.names)
    size = file.path.stat().st_size
    longest = file.longest_bytes
    buffer_bytes = _BUFFER_BYTES if longest == _MAX_LINE_BYTES else 2 * longest
    buffer = f", buffer_size = {buffer_bytes}" if size > _BUFFER_BYTES or longest > _MAX_LINE_BYTES else ""
    return (
        f"read_csv({quote_text(str(file.path))}, columns = {{{columns}}}, auto_detect = false, header = true,"
        f" delim = {quote_text(file.delimiter)}, quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
        f" null_padding = false, max_line_size = {longest}{buffer})"
    )
