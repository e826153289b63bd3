"""Small files that pages keep in the data folder: readable to this user alone, and whole or not there.

Belongs here: writing, reading, locks that end with their process. Not here: what is kept (see job_records.py,
results.py, history.py).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from lakehouse.clock import new_id

PRIVATE = 0o600


def private_folder(path: Path) -> Path:
    """The folder, made where it is missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Put a JSON document in the place of the one that may be there; readers see the one or the other.

    Raises:
        OSError: The disk refuses it.
    """
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{new_id()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            file.write(orjson.dumps(dict(document)))
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_document(path: Path) -> dict[str, Any] | None:
    """A JSON document; None: it is not there, or is none."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None


def take_lock(path: Path) -> int:
    """Hold a lock of one's own until `drop_lock`, or until this process is gone, however it ends."""
    private_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    fcntl.flock(handle, fcntl.LOCK_EX)  # waits at most for a process that only checks the lock
    return handle


def drop_lock(handle: int) -> None:
    """Let go of a lock."""
    os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
    return False
