"""The most frequent S3 calls without boto3, for endpoints of plain HTTP on the local network, as the embedded store.

A call through boto3 takes about 3 ms of CPU, five times as much as the request itself. That is nothing for a data file,
and most of the cost of a small durable write. Endpoints behind TLS or a proxy are left to boto3, which knows their
certificates and rules.

Belongs here: sending, repeating, reading answers. Not here: signatures (see s3_signature.py), bytes on a connection
(see s3_wire.py), all other calls (see objects.py).
"""

from __future__ import annotations

import http.client
import time
import urllib.request
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree

from lakehouse.adapters.listing import list_after, list_folders
from lakehouse.adapters.objects import IS_REFUSED, MARK, S3Location, S3ObjectStore, refusal
from lakehouse.adapters.s3_signature import Signer
from lakehouse.adapters.s3_wire import Answer, Wire
from lakehouse.clock import new_id
from lakehouse.errors import StoreUnavailable
from lakehouse.jitter import jitter_s
from lakehouse.storage.objects import Listing, ObjectInfo, StoredObject

# Stores use S3's XML namespace in a listing, another one, or none.
_NAMESPACE = "{*}"
_MAX_PAUSE_S = 4.0
_MAX_IDLE = 32
# What passes although its status does not say so, as boto3 has it; S3 says the first of these of a body that lingers.
_PASSING_CODES = frozenset(
    {
        "RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "SlowDown", "Throttling",
        "ThrottlingException", "RequestLimitExceeded", "BandwidthLimitExceeded",
    }
)  # fmt: skip
_PASSING = (408, 429)
_ELSEWHERE = (301, 302, 307, 400)


def open_objects(location: S3Location) -> S3ObjectStore:
    """The `ObjectStore` of a location for many small calls: direct where that is safe, else through boto3."""
    return DirectObjects(location) if _is_direct(location.endpoint) else S3ObjectStore(location)


def _is_direct(endpoint: str | None) -> bool:
    parts = urlsplit(endpoint or "")
    has_proxy = "http" in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname or "")
    return parts.scheme == "http" and not parts.path.strip("/") and not has_proxy


class DirectObjects(S3ObjectStore):
    """`S3ObjectStore` with direct `put` (of bytes), `get`, `list` and `folders`; safe to share between threads."""

    def __init__(self, location: S3Location) -> None:
        super().__init__(location)
        self._host = urlsplit(location.endpoint or "").netloc
        self._signer = Signer(location, self._host)
        self._idle: deque[Wire] = deque(maxlen=_MAX_IDLE)
        weakref.finalize(self, _close_all, self._idle)

    def get(self, key: str) -> StoredObject:
        answer = self._read(key)
        headers = answer.headers
        modified_at = parsedate_to_datetime(headers["last-modified"])
        return StoredObject(ObjectInfo(key, len(answer.body), _etag(headers), modified_at), answer.body)

    def put(
        self,
        key: str,
        body: bytes | Path,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        if isinstance(body, Path):
            return super().put(key, body, if_match=if_match, if_absent=if_absent, content_type=content_type)
        headers = {"content-type": content_type}
        if if_absent:
            headers["if-none-match"] = "*"
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        mark = new_id() if if_absent or if_match is not None else None
        if mark is not None:
            headers[f"x-amz-meta-{MARK}"] = mark
        answer, is_repeated = self._told("PUT", key, headers=headers, body=body)
        if answer.status in IS_REFUSED and is_repeated and mark is not None:
            there = self._written_with(mark, key)
            if there is not None:
                return there
        _check(answer, key)
        return ObjectInfo(key, len(body), _etag(answer.headers), parsedate_to_datetime(answer.headers["date"]))

    def list(self, prefix: str, *, limit: int = 1000, start_after: str = "") -> Listing:
        found = list_after(self, self.bucket, prefix, limit + 1, start_after)  # type: ignore[arg-type]
        kept = tuple(found[:limit])
        return Listing(kept, kept[-1].key if len(found) > limit else None)

    def folders(self, prefix: str, *, after: str = "") -> Sequence[str]:
        return list_folders(self, self.bucket, prefix, after)  # type: ignore[arg-type]

    def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
        """One page as boto3's client gives it, so far as lakehouse/adapters/listing.py reads it."""
        query = {"list-type": "2", "encoding-type": "url"}
        names = {
            "Prefix": "prefix", "MaxKeys": "max-keys", "StartAfter": "start-after", "Delimiter": "delimiter",
            "ContinuationToken": "continuation-token",
        }  # fmt: skip
        query |= {names[name]: str(value) for name, value in parameters.items() if name in names}
        return _page(self._read("", query=query, about=parameters["Prefix"]).body)

    def _read(self, key: str, *, query: Mapping[str, str] | None = None, about: str | None = None) -> Answer:
        """What the store gives; refusals raise as everywhere."""
        answer, _ = self._told("GET", key, query=query, about=about)
        _check(answer, key if about is None else about)
        return answer

    def _told(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        about: str | None = None,
    ) -> tuple[Answer, bool]:
        """Send one request, again while the store fails.

        Returns:
            The final answer, and whether an earlier try may have succeeded although its answer was lost.
        """
        name = key if about is None else about
        path = f"/{self.bucket}/{quote(key, safe='/-_.~')}" if key else f"/{self.bucket}"
        asked = "&".join(f"{k}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
        failure: Exception | None = None
        for attempt in range(self.location.max_attempts):
            if attempt:
                time.sleep(jitter_s(0, min(2.0 ** (attempt - 1), _MAX_PAUSE_S)))  # jitter
            try:
                answer, is_second = self._send_signed(method, path, asked, headers or {}, body)
            except (OSError, http.client.HTTPException) as error:
                failure = StoreUnavailable(
                    f"the object store did not answer for {name!r} ({type(error).__name__})", key=name, retry_after_s=5
                )
                continue
            if answer.status < 300 or not _may_pass(answer):
                return answer, is_second or attempt > 0
            failure = refusal(answer.status, _said(answer, "Code"), name)
        raise failure or StoreUnavailable(f"the object store was not asked for {name!r}", key=name)

    def _send_signed(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Answer, bool]:
        """Send a request, once more where the store names another region for the bucket, as boto3 does."""
        target = f"{path}?{query}" if query else path
        told = self._send(method, target, self._signer.headers(method, path, query, headers, body), body)
        if told[0].status in _ELSEWHERE and self._signer.learn(_region(told[0])):
            return self._send(method, target, self._signer.headers(method, path, query, headers, body), body)
        return told

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[Answer, bool]:
        """The answer, and whether the request was sent a second time for it."""
        kept = self._take_idle()
        if kept is None:
            return self._exchange(self._connect(), method, target, headers, body), False
        try:
            return self._exchange(kept, method, target, headers, body), False
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server has closed an idle connection, which is no failure of the store.
            return self._exchange(self._connect(), method, target, headers, body), True

    def _take_idle(self) -> Wire | None:
        """A kept connection; those that the server has closed or written to meanwhile are closed."""
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread has taken the last one
                break
            if kept.is_silent():
                return kept
            kept.close()
        return None

    def _connect(self) -> Wire:
        waits = {"connect_timeout_s": self.location.connect_timeout_s, "read_timeout_s": self.location.read_timeout_s}
        return Wire(self._host, **waits)

    def _exchange(self, wire: Wire, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            answer = wire.ask(method, target, headers, body)
        except BaseException:
            wire.close()
            raise
        if not wire.can_be_kept or len(self._idle) == _MAX_IDLE:
            wire.close()
        else:
            self._idle.append(wire)
        return answer


def _close_all(connections: deque[Wire]) -> None:
    while connections:
        connections.pop().close()


def _etag(headers: Mapping[str, str]) -> str:
    return headers["etag"].strip('"')


def _check(answer: Answer, key: str) -> None:
    if answer.status >= 300:
        raise refusal(answer.status, _said(answer, "Code"), key)


def _may_pass(answer: Answer) -> bool:
    return answer.status >= 500 or answer.status in _PASSING or _said(answer, "Code") in _PASSING_CODES


def _region(answer: Answer) -> str:
    """The region that a refusal names; empty when there is none."""
    return answer.headers.get("x-amz-bucket-region") or _said(answer, "Region")


def _said(answer: Answer, name: str) -> str:
    """What an error document says under a name; empty when there is none."""
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - from our own store
    except ElementTree.ParseError:
        return ""
    return root.findtext(f"{_NAMESPACE}{name}") or ""


def _page(body: bytes) -> dict[str, Any]:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - from our own store
    except ElementTree.ParseError:
        raise StoreUnavailable("the object store answered a listing with what is none", retry_after_s=5) from None
    is_encoded = root.findtext(f"{_NAMESPACE}EncodingType") == "url"

    def text(element: ElementTree.Element, name: str) -> str:
        return element.findtext(f"{_NAMESPACE}{name}") or ""

    def named(element: ElementTree.Element, name: str) -> str:
        return unquote_plus(text(element, name)) if is_encoded else text(element, name)

    is_truncated = text(root, "IsTruncated") == "true"
    if is_truncated and not text(root, "NextContinuationToken"):  # without it the same page would come for ever
        raise StoreUnavailable("the object store answered with part of a listing that does not go on", retry_after_s=5)
    return {
        "Contents": [
            {
                "Key": named(item, "Key"),
                "Size": int(text(item, "Size")),
                "ETag": text(item, "ETag"),
                "LastModified": datetime.fromisoformat(text(item, "LastModified")),
            }
            for item in root.iterfind(f"{_NAMESPACE}Contents")
        ],
        "CommonPrefixes": [{"Prefix": named(i, "Prefix")} for i in root.iterfind(f"{_NAMESPACE}CommonPrefixes")],
        "IsTruncated": is_truncated,
        "NextContinuationToken": text(root, "NextContinuationToken"),
    }
