"""Types of settings: numbers with their bounds, lists, tokens.

Belongs here: types that several settings share. Not here: the settings (see settings.py, settings_retrieval.py).
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

MIB = 1 << 20
GIB = 1 << 30


def strip_token(value: Any) -> Any:
    """A token without the space around it: a file or a shell leaves a line end, which no header can carry.

    Raises:
        ValueError: Nothing is left.
    """
    if not isinstance(value, str):
        return value
    if not value.strip(", \t\r\n"):
        raise ValueError("is blank; write the token there, or leave it out")
    return value.strip()


def check_url(value: str) -> str:
    """A URL of a server, without a slash at its end.

    Raises:
        ValueError: It is none, or carries credentials.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port is not None and parts.port == 0):
        raise ValueError("must be an http:// or https:// URL with a host")
    if parts.username or parts.password:
        raise ValueError("must not carry credentials; use the key settings")
    return value.rstrip("/")


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Hours = Annotated[float, Field(ge=0, le=876_000, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1, le=1 << 50)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(gt=0, le=100)]
CommaList = Annotated[tuple[str, ...], NoDecode]
Url = Annotated[str, AfterValidator(check_url)]
Token = Annotated[SecretStr, BeforeValidator(strip_token)]
