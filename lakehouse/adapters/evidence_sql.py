"""The statement that makes evidence of a block of raw lines, put together from a transform's rules.

Belongs here: the SQL text, and which lines it leaves to Python. Not here: rules of a stream (see
lakehouse/evidence/transforms), running it (see evidence_engine.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from lakehouse.events.load_tag import LOAD_PREFIX, LOAD_TASK
from lakehouse.evidence.fitness import LEFT_OUT
from lakehouse.evidence.transform import ENVELOPE_PROMOTED, MAX_ID_CHARACTERS, Kind, Transform
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.tables.evidence import SCHEMA_VERSION
from lakehouse.tables.reserved import RESERVED_VIEWS

LOOK_CLOSER = "look closer"
"""The reason of a line that only Python can judge."""
AHEAD_S = 60.0
"""So far a run may lie after its recording before that is marked: clocks of two machines are never the same."""
_DAY_US = 86_400_000_000
_TYPES: dict[Kind, str | list[str]] = {
    "text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "texts": ["VARCHAR"],
    "array": "JSON", "object": "JSON", "json": "JSON",
}  # fmt: skip
_FITTING: dict[Kind, tuple[str, ...]] = {
    "text": ("VARCHAR",),
    "integer": ("UBIGINT", "BIGINT"),
    "number": ("DOUBLE", "UBIGINT", "BIGINT"),
    "boolean": ("BOOLEAN",),
    "texts": ("ARRAY",),
    "array": ("ARRAY",),
    "object": ("OBJECT",),
}
# What the engine's JSON parser accepts outside of strings although RFC 8259 does not; each begins with a byte that is
# quick to look for.
_LENIENT = (
    *(rf"{begin}[ \t\r]*-?(?:[nN][aA][nN]|[iI][nN][fF])" for begin in (":", ",", r"\[")),
    r",[ \t\r]*[\]}]",
)
# With a time zone, and in years that Python and all readers of Parquet can represent.
_MOMENT = r"(?:19[7-9]|2[01]\d)\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_NO_MOMENT = "no time with a zone between 1970 and 2199"
_TYPED = RESERVED_VIEWS["evidence"]
_MADE_BESIDE = ("provenance", "input_hash", "output_hash")


def evidence_statement(transform: Transform) -> str:
    """The statement over a relation `lines`, in the order of its rows.

    `lines` is `(ordinal BIGINT, text VARCHAR, is_checked BOOLEAN, is_deep BOOLEAN, day_us BIGINT)`: the line, whether
    Python has found it to be fit JSON, whether it may be nested too deep, the day of its folder or null.

    Returns:
        SQL that yields `ordinal`, `reason` (null: fit; or `LOOK_CLOSER`), `recorded_at`, `key_hash` and every evidence
        column but `provenance`, `input_hash` and `output_hash`.
    """
    fields = transform.all_fields
    paths = ", ".join(quote_text(f'$."{name}"') for name in fields)
    structure = declared_structure(transform)
    nulled = ", ".join(f"{quote_name(name)} := {_field(name, kind)}" for name, kind in fields.items())
    is_lenient = " OR ".join(f"regexp_matches(text, {quote_text(pattern)})" for pattern in _LENIENT)
    recorded_at = _moment("parsed.recorded_at")
    own = f"{_moment(f'parsed.{quote_name(transform.moment)}')}, " if transform.moment else ""
    moment = f"coalesce({own}{recorded_at})"
    return f"""
WITH kinds AS (
  SELECT *, TRY(json_type(text, ['$', {paths}])) AS kinds FROM lines
), opened AS (
  SELECT *, CASE WHEN kinds[1] = 'OBJECT' THEN from_json(text, {structure}) END AS parsed,
    CASE WHEN kinds[1] = 'OBJECT' THEN len(json_keys(text)) END AS field_count,
    NOT is_checked AND (is_deep OR {is_lenient}) AS is_doubtful
  FROM kinds
), timed AS (
  SELECT * EXCLUDE (parsed), struct_pack({nulled}) AS raw,
    {recorded_at} AS recorded_at,
    {moment} AS moment
  FROM opened
), judged AS (
  SELECT *, CASE {_reasons(transform)} END AS reason FROM timed
), told AS (
  SELECT *, CASE WHEN reason IS NULL THEN to_json(struct_pack({_declared_rest(transform)}))::VARCHAR END AS rest
  FROM judged
)
SELECT ordinal, reason, recorded_at, hash({transform.key or "raw.run_id"}) AS key_hash,
  {_columns(transform)}
FROM told"""


def declared_structure(transform: Transform) -> str:
    """The declared fields with their types, as the literal that `from_json` takes."""
    return quote_text(json.dumps({name: _TYPES[kind] for name, kind in transform.all_fields.items()}))


def _field(name: str, kind: Kind) -> str:
    # A JSON null in a column of type JSON may come as the text null.
    parsed = f"parsed.{quote_name(name)}"
    return f"nullif({parsed}::VARCHAR, 'null')" if _TYPES[kind] == "JSON" else parsed


def _moment(field: str) -> str:
    held = f"CASE WHEN regexp_full_match({field}, {quote_text(_MOMENT)}) THEN {field} END"
    return f"make_timestamp(epoch_us(TRY_CAST({held} AS TIMESTAMPTZ)))"


def _reasons(transform: Transform) -> str:
    return " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in _rules(transform))


def _rules(transform: Transform) -> Iterator[tuple[str, str]]:
    """Conditions and reasons, both SQL, in the order in which they are looked at."""
    yield "kinds IS NULL OR is_doubtful", quote_text(LOOK_CLOSER)
    yield "kinds[1] <> 'OBJECT'", "'is no JSON object'"
    # When all fields are declared and their number is that of the distinct ones, no field occurs twice.
    yield (
        "field_count <> list_count(kinds) - 1 AND len(list_distinct(json_keys(text))) <> field_count",
        "'has a field twice'",
    )
    for place, (name, kind) in enumerate(transform.all_fields.items(), start=2):
        yield from _type_rules(place, name, kind)
    for name in ("run_id", "recorded_at", *transform.required):
        empty = " OR raw.{0} = ''" if transform.all_fields[name] == "text" else ""
        yield ("raw.{0} IS NULL" + empty).format(quote_name(name)), f"'field {_shown(name)} is missing'"
    yield f"length(raw.run_id) > {MAX_ID_CHARACTERS}", f"'field {_shown('run_id')} is too long'"
    yield "recorded_at IS NULL", f"'field {_shown('recorded_at')} is {_NO_MOMENT}'"
    if transform.moment:
        field = f"raw.{quote_name(transform.moment)}"
        yield f"{field} IS NOT NULL AND {_moment(field)} IS NULL", f"'field {_shown(transform.moment)} is {_NO_MOMENT}'"
    for condition, reason in transform.unfit:
        yield f"({condition})", quote_text(reason)
    # Last, so that a line that does not fit is refused even when it is of a load.
    # A CASE is evaluated only where its condition holds, so most lines are spared the pattern.
    pattern = f"regexp_full_match(raw.task_id, {quote_text(LOAD_TASK)})"
    yield f"CASE WHEN starts_with(raw.task_id, {quote_text(LOAD_PREFIX)}) THEN {pattern} END", quote_text(LEFT_OUT)


def _type_rules(place: int, name: str, kind: Kind) -> Iterator[tuple[str, str]]:
    found, value = f"kinds[{place}]", f"raw.{quote_name(name)}"
    if kind != "json":
        fitting = ", ".join(quote_text(one) for one in (*_FITTING[kind], "NULL"))
        yield f"{found} NOT IN ({fitting})", f"'field {_shown(name)} is no {kind}: ' || {found}"
    if kind == "integer":
        yield f"{found} = 'UBIGINT' AND {value} IS NULL", f"'field {_shown(name)} is beyond 64 bits'"
    if kind == "number":
        yield f"NOT isfinite({value})", f"'field {_shown(name)} is no finite number'"


def _columns(transform: Transform) -> str:
    made = {
        "run_id": transform.key or "raw.run_id",
        "task_id": "raw.task_id",
        "timestamp": "moment",
        "schema_version": str(SCHEMA_VERSION),
        "stream": quote_text(transform.stream),
        "metadata": _metadata(transform),
    }
    given, listed = transform.expressions, {"success_markers": "[]", "failure_markers": "[]"}
    return ", ".join(
        f"CAST({made.get(name) or given.get(name) or listed.get(name, 'NULL')} AS {type_}) AS {quote_name(name)}"
        for name, type_ in _TYPED.items()
        if name not in _MADE_BESIDE
    )


def _declared_rest(transform: Transform) -> str:
    """The declared fields that have no column of their own, as arguments of `struct_pack`."""
    promoted = (ENVELOPE_PROMOTED | transform.promoted) - ({"run_id"} if transform.key else set())
    return ", ".join(
        f"{quote_name(name)} := raw.{quote_name(name)}{'::JSON' if _TYPES[kind] == 'JSON' else ''}"
        for name, kind in transform.all_fields.items()
        if name not in promoted
    )


def _metadata(transform: Transform) -> str:
    """What has no column of its own: declared fields as a JSON object, fields that are not declared and marks behind.

    The texts are joined, not merged: a merge would drop what is null in them. Most lines have nothing to join, and
    cutting a text counts its characters.
    """
    undeclared = f"json_merge_patch(text, {quote_text(json.dumps(dict.fromkeys(transform.all_fields)))})"
    at_us = "epoch_us(recorded_at)"
    off_day = (
        f"CASE WHEN {at_us} < day_us THEN {at_us} - day_us"
        f" WHEN {at_us} >= day_us + {_DAY_US} THEN {at_us} - day_us - {_DAY_US} END / 1e6"
    )
    ahead = f"(epoch_us(moment) - {at_us}) / 1e6"
    marks = (
        f"json_object('evidence_off_day_s', ({off_day}),"
        f" 'evidence_ahead_s', CASE WHEN {ahead} > {AHEAD_S} THEN {ahead} END)"
    )
    is_marked = f"({at_us} < day_us OR {at_us} >= day_us + {_DAY_US} OR {ahead} > {AHEAD_S})"
    has_undeclared = "field_count <> list_count(kinds) - 1"
    return (
        f"CASE WHEN reason IS NULL AND ({has_undeclared} OR {is_marked}) THEN concat(rest[:-2],"
        f" CASE WHEN {has_undeclared} THEN ',' || {undeclared}[2:-2] END,"
        f" CASE WHEN {is_marked} THEN ',' || {marks}[2:-2] END, '}}') ELSE rest END"
    )


def _shown(name: str) -> str:
    return f"''{name}''"
