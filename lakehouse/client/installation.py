"""The API of this machine's own installation: where it listens, which token it takes.

Belongs here: the address and the token that settings lead to. Not here: making a token (see lakehouse_cli/tokens.py),
checking one (see lakehouse_api).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import Forbidden

if TYPE_CHECKING:
    from lakehouse.settings import Settings


def api_url(settings: Settings) -> str:
    """Base URL of the API as this machine reaches it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api_host, settings.api_host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.api_port}"


def token_file(settings: Settings) -> Path:
    """Where the token made by `lakehouse up` lies."""
    return settings.data_dir / "token"


def find_token(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The token to present to the API: the setting, else the environment variable, else the file; None without any.

    Raises:
        Forbidden: The file is empty, or others can read it.
    """
    if settings.auth_token is not None:
        return settings.auth_token.get_secret_value()
    if environ.get(settings.auth_token_env):
        return environ[settings.auth_token_env]
    return _read(token_file(settings))


def find_installation() -> tuple[str, str | None]:
    """URL and token of the installation that the environment and `.env` of this folder describe."""
    from lakehouse.settings import load_settings, process_environ

    settings = load_settings()
    return api_url(settings) + settings.root_path, find_token(settings, process_environ())


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
