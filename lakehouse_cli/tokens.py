"""The token: made on the first start, found again by every command.

Belongs here: the file `<data_dir>/token`, which token wins. Not here: checking tokens (see lakehouse_api).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import Forbidden
from lakehouse.settings import Settings


def token_file(settings: Settings) -> Path:
    """Where the token made by `lakehouse up` lies."""
    return settings.data_dir / "token"


def find_token(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The token to present to the API: the setting, else the environment variable, else the file; None without any."""
    if settings.auth_token is not None:
        return settings.auth_token.get_secret_value()
    if environ.get(settings.auth_token_env):
        return environ[settings.auth_token_env]
    return _read(token_file(settings))


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


def _read(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise Forbidden(f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
    if not text:
        raise Forbidden(f"{path} is empty; delete it, then run: lakehouse down && lakehouse up")
    return text
