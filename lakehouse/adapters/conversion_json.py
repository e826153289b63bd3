"""JSON and JSON lines to Parquet: the structure of all values decides the columns, nested values stay JSON text.

Belongs here: the passes over JSON. Not here: CSV (see conversion_csv.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import orjson

from lakehouse.adapters.conversion_columns import MEMORY_MB, MISFIT, drift, fixed_types, typed_value
from lakehouse.adapters.conversion_encoding import as_utf8
from lakehouse.adapters.conversion_pii import mark_personal
from lakehouse.adapters.conversion_quarantine import Quarantine, open_quarantine
from lakehouse.adapters.conversion_writing import write_parquet
from lakehouse.adapters.duckdb_engine import clean
from lakehouse.catalog.manifest import Column
from lakehouse.errors import Unprocessable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.ingest.csv_scanner import MAX_COLUMNS, BadRecord, check_header
from lakehouse.ingest.grammar import fits, widen
from lakehouse.ingest.json_elements import BadDocument, read_elements
from lakehouse.query.quoting import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

_USUAL_OBJECT_BYTES = 1 << 20
_MAX_LINE_BYTES = 16 << 20
_MAX_ELEMENT_CHARACTERS = 64 << 20
_NAMES = {type(None): "null", bool: "true or false", str: "a text", list: "an array"}
_REPEATED = "has duplicate key"
_TOO_LONG = f"a line of more than {_MAX_LINE_BYTES >> 20} MiB"
_BOM = b"\xef\xbb\xbf"
# Whole numbers beyond 64 bits come as floats from the parser.
_LONG_NUMBER = re.compile(rb"\d{20}")
_PARSED_EXACTLY = 2.0**63
_EXACT_INTEGER = 2**53
# A record: the line it begins in, its text, and whether the text is too long and cut.
_Record: TypeAlias = tuple[int, bytes, bool]
_SCALARS = {"BOOLEAN", "BIGINT", "DOUBLE"}


def convert_json(engine: duckdb.DuckDBPyConnection, request: ConversionRequest) -> Converted:
    """Convert JSON lines, or a JSON document that is an array of objects or one object."""
    try:
        return _convert(engine, request, is_strict=False)
    except _RepeatedKey:
        # The engine has met such an object but does not say where. Checking each object takes ten times as long.
        (request.work_dir / "quarantine.jsonl").unlink(missing_ok=True)
        return _convert(engine, request, is_strict=True)


class _RepeatedKey(Exception):
    """Some object has two fields with the same name."""


def _convert(engine: duckdb.DuckDBPyConnection, request: ConversionRequest, *, is_strict: bool) -> Converted:
    import duckdb

    source = as_utf8(request.source, request.work_dir, request.options.encoding)
    lines = request.work_dir / "lines.jsonl"
    bad = open_quarantine(request.work_dir, request.options.on_error)
    records = _records_of(source, request)
    structure, longest_bytes = _check(
        records, lines, bad, is_strict=is_strict, is_document=request.options.format == "json"
    )
    names = check_header(list(structure), 1)
    if not names:
        raise Unprocessable("the file has no object with a field: nothing was loaded", record=0, line=1)
    fixed = fixed_types(names, _with_absent_columns(request, names))
    typed = {n: _type_of(structure.get(n, set())) for n in names}
    misfits = [n for n in structure if n in fixed and not _is_held_by(structure[n], fixed[n])]
    if misfits:
        raise _misfit_error(source, request, fixed, misfits[:1])
    typed = {**typed, **fixed}
    order = [c.name for c in request.registered] if request.registered else names
    # The engine allocates buffers of twice the largest object for each thread.
    object_bytes = max(_USUAL_OBJECT_BYTES, 2 * longest_bytes)
    engine.execute(f"SET memory_limit = '{MEMORY_MB + 16 * (object_bytes >> 20)}MB'")
    try:
        row_count = _write(engine, lines, request.work_dir / "out.parquet", {n: typed[n] for n in order}, object_bytes)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if _REPEATED in str(error) and not is_strict:
            raise _RepeatedKey from None
        if MISFIT not in str(error):
            raise Unprocessable(f"the file cannot be read as JSON: {clean(str(error).splitlines()[0])[:200]}") from None
        raise _misfit_error(source, request, fixed, list(fixed)) from None
    marked = {c.name for c in request.registered or () if c.pii} | request.options.pii
    written = tuple(Column(n, typed[n], n in marked) for n in order)
    columns = mark_personal(engine, request.work_dir / "out.parquet", written, row_count)
    undecided = frozenset(n for n, kinds in structure.items() if kinds <= {"null"} and n not in fixed)
    return Converted(columns, request.work_dir / "out.parquet", row_count, bad.count, bad.file(), undecided)


def _with_absent_columns(request: ConversionRequest, names: list[str]) -> ConversionRequest:
    # A registered field that no object here has is null and no drift: objects leave out fields without a value.
    if request.registered is not None:
        names += [c.name for c in request.registered if c.name not in names]
    return request


def _check(
    records: Iterator[_Record], target: Path, bad: Quarantine, *, is_strict: bool, is_document: bool
) -> tuple[dict[str, set[str]], int]:
    """Write the records that are rows as lines; gives the kinds of their values, and the longest one's size."""
    structure: dict[str, set[str]] = {}
    longest_bytes = 0
    with target.open("wb") as writer:
        for number, (line, text, is_cut) in enumerate(records, start=1):
            reason = _TOO_LONG if is_cut else (_repeated_key(text) if is_strict else None) or _note(text, structure)
            if len(structure) > MAX_COLUMNS:
                raise BadRecord(number, line, f"the objects have more than {MAX_COLUMNS:,} fields", "").error("")
            if reason is None:
                writer.write(text + b"\n")
                longest_bytes = max(longest_bytes, len(text))
                continue
            try:
                bad.take(BadRecord(number, line, reason, text[:65_536].decode("utf-8", "backslashreplace")[:65_536]))
            except Unprocessable:
                if is_document:
                    deque(records, maxlen=0)  # reads on: bytes further down that are no JSON are refused for that
                raise
    return structure, longest_bytes


def _repeated_key(text: bytes) -> str | None:
    """Why an object with two fields of one name is refused."""
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None  # it is refused for that
    names = Counter(name for name, _ in pairs) if text.startswith(b"{") else Counter[str]()
    repeated = next((name for name, count in names.items() if count > 1), None)
    return None if repeated is None else f"field {repeated!r} stands in it twice"


def _records_of(source: Path, request: ConversionRequest) -> Iterator[_Record]:
    return _lines_of(source) if request.options.format == "jsonl" else _elements_of(source)


def _lines_of(source: Path) -> Iterator[_Record]:
    with source.open("rb") as reader:
        for number, line in enumerate(_bounded_lines(reader), start=1):
            text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
            if text:
                yield number, text, len(line) > _MAX_LINE_BYTES


def _elements_of(source: Path) -> Iterator[_Record]:
    # Bytes that are not UTF-8 stay in their element, which is refused because of them.
    with source.open(encoding="utf-8", errors="surrogateescape", newline="") as reader:
        try:
            for element in read_elements(reader, most_characters=_MAX_ELEMENT_CHARACTERS):
                yield element.line, element.text.encode("utf-8", "surrogateescape"), False
        except BadDocument as error:
            raise Unprocessable(
                f"the file is not JSON: {error}. Nothing was loaded", line=error.line, reason=error.reason
            ) from None


def _bounded_lines(reader: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; a line longer than `_MAX_LINE_BYTES` is cut to one byte more than that."""
    while line := reader.readline(_MAX_LINE_BYTES + 1):
        yield line
        while len(line) > _MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = reader.readline(_MAX_LINE_BYTES + 1) or b"\n"


def _note(text: bytes, structure: dict[str, set[str]]) -> str | None:
    """Add the kinds of one object's values to the structure; returns why the text is no row."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"is not JSON ({error})"
    if not isinstance(value, dict):
        return f"{_NAMES.get(type(value), 'a number')}, where an object is needed"
    is_long = _LONG_NUMBER.search(text) is not None
    for name, item in value.items():
        structure.setdefault(name, set()).add(_kind(item, is_long=is_long))
    return None


def _kind(value: Any, *, is_long: bool = False) -> str:
    """What a value is; `is_long` says that whole numbers stand beside it which the parser rounds."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        if abs(value) <= _EXACT_INTEGER:
            return "BIGINT"
        return "LONG" if -(2**63) <= value < 2**63 else "VARCHAR"
    if isinstance(value, float):
        return "ROUNDED" if is_long and abs(value) >= _PARSED_EXACTLY else "DOUBLE"
    return "VARCHAR" if isinstance(value, str) else "JSON"


def _type_of(kinds: set[str]) -> str:
    """The type that holds all kinds of values a column has; mixed and nested columns are text."""
    filled = kinds - {"null"}
    if filled == {"BOOLEAN"}:
        return "BOOLEAN"
    if filled and filled <= {"BIGINT", "LONG"}:
        return "BIGINT"
    if filled and filled <= {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return "VARCHAR"


def _is_held_by(kinds: set[str], type_: str) -> bool:
    found = _type_of(kinds)
    if type_ not in _SCALARS:
        return type_ == "VARCHAR" or "JSON" not in kinds  # values are checked as text when they are written
    is_number = type_ == "DOUBLE" and kinds <= {"null", "BIGINT", "DOUBLE", "ROUNDED"}
    return kinds <= {"null"} or type_ in (found, "VARCHAR") or is_number


def _misfit_error(source: Path, request: ConversionRequest, fixed: Mapping[str, str], names: list[str]) -> Exception:
    """The refusal for the first value that does not fit; the file is read again, for its place."""
    is_lines = request.options.format == "jsonl"
    for number, (line, text, _) in enumerate(_records_of(source, request), start=1):
        name, value, found = _first_misfit(text, fixed, names)
        if name is None:
            continue
        place: dict[str, object] = {"line": line} if is_lines else {"record": number, "line": line}
        if request.registered is None:
            reason = f"field {name!r}: {value[:80]!r} is not a {fixed[name]}"
            where = ", ".join(f"{key} {at}" for key, at in place.items())
            return Unprocessable(f"{where}: {reason}. Nothing was loaded", reason=reason, **place)
        retyped = {"name": name, "from": fixed[name], "to": found, "value": value[:80], **place}
        return drift({"added": [], "gone": [], "retyped": [retyped]})
    return Unprocessable(f"a value does not fit its column: {', '.join(f'{n} {fixed[n]}' for n in names)}")


def _first_misfit(text: bytes, fixed: Mapping[str, str], names: list[str]) -> tuple[str | None, str, str]:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, "", ""
    for name in names if isinstance(row, dict) else ():
        value = row.get(name)
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        is_held = _is_held_by({_kind(value)}, fixed[name])
        if value is not None and not (is_held and (fixed[name] in _SCALARS or fits(shown, fixed[name]))):
            found = _type_of({_kind(value)})
            return name, shown, "VARCHAR" if found == fixed[name] else widen(fixed[name], found)
    return None, "", ""


def _write(
    engine: duckdb.DuckDBPyConnection, lines: Path, target: Path, typed: Mapping[str, str], object_bytes: int
) -> int:
    engine.execute("LOAD json")
    read_as = {n: typed[n] if typed[n] in _SCALARS else "VARCHAR" for n in typed}
    columns = ", ".join(f"{quote_text(n)}: {quote_text(t)}" for n, t in read_as.items())
    selected = ", ".join(quote_name(n) if t in _SCALARS else typed_value(n, t) for n, t in typed.items())
    query = (
        f"SELECT {selected} FROM read_json({quote_text(str(lines))}, columns = {{{columns}}},"
        f" format = 'newline_delimited', maximum_object_size = {object_bytes})"
    )
    return write_parquet(engine, query, target)
