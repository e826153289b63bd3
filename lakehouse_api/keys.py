"""Object keys as they stand in a URL, and who may touch which.

Belongs here: decoding and the prefixes that tokens may read. Not here: the key policy (see lakehouse/storage/keys.py).
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from lakehouse.errors import BadInput, Forbidden
from lakehouse.storage.keys import WRITABLE_PREFIXES, check_key, is_user_writable
from lakehouse_api.auth import Principal

OPEN_PREFIX = "files/"
_ROUTE = b"/v1/storage/"


class KeyConvertor(Convertor[str]):
    """Matches the rest of the path, line breaks included, so that the key policy can refuse these by name."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("key", KeyConvertor())


async def key_of(request: Request) -> str:
    """The key in the path, decoded once from the bytes on the wire, so that nothing has normalised it.

    Raises:
        BadInput: It is no UTF-8 or breaks the key policy; the rule is named.
    """
    raw = unquote_to_bytes(request.scope["raw_path"])
    _, _, encoded = raw.partition(_ROUTE)
    try:
        key = encoded.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput("the key is refused: a key must be valid UTF-8", rule="a key must be valid UTF-8") from None
    return check_key(key)


def check_readable(key: str, principal: Principal) -> None:
    """Without the scope `pii` only users' own files can be read: all else may hold rows as they came.

    Raises:
        Forbidden: Naming the scope.
    """
    if not key.startswith(OPEN_PREFIX) and not principal.has_pii:
        raise Forbidden(f"without the scope 'pii' only keys under {OPEN_PREFIX} can be read or listed", scope="pii")


def check_writable(key: str) -> None:
    """Users write under `landing/` and `files/`; the rest is the platform's, known or unknown.

    Raises:
        Forbidden: Naming the prefixes.
    """
    if not is_user_writable(key):
        raise Forbidden(f"{key!r} cannot be written or deleted; keys under {' and '.join(WRITABLE_PREFIXES)} can")
