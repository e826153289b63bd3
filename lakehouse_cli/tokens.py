"""The token: made on the first start, found again by every command.

Belongs here: making the file `<data_dir>/token`. Not here: which token wins (see lakehouse/client/installation.py),
checking tokens (see lakehouse_api).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping

from lakehouse.client.installation import find_token, token_file
from lakehouse.settings import Settings


def require_token(settings: Settings, environ: Mapping[str, str]) -> str:
    """The token, made (mode 0600) when there is none yet."""
    found = find_token(settings, environ)
    if found is not None:
        return found
    path = token_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".token.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
    try:
        # The first of two racing starters wins.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    return require_token(settings, environ)
