"""Sessions of a browser: a signed cookie that stands for a token, and the secret that each change must bring along.

The cookie holds no token, only its SHA-256, which is what the platform keeps of tokens anyway: a token that is taken
away ends the sessions that were opened with it. Sessions outlive restarts; each process of an installation knows them.

Belongs here: making and reading the cookie, CSRF secrets. Not here: headers (see door.py), the form (see login.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

COOKIE = "lakehouse_session"
LIFETIME_S = 12 * 3600
_VERSION = "1"
_MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has shown a token; `token_sha256` is empty where no token is set at all."""

    id: str
    token_sha256: bytes
    expires_s: int

    @property
    def is_anonymous(self) -> bool:
        """True for a session of an installation without tokens."""
        return not self.token_sha256


class Sessions:
    """Makes and reads sessions.

    Args:
        key: The installation's; cookies that another one signed are not read.
    """

    def __init__(self, key: bytes) -> None:
        self._cookie_key = hmac.digest(key, b"lakehouse ui session", "sha256")
        self._csrf_key = hmac.digest(key, b"lakehouse ui csrf", "sha256")

    def open(self, token_sha256: bytes, *, now_s: float) -> Session:
        """A new session.

        Args:
            token_sha256: 32 bytes; empty where no token is set.
            now_s: Seconds since the epoch.
        """
        return Session(secrets.token_urlsafe(16), token_sha256, int(now_s) + LIFETIME_S)

    def cookie(self, session: Session) -> str:
        """The cookie's value."""
        body = f"{_VERSION}.{session.id}.{session.token_sha256.hex()}.{session.expires_s}"
        return f"{body}.{self._sign(body)}"

    def read(self, cookie: str, *, now_s: float) -> Session | None:
        """The session of a cookie; None when it was not signed here, or is over."""
        if len(cookie) > _MOST_CHARACTERS or not cookie.isascii():
            return None
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._sign(body), signature):
            return None
        _, name, digest, expires = body.split(".")
        session = Session(name, bytes.fromhex(digest), int(expires))
        return session if session.expires_s > now_s else None

    def csrf(self, session: Session) -> str:
        """What each change must bring along: a page from elsewhere cannot know it."""
        return _text(hmac.digest(self._csrf_key, session.id.encode(), "sha256"))

    def is_csrf(self, session: Session, given: str) -> bool:
        """True when a change brought what it must."""
        return given.isascii() and hmac.compare_digest(self.csrf(session), given)

    def _sign(self, body: str) -> str:
        return _text(hmac.digest(self._cookie_key, body.encode(), "sha256"))


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token's text, as the door compares it."""
    return hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
