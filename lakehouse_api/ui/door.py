"""The door of the pages: who a browser is, by the cookie of its session.

Belongs here: paths, the cookie, the principal behind it. Not here: signing (see sessions.py), hosts and origins, which
are checked before (see lakehouse_api/middleware_door.py).
"""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie

from starlette.types import Scope

from lakehouse.errors import Forbidden, Unauthorized
from lakehouse_api.auth import Authenticator, Principal
from lakehouse_api.request_headers import header
from lakehouse_api.ui.paths import is_open_page
from lakehouse_api.ui.sessions import COOKIE, Session, Sessions

SESSION, IS_NEW = "ui_session", "ui_session_is_new"


class PageDoor:
    """Lets browsers in.

    Args:
        authenticator: The same that knows bearer tokens.
        sessions: Reads cookies.
    """

    def __init__(self, authenticator: Authenticator, sessions: Sessions) -> None:
        self._authenticator = authenticator
        self._sessions = sessions

    def enter(self, scope: Scope, address: str) -> Principal | None:
        """Who asks for a page; the session stands in the request's state then.

        Args:
            scope: Of the request.
            address: The client's.

        Returns:
            None for what needs nobody: the login form, and files that it is made of.

        Raises:
            Unauthorized: No session, or one that is over.
            Forbidden: The client's address, or the session's token, is not let in.
        """
        session = self._session(scope)
        if self._authenticator.is_open:
            principal = self._authenticator.authenticate(None, address)
            if session is None or not session.is_anonymous:
                session = self._sessions.open(b"", now_s=time.time())
                scope["state"][IS_NEW] = True
            scope["state"][SESSION] = session
            return principal
        if is_open_page(scope):
            return None
        if session is None or session.is_anonymous:
            raise Unauthorized("log in: there is no session, or it is over")
        principal = self._authenticator.authenticate_digest(session.token_sha256, address)
        scope["state"][SESSION] = session
        return principal

    def require_csrf(self, session: Session | None, given: str) -> None:
        """Refuse a change that does not come from a page of this session.

        Raises:
            Forbidden: The secret is missing or another one.
        """
        if session is None or not self._sessions.is_csrf(session, given):
            raise Forbidden("this form is of an older session: load the page again, then send it once more")

    def _session(self, scope: Scope) -> Session | None:
        try:
            cookies = SimpleCookie(header(scope, b"cookie") or "")
        except CookieError:
            return None
        found = cookies.get(COOKIE)
        return None if found is None else self._sessions.read(found.value, now_s=time.time())
