"""Signs of life of a build of a corpus, so that one that waits for it knows whether it still lives.

While a build writes, the object `lance/<corpus>/builds/<part>.json` changes every few seconds; it goes when the build
ends, however it ends. A build that was killed leaves it as it is.

Belongs here: the object. Not here: who waits, and what then (see corpus_builder.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.retrieval.live_table import TABLES
from lakehouse.storage.objects import ObjectStore

FORMAT_VERSION = 1
EVERY_S = 5.0


def heartbeat_key(table: str, part: str) -> str:
    """Where the build of a part of a corpus gives its signs of life."""
    return f"{TABLES}{table}/builds/{part}.json"


def last_heartbeat(objects: ObjectStore, table: str, part: str) -> str | None:
    """Something that is another with every sign of life; None where no build is under way.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    info = objects.head(heartbeat_key(table, part))
    return None if info is None else info.etag


@contextmanager
def heartbeat(objects: ObjectStore, table: str, part: str, *, op_id: str) -> Iterator[None]:
    """Give signs of life while the block runs; a store that does not answer meanwhile disturbs nothing.

    Args:
        objects: The bucket.
        table: The corpus.
        part: Its part.
        op_id: The build.
    """
    key, is_over = heartbeat_key(table, part), threading.Event()

    def beat() -> None:
        said = {"format_version": FORMAT_VERSION, "op_id": op_id, "at": format_utc(utc_now())}
        with suppress(LakehouseError):
            objects.put(key, orjson.dumps(said), content_type="application/json")

    def go_on() -> None:
        while not is_over.wait(EVERY_S):
            beat()

    beat()
    thread = threading.Thread(target=go_on, name="build-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        with suppress(LakehouseError, orjson.JSONDecodeError):
            _remove(objects, key, op_id)


def _remove(objects: ObjectStore, key: str, op_id: str) -> None:
    """Take the object away, unless the build that overtook this one has written it."""
    with suppress(NotFound):
        if orjson.loads(objects.get(key).body).get("op_id") == op_id:
            objects.delete(key)
