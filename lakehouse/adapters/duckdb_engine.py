"""DuckDB over the bucket: the httpfs extension from its wheel, read-only keys, caches on, all other access off.

Belongs here: making an engine, parsing with it, turning its errors into ours. Not here: processes (see sql_pool.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.duckdb_s3 import QUICK_LOAD, open_way
from lakehouse.adapters.full_disk import no_room_in
from lakehouse.adapters.s3_keys import S3Keys
from lakehouse.errors import BadInput, Forbidden, InsufficientStorage, LakehouseError, StoreUnavailable, TimedOut
from lakehouse.query.gate import MAX_DEPTH
from lakehouse.query.quoting import quote_text
from lakehouse.query.request import EngineConfig
from lakehouse.tables.reserved import RAW_FOLDERS, STORED_VIEWS, TABLE_FOLDERS

if TYPE_CHECKING:
    import duckdb

VIEWS_FOLDER = "views"
"""Beside the folders that workers spill to: files of memory tables, which they may read."""
# What must not reach a user: addresses of the store, host paths, keys.
_ADDRESS = re.compile(r"(?:https?|s3)://[^\s'\")\]]+")
_KINDS = ("INTERRUPT Error", "Out of Memory Error", "HTTP Error", "IO Error", "Permission Error")
_OWN_SCHEMA = re.compile(r"\b(?:in_full|masked)\.")
_HOST_PATH = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*")


def open_engine(config: EngineConfig) -> dict[bool, duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that reads the bucket's data and can do nothing else to the world.

    Returns:
        Two connections that share memory and caches but no views: with personal data (True) and masked (False).
        The gate lets no query name a schema, so neither sees the other's.
    """
    import duckdb

    engine = duckdb.connect(
        config={
            **QUICK_LOAD,
            "threads": config.threads,
            "memory_limit": f"{config.memory_bytes}B",
            "temp_directory": config.temp_folder,
            "max_temp_directory_size": f"{config.temp_bytes}B",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
    )
    open_way(
        engine,
        endpoint=config.endpoint,
        region=config.region,
        keys=S3Keys(config.access_key_id, config.secret_access_key, config.session_token),
        read_timeout_s=config.read_timeout_s,
        ca_file=config.ca_file,
    )
    engine.execute("SET TimeZone = 'UTC'")
    # Data files never change under their key, so what was read of them once need not be asked for again.
    engine.execute("SET parquet_metadata_cache = true")
    engine.execute("SET validate_external_file_cache = 'NO_VALIDATION'")
    connections = {}
    for is_full, schema in ((True, "in_full"), (False, "masked")):
        engine.execute(f"CREATE SCHEMA {schema}")
        connections[is_full] = engine.cursor()
        connections[is_full].execute(f"SET search_path = '{schema}'")
    # The order matters: a setting that is locked cannot be changed any more.
    local = (config.temp_folder, str(Path(config.temp_folder).parent / VIEWS_FOLDER))
    prefixes = ("datasets/", *TABLE_FOLDERS, *RAW_FOLDERS, *STORED_VIEWS.values())
    folders = (*(f"s3://{config.bucket}/{prefix}" for prefix in prefixes), *(f"{folder}/" for folder in local))
    engine.execute(f"SET allowed_directories = [{', '.join(map(quote_text, folders))}]")
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    return connections


def parse(engine: duckdb.DuckDBPyConnection, sql: str) -> tuple[dict[str, Any], str]:
    """The parse tree of a statement, and the text to run when the tree passes.

    An EXPLAIN is put in front of the text made from the tree, so that exactly what was checked runs, without comments
    and options of the request.

    Raises:
        BadInput: It does not parse, or is nested too deep.
        Forbidden: It is EXPLAIN with ANALYZE or options.
    """
    import duckdb

    if "\0" in sql:
        raise BadInput("the SQL does not parse: it holds a NUL character, at which the engine would stop reading")
    try:
        statements = engine.extract_statements(sql)
    except duckdb.Error as error:
        raise BadInput(f"the SQL does not parse: {clean(str(error))}") from None
    is_explain = len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN
    inner = strip_explain(sql) if is_explain else sql
    row = engine.execute("SELECT json_serialize_sql(?)", [inner]).fetchone()
    try:
        tree: dict[str, Any] = json.loads(row[0]) if row else {}
    except RecursionError:
        raise BadInput(f"the SQL is nested deeper than {MAX_DEPTH} levels") from None
    return tree, f"EXPLAIN {inner}" if is_explain else sql


_SPACE_OR_COMMENT = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)"
_EXPLAIN = re.compile(rf"{_SPACE_OR_COMMENT}*EXPLAIN(?={_SPACE_OR_COMMENT}|\(|$)", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(rf"{_SPACE_OR_COMMENT}*(?:ANALY[ZS]E\b|\()", re.IGNORECASE | re.DOTALL)


def strip_explain(sql: str) -> str:
    """The statement behind a plain EXPLAIN.

    Raises:
        Forbidden: ANALYZE executes what it explains; options are not needed.
    """
    match = _EXPLAIN.match(sql)
    if match is None or _OPTION.match(sql, match.end()):
        raise Forbidden("EXPLAIN is allowed without ANALYZE and options: ANALYZE executes what it explains")
    return sql[match.end() :]


def translate(error: Exception) -> LakehouseError:
    """A DuckDB error as one of ours, without addresses, paths and keys.

    Streams raise it wrapped in types of Python's or Arrow's own, so that its first words say more than its type.
    """
    message = clean(str(error))
    kind = next((k for k in _KINDS if k in message[:200]), "")
    if kind == "INTERRUPT Error":
        return TimedOut("the query ran past its time limit and was stopped")
    if kind == "Out of Memory Error":
        return out_of_memory()
    if kind == "IO Error" and (no_room := no_room_in(message)):
        return InsufficientStorage(
            f"the query outgrew its memory, and what it spilled did not fit the disk: {no_room}; make room in the data"
            " folder of the API's machine, or narrow the query"
        )
    if kind in ("HTTP Error", "IO Error"):
        return StoreUnavailable("the object store did not answer the query", retry_after_s=5)
    if kind == "Permission Error":
        return Forbidden("the query reaches outside the datasets and was stopped")
    return BadInput(f"the query failed: {message}")


def out_of_memory() -> InsufficientStorage:
    """What a query gets that needs more than there is."""
    return InsufficientStorage("the query ran out of memory; narrow it, or aggregate before you sort or join")


def clean(message: str) -> str:
    """A message without addresses, host paths and the schemas that no query can name."""
    return _OWN_SCHEMA.sub("", _HOST_PATH.sub("<path>", _ADDRESS.sub("<object>", message)))
