"""Options of a landing folder: how its files are to be read, in a file beside them.

Belongs here: finding and checking that file. Not here: what options do (see options.py), the folder (see landing.py).
"""

from __future__ import annotations

import json
from typing import Any

from lakehouse.errors import BadInput, NotFound, Unprocessable
from lakehouse.ingest.options import make_options
from lakehouse.storage.objects import ObjectStore, StoredObject

OPTIONS_FILE = "_options.json"
_ALLOWED = ("encoding", "delimiter", "types", "on_error", "format")
_MAX_BYTES = 1 << 20


def find_folder_options(store: ObjectStore, folder: str) -> StoredObject | None:
    """The file `<folder>_options.json`, where there is one."""
    try:
        return store.get(f"{folder}{OPTIONS_FILE}")
    except NotFound:
        return None


def parse_folder_options(stored: StoredObject) -> dict[str, Any]:
    """The options that such a file states, as `make_options` takes them.

    Raises:
        Unprocessable: The file is no JSON object of known options.
    """
    key = stored.info.key
    try:
        given = json.loads(stored.body) if stored.info.size <= _MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise Unprocessable(f"{key} is not JSON ({error})", key=key) from None
    if not isinstance(given, dict):
        raise Unprocessable(f'{key} must be a JSON object such as {{"delimiter": ";", "encoding": "cp1252"}}', key=key)
    unknown = sorted(set(given) - set(_ALLOWED))
    if unknown:
        raise Unprocessable(f"{key} has the unknown option {unknown[0]!r}; it may have {', '.join(_ALLOWED)}", key=key)
    try:
        if given.get("types") is not None and not isinstance(given["types"], str):
            given["types"] = json.dumps(given["types"])
        make_options(**given)
    except (BadInput, TypeError, AttributeError, RecursionError) as error:
        raise Unprocessable(f"{key}: {error}", key=key) from None
    return given
