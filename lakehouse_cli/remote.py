"""A service that a command is told of: its address, and the token it is to be shown.

The token of this installation goes to this installation alone; another service gets the one given for it. No token is
ever part of a message, and neither is an address that holds a password.

Belongs here: reading addresses and tokens of options. Not here: asking (see parity_calls.py, load_commands.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from lakehouse.client.installation import api_url, find_token
from lakehouse.errors import BadInput
from lakehouse.settings import Settings, process_environ

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Remote:
    """A service.

    Args:
        url: Base URL without a slash at the end; routes are below it.
        token: Bearer token, None to send none.
        is_own: Whether it is the API of this installation.
    """

    url: str
    token: str | None = field(repr=False)
    is_own: bool

    @property
    def is_on_loopback(self) -> bool:
        """Whether it is reached without leaving this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK


def find_remote(url: str | None, token: str | None, *, settings: Settings, option: str) -> Remote:
    """The service that options name.

    Args:
        url: The address; None: this installation's API.
        token: Its token; None or empty: this installation's where it is its API, else none.
        settings: Of this installation.
        option: What the address's option is called in errors.

    Raises:
        BadInput: The address is no HTTP address, holds a password, a query or a fragment; or the token cannot be sent.
    """
    own = api_url(settings) + settings.root_path
    given = own if url is None else _checked(url, option)
    is_own = _place(given) == _place(own)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise BadInput(f"the token for {option} has characters that no token has (is there a line break in it?)")
    return Remote(given, token or (find_token(settings, process_environ()) if is_own else None), is_own)


def _checked(url: str, option: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadInput(f"{option} is not an address; give one such as http://127.0.0.1:8000") from None
    if "@" in parts.netloc:
        raise BadInput(f"{option} must not hold a user or a password; give a token by its own option")
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or not _is_plain(url):
        raise BadInput(f"{option} must be an address such as http://127.0.0.1:8000, not {url!r}")
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _place(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of an address, with one name for all names of this machine."""
    parts: SplitResult = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    return parts.scheme, "127.0.0.1" if host in _LOOPBACK else host, port, parts.path.rstrip("/")
