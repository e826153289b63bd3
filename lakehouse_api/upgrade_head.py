"""The head of a request that would rather go on in another protocol, without that wish.

Belongs here: writing it again. Not here: when that is due (see http_protocol.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import httptools


def without_upgrade(parser: httptools.HttpRequestParser, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head that a parser has just read, but for its `Upgrade`.

    Args:
        parser: Knows the method and the version.
        url: As it came.
        headers: By name in lower case, in their order.
    """
    version = parser.get_http_version().encode()
    lines = b"".join(b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade")
    return b"%b %b HTTP/%b\r\n%b\r\n" % (parser.get_method(), url, version, lines)
