"""Signatures of direct calls to S3: who asks, and in which region.

Belongs here: AWS Signature Version 4 of a request that goes out in one piece. Not here: where keys come from (see
s3_keys.py), sending (see s3_direct.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource

_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")


class Signer:
    """Signs requests to one endpoint; safe to share between threads.

    Args:
        location: Keys, and the region until the store names another.
        host: As requests name it.
    """

    def __init__(self, location: S3Location, host: str) -> None:
        self._keys = KeySource(location)
        self._host = host
        self._known: tuple[tuple[str, str, str], bytes] | None = None
        self.region = location.region

    def learn(self, region: str) -> bool:
        """Sign for the region that the store has named from now on; False where it is that already, or none."""
        if region == self.region or _REGION.fullmatch(region) is None:
            return False
        self.region = region
        return True

    def headers(self, method: str, path: str, query: str, given: Mapping[str, str], body: bytes) -> dict[str, str]:
        """The headers with a signature. Source: AWS Signature Version 4, single chunk.

        Args:
            method: `GET` or `PUT`.
            path: Encoded.
            query: Encoded, sorted by name.
            given: Further headers, their names in small letters.
            body: The whole of it.
        """
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {**given, "host": self._host, "x-amz-content-sha256": digest, "x-amz-date": at}
        if method == "PUT":
            headers["content-length"] = str(len(body))
        keys = self._keys.current()
        if keys.access_key_id is None or keys.secret_access_key is None:
            return headers
        if keys.session_token is not None:
            headers["x-amz-security-token"] = keys.session_token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        region = self.region  # read once, as another thread may change it
        scope = f"{at[:8]}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key(at[:8], region, keys.secret_access_key), text.encode(), hashlib.sha256)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope}, SignedHeaders={names},"
            f" Signature={signature.hexdigest()}"
        )
        return headers

    def _key(self, day: str, region: str, secret: str) -> bytes:
        known = self._known
        if known is not None and known[0] == (day, region, secret):
            return known[1]
        key = f"AWS4{secret}".encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self._known = (day, region, secret), key
        return key
