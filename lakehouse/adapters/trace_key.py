"""The key that signs trace ids: from the settings, or made once in the data folder.

Belongs here: this file. Not here: signing (see lakehouse/retrieval/trace.py).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from lakehouse.settings import Settings

_BYTES = 32


def load_or_make_trace_key(settings: Settings) -> bytes:
    """The key of this installation; two processes that start at once agree on one.

    Raises:
        OSError: The data folder cannot be written.
    """
    if settings.trace_key is not None:
        return settings.trace_key.get_secret_value().encode()
    path = settings.data_dir / "trace.key"
    if not path.is_file():
        _make(path)
    return bytes.fromhex(path.read_text().strip())


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{os.getpid()}")
    own.write_text(secrets.token_hex(_BYTES))
    own.chmod(0o600)
    try:
        os.link(own, path)  # the first one wins, whole
    except FileExistsError:
        pass
    finally:
        own.unlink()
