"""The queue in the bucket: one object for each item that waits, each changed by compare-and-swap.

| key | holds |
| --- | --- |
| `audits/triage/items/<item_id>.json` | an item that waits, or is being decided |
| `audits/triage/decided/<item_id>.json` | one that was decided, without the text of an edit |

A decision is made in place, where compare-and-swap lets one person win; the item moves once the decision is in the run
log. So a decided item among the waiting ones was interrupted, and whoever comes next finishes it.

Belongs here: keys, reads, the swap, the move. Not here: what a change is (see lakehouse/triage/decision.py), what fills
the queue (see triage_fill.py).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import orjson

from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.errors import BadInput, NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.objects import ObjectInfo, ObjectStore, StoredObject, list_all
from lakehouse.triage.decision import logged
from lakehouse.triage.item import Item

PREFIX = "audits/triage/"
WAITING, DECIDED = f"{PREFIX}items/", f"{PREFIX}decided/"
_ID = re.compile(r"[0-9a-f]{32}")
_JSON = "application/json"
_DEADLINE_S = 20.0
_READERS = 8


class TriageQueue:
    """The queue of one bucket; any number of threads may use it.

    Items that were read are remembered by their ETag, so that a look at the queue costs a listing and what has changed.

    Args:
        store: The bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Item | None]] = {}
        self._lock = threading.Lock()

    def items(self, *, is_decided: bool = False) -> list[Item]:
        """The items that wait, or those that were decided, in their order; a damaged one is passed over.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        prefix = DECIDED if is_decided else WAITING
        there = {info.key: info for info in list_all(self._store, prefix)}
        with self._lock:
            before = dict(self._known)
        found = {key: before[key] for key, info in there.items() if key in before and before[key][0] == info.etag}
        # Only what is read goes to the threads: of ten thousand items their turns would take as long as the listing.
        with ThreadPoolExecutor(_READERS) as pool:
            found |= pool.map(self._read_anew, [info for key, info in there.items() if key not in found])
        with self._lock:
            self._known.update(found)
            for key in [key for key in self._known if key.startswith(prefix) and key not in there]:
                del self._known[key]
        items = (item for _, item in found.values() if item is not None)
        return sorted(items, key=lambda item: item.order)

    def get(self, item_id: str) -> Item:
        """An item, wherever it lies.

        Raises:
            NotFound: There is none.
            BadInput: It is no id.
            BrokenManifest: It is damaged.
        """
        found = self.find(item_id)
        if found is None:
            raise NotFound(
                f"there is no item {item_id} in the queue, or nothing asks for a person any more;"
                " GET /v1/triage lists those that wait",
                item_id=item_id,
            )
        return found

    def find(self, item_id: str) -> Item | None:
        """The same, None where there is none."""
        _check(item_id)
        for prefix in (WAITING, DECIDED, WAITING):  # it may be moved between two reads
            stored = self._stored(_key(prefix, item_id))
            if stored is not None:
                return _read(stored)
        return None

    def add(self, item: Item) -> bool:
        """Put a new item in; False where there is one, waiting or decided."""
        if self._store.head(_key(DECIDED, item.item_id)) is not None:
            return False
        try:
            self._store.put(_key(WAITING, item.item_id), _encode(item), if_absent=True, content_type=_JSON)
        except PreconditionFailed:
            return False
        return True

    def change(self, item_id: str, update: Callable[[Item], Item]) -> Item:
        """Change an item by compare-and-swap.

        Args:
            item_id: The item.
            update: Called with what is there, again where somebody else came first; what it raises goes through.

        Returns:
            The item now.

        Raises:
            NotFound: There is none.
            Unavailable: Others kept changing it.
        """
        _check(item_id)
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            stored = self._stored(_key(WAITING, item_id))
            if stored is None:
                return update(self.get(item_id))  # it is decided, so `update` only reports that
            before = _read(stored)
            after = update(before)
            if after is before:
                return before
            try:
                self._store.put(_key(WAITING, item_id), _encode(after), if_match=stored.info.etag, content_type=_JSON)
            except PreconditionFailed:
                continue
            return after
        raise Unavailable(f"others kept changing item {item_id}; try again", retry_after_s=2)

    def finish(self, item: Item) -> Item:
        """Move an item whose decision is in the run log; one that was withdrawn goes, and may come again."""
        if item.state == "decided":
            item = logged(item)
            self._store.put(_key(DECIDED, item.item_id), _encode(item), content_type=_JSON)
        self._store.delete(_key(WAITING, item.item_id))
        return item

    def decided_ids(self) -> dict[str, datetime]:
        """The ids of what was decided, each with when it was."""
        begin, end = len(DECIDED), -len(".json")
        return {info.key[begin:end]: info.modified_at for info in list_all(self._store, DECIDED)}

    def forget(self, item_id: str) -> None:
        """Remove what was decided long ago; the run log and evidence keep it."""
        self._store.delete(_key(DECIDED, item_id))

    def _read_anew(self, info: ObjectInfo) -> tuple[str, tuple[str, Item | None]]:
        """The key of an item with its ETag and the item; none where it is damaged, or gone since it was listed."""
        stored = self._stored(info.key)
        if stored is None:
            return info.key, ("", None)
        try:
            return info.key, (stored.info.etag, _read(stored))
        except BrokenManifest:
            return info.key, (stored.info.etag, None)

    def _stored(self, key: str) -> StoredObject | None:
        try:
            return self._store.get(key)
        except NotFound:
            return None


def page_of(items: Sequence[Item], *, limit: int, after: str | None) -> tuple[list[Item], str | None]:
    """A page of items in their order, and where the next one begins.

    Args:
        items: In order.
        limit: Most items.
        after: As the page before gave it; the item that it names need not be there any more.

    Raises:
        BadInput: It is none.
    """
    start = (0, "", "") if after is None else _cursor(after)
    rest = [item for item in items if after is None or item.order > start]
    page = rest[:limit]
    is_more = len(rest) > limit
    return page, f"{-page[-1].order[0]}_{page[-1].order[1]}_{page[-1].order[2]}" if is_more else None


def _cursor(after: str) -> tuple[int, str, str]:
    priority, _, rest = after.partition("_")
    created_at, _, item_id = rest.partition("_")
    if not priority.isdecimal() or len(priority) > 6 or not _ID.fullmatch(item_id):
        raise BadInput("after is not a place in the queue; send what `next` of the page before says", param="after")
    return -int(priority), created_at, item_id


def _check(item_id: str) -> None:
    if not _ID.fullmatch(item_id):
        raise BadInput(f"{item_id[:60]!r} is not an id of an item: it has 32 hex digits", param="item_id")


def _key(prefix: str, item_id: str) -> str:
    return f"{prefix}{item_id}.json"


def _read(stored: StoredObject) -> Item:
    key = stored.info.key
    try:
        document = orjson.loads(stored.body)
    except orjson.JSONDecodeError as error:
        raise BrokenManifest(f"{key!r} is not JSON ({error}); remove it, it is made anew", key=key) from None
    return Item.from_document(document, key=key)


def _encode(item: Item) -> bytes:
    return orjson.dumps(item.to_document(), option=orjson.OPT_APPEND_NEWLINE)
