"""Who is asking: tokens, scopes, client addresses (CONTRACTS.md section 10).

Scopes: `read`, `write`, `admin`, `pii`. `admin` includes `read` and `write`; `write` does not include `read` (a
token for dropping files need not see any), and nothing but `pii` itself includes `pii`.

Belongs here: the rules. Not here: headers of a request (see lakehouse_api/middleware_door.py).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from lakehouse.errors import Forbidden, Unauthorized
from lakehouse.settings import Settings, SettingsError

SCOPES = frozenset({"read", "write", "admin", "pii"})
_IMPLIED = {"admin": frozenset({"read", "write"})}
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from: the token's name, what it may do, and the client's address."""

    name: str
    scopes: frozenset[str]
    address: str

    @property
    def has_pii(self) -> bool:
        """True when personal data may be seen unmasked."""
        return "pii" in self.scopes

    def require(self, scope: str) -> None:
        """Raise `Forbidden` unless this principal has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"token {self.name!r} lacks the scope {scope!r}", scope=scope)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token by the SHA-256 of its text; the text itself is not kept."""

    name: str
    sha256: bytes
    scopes: frozenset[str]


class Authenticator:
    """Decides from the `Authorization` header and the client's address.

    Args:
        tokens: All accepted tokens; none: open, and then to loopback clients alone.
        networks: Where clients may be; empty: anywhere.
    """

    def __init__(self, tokens: Sequence[KnownToken], networks: Sequence[Network] = ()) -> None:
        self._tokens = tuple(tokens)
        self._networks = tuple(networks)

    @property
    def is_open(self) -> bool:
        """True when no token is set at all."""
        return not self._tokens

    def authenticate(self, authorization: str | None, address: str) -> Principal:
        """Say who is asking.

        Raises:
            Unauthorized: No bearer token, or an unknown one.
            Forbidden: The address is not allowed.
        """
        if self.is_open:
            if not is_loopback(address):
                raise Forbidden(
                    "without a token the API answers to this machine alone; set AUTH_TOKEN to open it to others"
                )
            self._check_address(address)
            return Principal("anonymous", SCOPES, address)
        token = self._find(authorization)
        self._check_address(address)
        return Principal(token.name, token.scopes, address)

    def authenticate_digest(self, sha256: bytes, address: str) -> Principal:
        """Say who is asking by the SHA-256 of a token that was shown before.

        Raises:
            Unauthorized: There is no such token, or no longer.
            Forbidden: The address is not allowed.
        """
        token = self._known(sha256)
        self._check_address(address)
        return Principal(token.name, token.scopes, address)

    def _find(self, authorization: str | None) -> KnownToken:
        if not authorization:
            raise Unauthorized("a token is needed: send the header 'Authorization: Bearer <token>'")
        kind, _, text = authorization.partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise Unauthorized("the Authorization header must be 'Bearer <token>'")
        return self._known(hashlib.sha256(text.strip().encode("utf-8", "surrogateescape")).digest())

    def _known(self, digest: bytes) -> KnownToken:
        found = None
        for token in self._tokens:  # all of them: the time taken must not say which one matched
            if hmac.compare_digest(token.sha256, digest):
                found = token
        if found is None:
            raise Unauthorized("the token is not known")
        return found

    def _check_address(self, address: str) -> None:
        if self._networks and not is_within(address, self._networks):
            raise Forbidden(f"address {address!r} is not in LAKEHOUSE_ALLOWED_CIDRS")


def make_authenticator(settings: Settings) -> Authenticator:
    """The authenticator that these settings describe.

    Raises:
        SettingsError: The tokens file is damaged.
    """
    tokens: list[KnownToken] = []
    if settings.auth_token is not None:
        tokens.append(_with_all_scopes("primary", settings.auth_token.get_secret_value()))
    if settings.auth_secondary_tokens is not None:
        texts = settings.auth_secondary_tokens.get_secret_value().split(",")
        tokens += [
            _with_all_scopes(f"secondary-{number}", text.strip())
            for number, text in enumerate(texts, 1)
            if text.strip()
        ]
    if settings.tokens_file is not None:
        tokens += read_tokens_file(settings.tokens_file)
    return Authenticator(tokens, parse_networks(settings.allowed_cidrs))


def check_bind(settings: Settings, authenticator: Authenticator) -> None:
    """Refuse to bind anything but loopback without a token.

    Raises:
        SettingsError: Naming the remedy.
    """
    # An empty host binds every address.
    if authenticator.is_open and not (settings.api_host and is_loopback(settings.api_host)):
        raise SettingsError(
            f"LAKEHOUSE_API_HOST is {settings.api_host!r}, which others can reach, and no token is set:"
            " set AUTH_TOKEN (or LAKEHOUSE_TOKENS_FILE), or bind 127.0.0.1"
        )


def read_tokens_file(path: Path) -> list[KnownToken]:
    """Read `[{name, token_sha256, scopes}]`.

    Raises:
        SettingsError: Naming the entry and what is wrong with it.
    """
    try:
        entries = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"LAKEHOUSE_TOKENS_FILE: {path} is not readable JSON ({type(error).__name__})") from None
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"LAKEHOUSE_TOKENS_FILE: {path} must hold a list of {{name, token_sha256, scopes}}")
    tokens = [_parse_entry(entry, number) for number, entry in enumerate(entries, 1)]
    if len({t.name for t in tokens}) < len(tokens) or len({t.sha256 for t in tokens}) < len(tokens):
        raise SettingsError("LAKEHOUSE_TOKENS_FILE: two entries share a name or a token")
    return tokens


def _parse_entry(entry: Any, number: int) -> KnownToken:
    def refuse(reason: str) -> SettingsError:
        return SettingsError(f"LAKEHOUSE_TOKENS_FILE: entry {number} {reason}")

    if not isinstance(entry, dict) or set(entry) != {"name", "token_sha256", "scopes"}:
        raise refuse("must be an object of name, token_sha256 and scopes")
    name, sha256, scopes = entry["name"], entry["token_sha256"], entry["scopes"]
    if not isinstance(name, str) or not name.strip():
        raise refuse("has no name")
    if not isinstance(sha256, str) or _SHA256_HEX.fullmatch(sha256) is None:
        raise refuse(f"({name}): token_sha256 must be 64 lower-case hex digits")
    if not isinstance(scopes, list) or not scopes or not all(isinstance(s, str) for s in scopes):
        raise refuse(f"({name}): scopes must be a list of {', '.join(sorted(SCOPES))}")
    if unknown := set(scopes) - SCOPES:
        raise refuse(f"({name}): unknown scope {', '.join(sorted(unknown))}")
    return KnownToken(name, bytes.fromhex(sha256), with_implied(scopes))


def with_implied(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes together with those they include."""
    given = frozenset(scopes)
    return given.union(*(_IMPLIED.get(scope, frozenset()) for scope in given))


def _with_all_scopes(name: str, text: str) -> KnownToken:
    return KnownToken(name, hashlib.sha256(text.encode()).digest(), SCOPES)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses or CIDRs as networks; the settings have checked them."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


@lru_cache(maxsize=4096)
def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """True when an address lies in one of the networks; False for what is no address.

    Asked for every request, mostly of the same few addresses.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # a dual-stack socket shows IPv4 clients so
    return any(parsed in network for network in networks)


def is_loopback(host: str) -> bool:
    """True for this machine; an empty address is that of a Unix socket."""
    if host in ("", "localhost"):
        return True
    return is_within(host.strip("[]"), _LOOPBACK)


_LOOPBACK = parse_networks(("127.0.0.0/8", "::1/128"))
