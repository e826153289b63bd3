"""The calls about objects of the bucket: put, get, list, head, delete. Each function is one route.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), files on their way (see upload.py,
download.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from os import PathLike
from pathlib import Path
from typing import NoReturn

from lakehouse.client.answers import ListedObject, ObjectPage, StoredObject
from lakehouse.client.call import Call, nothing, path_of, query_of, read_json
from lakehouse.client.problems import LakehouseInputError

_STORAGE = ("v1", "storage")
_BYTES = "application/octet-stream"
# The bytes as they are stored: nothing on the way may compress them.
_PLAIN = {"Accept-Encoding": "identity"}


def put_object(
    key: str, source: str | PathLike[str] | bytes, *, if_match: str | None = None, if_absent: bool = False
) -> Call[StoredObject]:
    """Write an object whole; it shows when it is complete and not before. A file streams from disk, whatever its size.

    Args:
        key: Under `landing/` or `files/`.
        source: Path of a file, or the bytes themselves.
        if_match: Only over the object with this `etag`.
        if_absent: Only where nothing is.

    Raises:
        LakehouseApiError: 412 when the condition does not hold, 413 for too much, 403 for another key.
        LakehouseInputError: Both conditions.
        OSError: The file cannot be read.
    """
    if if_match is not None and if_absent:
        raise LakehouseInputError("if_match and if_absent exclude each other")
    headers = {"If-None-Match": "*"} if if_absent else _condition(if_match)
    body = source if isinstance(source, bytes) else None
    return Call(
        "PUT",
        _path(key),
        read_json,
        body=body,
        content_type=_BYTES,
        file=None if isinstance(source, bytes) else Path(source),
        is_form=False,
        headers=headers,
        # A repeated conditional write would answer 412 although the first one succeeded.
        is_repeatable=not headers,
        has_deadline=False,
    )


def get_object(key: str, *, start: int = 0, length: int | None = None, if_match: str | None = None) -> Call[bytes]:
    """Read an object, or a range of it, into memory; `download` takes any size to a file.

    Args:
        key: Of the object.
        start: First byte, from 0.
        length: Most bytes, 1 or more; default: all that follow.
        if_match: Only the object with this `etag`.

    Raises:
        LakehouseApiError: 404 when there is none, 412 when it is another one, 416 when it ends before `start`.
        LakehouseInputError: No such range.
    """
    if start < 0 or (length is not None and length < 1):
        raise LakehouseInputError(f"start must be 0 or more and length 1 or more, not {start} and {length}")
    headers = _PLAIN | _condition(if_match)
    if start or length is not None:
        headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
    return Call("GET", _path(key), bytes, headers=headers)


def open_object(key: str, *, if_match: str | None = None) -> Call[ListedObject]:
    """The same as a stream that the clients write to a file; the result is that of `head_object`."""
    headers = _PLAIN | _condition(if_match)
    return Call("GET", _path(key), _no_body, read_headers=_listed(key), headers=headers)


def head_object(key: str) -> Call[ListedObject]:
    """Read size, `etag` and time of an object.

    Raises:
        LakehouseApiError: 404 when there is none.
    """
    return Call("HEAD", _path(key), _no_body, read_headers=_listed(key), headers=_PLAIN)


def list_objects(prefix: str = "", *, limit: int = 1000, start_after: str = "") -> Call[ObjectPage]:
    """List objects in the store's order, a page of up to 10,000 at a time.

    Args:
        prefix: Only keys that start so; without the scope `pii` it must be in `files/`.
        limit: Most of them.
        start_after: `next` of the page before.
    """
    params = query_of(prefix=prefix or None, limit=limit, start_after=start_after or None)
    return Call("GET", path_of(*_STORAGE), read_json, params=params)


def delete_object(key: str, *, if_match: str | None = None) -> Call[None]:
    """Delete an object; one that is not there is no error.

    Args:
        key: Under `landing/` or `files/`.
        if_match: Only the object with this `etag`.

    Raises:
        LakehouseApiError: 412 when it is another one, 404 when `if_match` names one and there is none, 403 for
            another key.
    """
    headers = _condition(if_match)
    return Call("DELETE", _path(key), nothing, headers=headers, is_repeatable=not headers)


def _path(key: str) -> str:
    """Slashes stay as they are: some proxies refuse encoded ones."""
    return path_of(*_STORAGE, *key.split("/"))


def _condition(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"If-Match": f'"{etag}"'}


def _listed(key: str) -> Callable[[Mapping[str, str]], ListedObject]:
    def read(headers: Mapping[str, str]) -> ListedObject:
        modified = parsedate_to_datetime(headers["last-modified"])
        return {
            "key": key,
            "size": int(headers["content-length"]),
            "etag": headers["etag"].removeprefix("W/").strip('"'),
            "modified_at": modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    return read


def _no_body(_: bytes) -> NoReturn:
    raise NotImplementedError  # `read_headers` gives the result
