"""The memory of an API as fold-back and retraction see it.

Belongs here: entries as calls. Not here: which entries (see lakehouse/distillation/fold_back.py, retraction:
lakehouse/adapters/memory_erasure.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.catalog.manifest import parse_utc
from lakehouse.client.problems import LakehouseApiError, LakehouseConnectionError
from lakehouse.distillation.fold_back import TAG, FoldEntry, content_of
from lakehouse.errors import Unavailable

if TYPE_CHECKING:
    from lakehouse.client.answers import PathwayWritten
    from lakehouse.client.sync_client import Client

_REFUSED = frozenset({400, 413, 422})
_NOT_FOUND = 404
RETRACTED = "what it speaks of was retracted"
_CLOCKS_DIFFER = timedelta(seconds=30)


class ClientMemory:
    """`Memory` over a client.

    Args:
        client: Its token needs the scope `write`.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def record(self, entries: Sequence[FoldEntry]) -> list[str | None]:
        """See `Memory`."""
        records = [
            {
                "query": entry.task,
                "answer_id": entry.answer_id,
                "answer_corpus": entry.answer_corpus or None,
                "score": entry.score,
                "tags": entry.tags,
                "key": entry.entry_id,
            }
            for entry in entries
        ]
        with _expecting():
            return [one.get("playbook_id") for one in self._client.playbook.bulk(records)]

    def add(self, entry: FoldEntry, *, since: datetime) -> tuple[str, bool] | None:
        """See `Memory`."""
        is_own = False
        put: PathwayWritten | None = None
        with _expecting(*_REFUSED):
            written = self._client.pathway.add(content_of(entry), tags=entry.tags)
            while written["uid"] is not None and written["retired"]:
                # A search has just given this token a retired trace of that content, so the API takes the add for a
                # repetition of it; a key of its own makes it a new trace.
                key = f"{TAG}:{entry.entry_id}:{written['uid']}"
                written = self._client.pathway.add(content_of(entry), tags=entry.tags, key=key)
                is_own = True
            put = written
        if put is None or put["uid"] is None:
            return None
        return put["uid"], is_own or put["added"] or _was_put_since(put, entry, since)

    def retire(self, uid: str, reason: str) -> None:
        """See `Memory`."""
        with _expecting(_NOT_FOUND):
            self._client.pathway.retire(uid, reason)

    def forget(self, spoken: Mapping[str, Sequence[str]]) -> int:
        """Take traces (`pathways`) and entries (`playbooks`) out of searches, whoever put them there; gives how many.

        Raises:
            Unavailable: The API cannot be reached; doing it again goes on from here.
        """
        ids = spoken.get("pathways", ())
        return sum(map(self._retire_served, ids)) + sum(map(self._delete_entry, spoken.get("playbooks", ())))

    def _retire_served(self, uid: str) -> bool:
        with _expecting(_NOT_FOUND):
            if not self._client.pathway.get(uid)["retired"]:
                self._client.pathway.retire(uid, RETRACTED)
                return True
        return False

    def _delete_entry(self, playbook_id: str) -> bool:
        with _expecting(_NOT_FOUND):
            self._client.playbook.delete(playbook_id)
            return True
        return False


def _was_put_since(trace: Mapping[str, Any], entry: FoldEntry, since: datetime) -> bool:
    is_named = f"run:{entry.run_id}"[:256] in trace["tags"]
    return is_named and parse_utc(trace["created_at"]) >= since - _CLOCKS_DIFFER


@contextmanager
def _expecting(*statuses: int) -> Iterator[None]:
    """Pass over refusals with these statuses, and turn every other failure of the client into `Unavailable`."""
    try:
        yield
    except (LakehouseApiError, LakehouseConnectionError) as error:
        if isinstance(error, LakehouseApiError) and error.status in statuses:
            return
        reason = f"the API did not take what is folded back: {error}; try again when it serves"
        raise Unavailable(reason, retry_after_s=10) from None
