"""Lance over the bucket: options for the store, one session per process, its errors as ours, deadlines.

Belongs here: opening and making datasets of files. Not here: what is written to them (see lance_files.py), which
version serves (see lance_table.py).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lakehouse.adapters.objects import S3Location
from lakehouse.errors import (
    BadInput,
    Conflict,
    InsufficientStorage,
    LakehouseError,
    NotFound,
    StoreUnavailable,
    Unavailable,
)
from lakehouse.settings import lend_certificates, process_environ

if TYPE_CHECKING:
    import pyarrow as pa

KEY_MARK = {"lance-schema:unenforced-primary-key": "true"}
"""Without this mark on the key's column, two merges at once that bring the same new key both insert it."""
ENVIRONMENT = {
    "LANCE_LOG": "error",
    # What a scan or a compaction may read ahead; with Lance's default of 2 GiB it takes half a gigabyte more.
    "LANCE_DEFAULT_IO_BUFFER_SIZE": str(128 << 20),
}
_METADATA_CACHE_BYTES = 64 << 20  # manifests and file footers
_T = TypeVar("_T")
_GONE = re.compile(r"Dataset at path .* was not found")
_RACE = re.compile(r"commit conflict|concurrent (?:commit|transaction|write)|too many concurrent", re.IGNORECASE)
_STORE = re.compile(r"Generic S3 error|error sending request|error decoding response|timed? ?out", re.IGNORECASE)
_ADDRESS = re.compile(r"\S+://\S+|(?<!\w)/(?:[\w.@+-]+/)+\S*")
_MAX_SHOWN = 300
_FULL = re.compile(r"out of memory|no space left|resources exhausted", re.IGNORECASE)


class BrokenFiles(LakehouseError):
    """The files of a table cannot be read as what they are; only their own table is affected."""

    title = "Broken table files"


class LanceEngine:
    """Opens the Lance datasets of one bucket.

    Args:
        location: The bucket, and keys that may write.
        index_cache_bytes: Memory for parts of Lance's own indexes.
    """

    def __init__(self, location: S3Location, *, index_cache_bytes: int = 256 << 20) -> None:
        self._location = location
        self._options = storage_options(location)
        if location.ca_file is not None:
            # Lance takes certificates from the real environment of the process alone, and looks when it first connects.
            lend_certificates(location.ca_file)
        self._caches = (index_cache_bytes, _METADATA_CACHE_BYTES)
        self._session: Any = None
        self._lock = threading.Lock()

    def open(self, uri: str, version: int | None = None) -> Any:
        """The dataset at a uri, at a version or at its newest.

        Raises:
            NotFound: No such files, or no such version any more.
            StoreUnavailable: The store does not answer in time.
        """
        lance = import_lance()
        session = self._shared_session(lance)
        url = self._url(uri)
        return self.bounded(
            uri,
            lambda: lance.dataset(url, version=version, storage_options=self._options, session=session),
        )

    def create(self, uri: str, schema: pa.Schema) -> Any:
        """A new dataset without rows.

        Raises:
            Conflict: There is one.
        """
        lance = import_lance()
        session = self._shared_session(lance)
        empty, url = schema.empty_table(), self._url(uri)
        return self.bounded(
            uri,
            lambda: lance.write_dataset(empty, url, mode="create", storage_options=self._options, session=session),
        )

    def bounded(self, uri: str, call: Callable[[], _T]) -> _T:
        """Run a call that reads only small objects, and give up on it when the store does not answer.

        Lance tries a listing six times, whatever its options say, so its own deadlines add up to minutes. A call
        that was given up ends by itself in its thread.
        """
        at = self._location
        outcome: list[tuple[_T | None, BaseException | None]] = []

        def run() -> None:
            try:
                outcome.append((call(), None))
            except BaseException as error:  # whatever it is, raised in the caller
                outcome.append((None, error))

        thread = threading.Thread(target=run, name="lance-call", daemon=True)
        thread.start()
        thread.join((at.connect_timeout_s + at.read_timeout_s) * at.max_attempts)
        if not outcome:
            raise StoreUnavailable(f"the object store did not answer for {uri!r} in time", key=uri, retry_after_s=5)
        value, error = outcome[0]
        if error is not None:
            with translated(uri):
                raise error
        return value  # type: ignore[return-value]

    def _url(self, uri: str) -> str:
        return f"s3://{self._location.bucket}/{uri}"

    def _shared_session(self, lance: Any) -> Any:
        with self._lock:
            if self._session is None:
                index, metadata = self._caches
                self._session = lance.Session(index_cache_size_bytes=index, metadata_cache_size_bytes=metadata)
            return self._session


def import_lance() -> Any:
    """Import `lance`, with the environment variables it reads set for this platform where they are not set already."""
    environ = process_environ()
    for name, value in ENVIRONMENT.items():
        # Lance reads them at import or first use, and from the real environment of the process.
        os.putenv(name, environ.get(name, value))
    import lance

    return lance


def storage_options(location: S3Location) -> dict[str, str]:
    """The location as Lance's object store takes it; without keys in it, Lance asks AWS's own chain and renews them."""
    options = {
        "region": location.region,
        "connect_timeout": f"{round(location.connect_timeout_s * 1000)}ms",
        "timeout": f"{round(location.read_timeout_s * 1000)}ms",
        "client_max_retries": str(min(1, location.max_attempts - 1)),
        "client_retry_timeout": str(max(1, round(location.read_timeout_s * location.max_attempts))),
    }
    if location.endpoint is not None:
        is_plain = location.endpoint.startswith("http://")
        options |= {
            "endpoint": location.endpoint,
            "allow_http": str(is_plain).lower(),
            "virtual_hosted_style_request": "false",
        }
    if location.access_key_id is not None and location.secret_access_key is not None:
        # All options are given, as Lance takes missing ones from environment variables, even from one called `TOKEN`.
        options |= {
            "access_key_id": location.access_key_id,
            "secret_access_key": location.secret_access_key,
            "session_token": "",
            "skip_signature": "false",
            "s3_express": "false",
        }
    return options


def keyed(schema: pa.Schema, key: str) -> pa.Schema:
    """The schema with the key's column marked as such.

    Raises:
        BadInput: There is no such column.
    """
    position = schema.get_field_index(key)
    if position < 0:
        raise BadInput(f"the key {key!r} is not a column of the table; its columns are {', '.join(schema.names)}")
    return schema.set(position, schema.field(position).with_nullable(False).with_metadata(KEY_MARK))


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn Lance's errors into ours; neither endpoint nor credential gets into a message."""
    try:
        yield
    except LakehouseError:
        raise
    except (OSError, ValueError, RuntimeError, NotImplementedError, MemoryError) as error:
        raise _translate(uri, error) from None


def _translate(uri: str, error: BaseException) -> LakehouseError:
    message = str(error)
    if "already exists" in message:
        return Conflict(f"files at {uri!r} are there already", uri=uri)
    if _RACE.search(message):
        return Unavailable(f"other writers of {uri!r} kept winning; try again", uri=uri, retry_after_s=5)
    if _FULL.search(message) or isinstance(error, MemoryError):
        return InsufficientStorage(f"the work on {uri!r} needs more memory or disk than there is", uri=uri)
    if _GONE.search(message):
        return NotFound(f"no files or no such version at {uri!r}", uri=uri)
    if _STORE.search(message):
        said = f"the object store failed for {uri!r}; see whether it answers, whether its disk is full, else its log"
        return StoreUnavailable(said, key=uri, retry_after_s=5)
    shown = _ADDRESS.sub("<address>", message)[:_MAX_SHOWN]
    return BrokenFiles(f"the files at {uri!r} cannot be used: {shown}", uri=uri)
