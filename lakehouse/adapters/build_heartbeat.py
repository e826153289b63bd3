"""Signs of life of a build of a corpus, so that one that waits for it knows whether it still lives.

While a build writes, the object `lance/<corpus>/builds/<part>.json` changes every few seconds; it goes when the build
ends, however it ends. A build that was killed leaves it as it is. One that was overtaken learns it with its next sign,
gives none any more, and leaves the object to the one that overtook it.

Belongs here: the object. Not here: who waits, and what then (see corpus_builder.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, NotFound, Superseded
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
def heartbeat(
    objects: ObjectStore, table: str, part: str, *, op_id: str, claim: Callable[[], None], every_s: float = EVERY_S
) -> Iterator[Callable[[], None]]:
    """Give signs of life while the block runs; a store that does not answer meanwhile disturbs nothing.

    Args:
        objects: The bucket.
        table: The corpus.
        part: Its part.
        op_id: The build.
        claim: Raises `Superseded` when another build has begun since, `NotFound` when the table was dropped.
        every_s: Seconds between two signs.

    Yields:
        What raises, at once and without asking the store, what `claim` raised beside the last sign.
    """
    key, is_over, ends = heartbeat_key(table, part), threading.Event(), list[LakehouseError]()

    def beat() -> None:
        said = {"format_version": FORMAT_VERSION, "op_id": op_id, "at": format_utc(utc_now())}
        with suppress(LakehouseError):
            objects.put(key, orjson.dumps(said), content_type="application/json")

    def go_on() -> None:
        while not is_over.wait(every_s):
            try:
                claim()
            except (Superseded, NotFound) as error:
                ends.append(error)
                return
            except LakehouseError:
                pass  # it is asked again with the next sign, and before each commit
            beat()

    def require_claim() -> None:
        if ends:
            raise ends[0]

    beat()
    thread = threading.Thread(target=go_on, name=f"build-heartbeat-{op_id}", daemon=True)
    thread.start()
    try:
        yield require_claim
    except Superseded as error:
        ends.append(error)
        raise
    finally:
        is_over.set()
        thread.join()
        if not ends:
            with suppress(LakehouseError, orjson.JSONDecodeError):
                _remove(objects, key, op_id)


def _remove(objects: ObjectStore, key: str, op_id: str) -> None:
    """Take the object away, unless the build that overtook this one has written it."""
    with suppress(NotFound):
        if orjson.loads(objects.get(key).body).get("op_id") == op_id:
            objects.delete(key)
