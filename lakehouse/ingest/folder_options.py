"""Options of a landing folder: how its files are to be read, in a file beside them.

Belongs here: finding and checking that file. Not here: what options do (see options.py), the folder (see landing.py).
"""

from __future__ import annotations

import json
from typing import Any

from lakehouse.errors import BadInput, NotFound, Unprocessable
from lakehouse.ingest.options import make_options
from lakehouse.storage.objects import ObjectInfo, ObjectStore

OPTIONS_FILE = "_options.json"
_ALLOWED = ("encoding", "delimiter", "types", "on_error", "format")
_MAX_BYTES = 1 << 20


def read_folder_options(store: ObjectStore, folder: str) -> tuple[dict[str, Any], ObjectInfo | None]:
    """The options that `<folder>_options.json` states, as `make_options` takes them, and that file, where there is one.

    Raises:
        Unprocessable: The file is no JSON object of known options.
    """
    key = f"{folder}{OPTIONS_FILE}"
    try:
        stored = store.get(key)
    except NotFound:
        return {}, None
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
    return given, stored.info
