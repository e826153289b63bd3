"""Objects: the `ObjectStore` on any S3 endpoint, through boto3.

Belongs here: S3 calls with deadlines, and the translation of their errors. Not here: key policy, manifests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.listing import list_after, list_folders
from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError, NotFound, PreconditionFailed, StoreUnavailable
from lakehouse.storage.objects import Listing, ObjectInfo, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Metadata with a mark of its own for each conditional write, which tells two writes of the same bytes apart.
MARK = "lakehouse-write"
IS_REFUSED = (409, 412)
_ELSEWHERE_STATUS = (301, 302, 307, 308)
_ELSEWHERE_CODES = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_WRONG_KEY = "correct LAKEHOUSE_S3_ACCESS_KEY_ID and LAKEHOUSE_S3_SECRET_ACCESS_KEY"
_REMEDIES = {
    "InvalidAccessKeyId": _WRONG_KEY,
    "RequestTimeTooSkewed": "the clocks of this machine and of the store differ by more than it allows: set them right",
    # Host and path are signed: a proxy that strips a sub-path spoils all signatures, or those of some keys alone.
    "SignatureDoesNotMatch": f"{_WRONG_KEY}, or let a proxy before the store pass host and path on as they come",
}
_making = threading.Lock()  # sessions are not safe to share while a client is made; clients are


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where and as whom; `endpoint` None means AWS, `ca_file` the machine's certificates. Its repr shows no secrets."""

    endpoint: str | None
    bucket: str
    region: str
    access_key_id: str | None
    secret_access_key: str | None
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    max_attempts: int = 3
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"S3Location(bucket={self.bucket!r})"


class S3ObjectStore:
    """`ObjectStore` over boto3; safe to share between threads (boto3 clients are)."""

    def __init__(self, location: S3Location) -> None:
        self.location = location
        self._client = _make_client(location)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.location.bucket

    def ensure_bucket(self) -> None:
        """Make the bucket when it is missing."""
        with _translated("bucket"):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except self._client.exceptions.ClientError as error:
                if _status(error) != 404:
                    raise
                self._client.create_bucket(Bucket=self.bucket)

    def get(self, key: str) -> StoredObject:
        with _translated(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            body = answer["Body"].read()
        return StoredObject(_info(key, answer, size=len(body)), body)

    @contextmanager
    def open(
        self, key: str, *, span: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Iterator[_S3Reader]:
        part: dict[str, Any] = {} if span is None else {"Range": f"bytes={span[0]}-{span[1]}"}
        if if_match is not None:
            part["IfMatch"] = f'"{if_match}"'
        with _translated(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key, **part)
        stream = answer["Body"]
        try:
            yield _S3Reader(_info(key, answer, size=answer["ContentLength"]), stream)
        finally:
            stream.close()

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with _translated(key):
                answer = self._client.head_object(Bucket=self.bucket, Key=key)
        except NotFound:
            return None
        return _info(key, answer, size=answer["ContentLength"])

    def put(
        self,
        key: str,
        body: bytes | Path,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        if if_match is not None:
            condition["IfMatch"] = f'"{if_match}"'
        mark = new_id()
        if condition:
            condition["Metadata"] = {MARK: mark}
        call = {"Bucket": self.bucket, "Key": key, "ContentType": content_type, **condition}
        with _translated(key):
            try:
                if isinstance(body, bytes):
                    size = len(body)
                    answer = self._client.put_object(Body=body, **call)
                else:
                    size = body.stat().st_size
                    with body.open("rb") as stream:
                        answer = self._client.put_object(Body=stream, **call)
            except self._client.exceptions.ClientError as error:
                if condition and _status(error) in IS_REFUSED and _is_repeated(error):
                    there = self._written_with(mark, key)
                    if there is not None:
                        return there
                raise
        written_at = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return ObjectInfo(key, size, answer["ETag"].strip('"'), written_at)

    def _written_with(self, mark: str, key: str) -> ObjectInfo | None:
        """What a conditional write put under a key before it met itself: its answer was lost, and it was sent again."""
        try:
            with _translated(key):
                answer = self._client.head_object(Bucket=self.bucket, Key=key)
        except NotFound:
            return None
        return _info(key, answer, size=answer["ContentLength"]) if answer["Metadata"].get(MARK) == mark else None

    def delete(self, key: str) -> None:
        with _translated(key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def list(self, prefix: str, *, limit: int = 1000, start_after: str = "") -> Listing:
        with _translated(prefix):
            found = list_after(self._client, self.bucket, prefix, limit + 1, start_after)
        kept = tuple(found[:limit])
        return Listing(kept, kept[-1].key if len(found) > limit else None)

    def folders(self, prefix: str, *, after: str = "") -> Sequence[str]:
        with _translated(prefix):
            return list_folders(self._client, self.bucket, prefix, after)

    def copy(self, source: str, target: str) -> ObjectInfo:
        with _translated(source):
            # S3 accepts a copy of an object onto itself only with REPLACE.
            self._client.copy_object(
                Bucket=self.bucket,
                Key=target,
                CopySource={"Bucket": self.bucket, "Key": source},
                MetadataDirective="REPLACE",
            )
        info = self.head(target)
        if info is None:
            raise StoreUnavailable(f"the store lost {target!r} right after it was copied")
        return info

    def ping(self) -> None:
        """Ask the store for its bucket; raises `StoreUnavailable` when there is no answer."""
        with _translated("bucket"):
            self._client.head_bucket(Bucket=self.bucket)


class _S3Reader:
    def __init__(self, info: ObjectInfo, stream: Any) -> None:
        self.info = info
        self._stream = stream

    def chunks(self, size_bytes: int = 1 << 20) -> Iterator[bytes]:
        with _translated(self.info.key):
            yield from self._stream.iter_chunks(size_bytes)


def _make_client(location: S3Location) -> S3Client:
    from botocore.config import Config

    config = Config(
        connect_timeout=location.connect_timeout_s,
        read_timeout=location.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": location.max_attempts},
        max_pool_connections=32,
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        # Only the checksums that S3 demands: not every compatible store takes others, and keys hold the SHA-256.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    with _making:
        client: S3Client = _session().client(
            "s3",
            endpoint_url=location.endpoint,
            region_name=location.region,
            aws_access_key_id=location.access_key_id,
            aws_secret_access_key=location.secret_access_key,
            verify=None if location.ca_file is None else str(location.ca_file),
            config=config,
        )
    return client


@lru_cache(maxsize=1)
def _session() -> Any:
    """The session that all clients are made from: it reads what S3 is once, which takes 0.1 s."""
    import boto3

    return boto3.session.Session()


def _info(key: str, answer: Any, *, size: int) -> ObjectInfo:
    return ObjectInfo(key, size, answer["ETag"].strip('"'), answer["LastModified"])


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_repeated(error: Any) -> bool:
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn botocore's errors into ours; neither endpoint nor credential gets into a message."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError

    try:
        yield
    except LakehouseError:
        raise
    except ClientError as error:
        raise refusal(_status(error), str(error.response.get("Error", {}).get("Code", "")), key) from None
    except SSLError as error:
        raise StoreUnavailable(_untrusted(str(error), key), key=key, retry_after_s=5) from None
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise StoreUnavailable(
            f"the object store did not answer for {key!r} ({type(error).__name__})", key=key, retry_after_s=5
        ) from None


def _untrusted(message: str, key: str) -> str:
    """What failed of TLS, and what to do about it."""
    if "CERTIFICATE_VERIFY_FAILED" not in message:
        return f"the object store did not answer for {key!r} (TLS failed); see that LAKEHOUSE_S3_ENDPOINT speaks https"
    reason = message.rpartition("certificate verify failed: ")[2].partition(" (_ssl")[0]
    return (
        f"the object store's certificate is not trusted ({reason}), so {key!r} was not asked for; name the PEM file of"
        " who signed it in LAKEHOUSE_S3_CA_FILE"
    )


def refusal(status: int, code: str, key: str) -> LakehouseError:
    """What a store's refusal means: its HTTP status and S3 error code as one of our errors."""
    if status == 404 or code in ("NoSuchKey", "NoSuchBucket", "404"):
        return NotFound(f"no object {key!r}", key=key)
    if status in IS_REFUSED:
        return PreconditionFailed(f"{key!r} was changed by somebody else", key=key)
    said = f"the object store refused {key!r}: {code or status}"
    if status in _ELSEWHERE_STATUS or code in _ELSEWHERE_CODES:
        said += "; its bucket is elsewhere: set LAKEHOUSE_S3_ENDPOINT and LAKEHOUSE_S3_REGION to where it is"
    elif code in _REMEDIES:
        said += f"; {_REMEDIES[code]}"
    elif status == HTTPStatus.FORBIDDEN and code in ("", str(status)):  # of a HEAD, whose answer has no body
        said += (
            f"; it does not say why: {_WRONG_KEY} or their rights, or set this machine's clock and the store's right"
        )
    elif code == "InternalError":
        said += "; see whether its disk is full, else its log"
    return StoreUnavailable(said, key=key, retry_after_s=5)
