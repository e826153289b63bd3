"""The memory of an API as fold-back and retraction see it.

Belongs here: entries as calls. Not here: which entries (see lakehouse/distillation/fold_back.py, retraction:
lakehouse/adapters/memory_erasure.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.catalog.manifest import parse_utc
from lakehouse.client.problems import LakehouseApiError, LakehouseConnectionError
from lakehouse.distillation.fold_back import TAG, FoldEntry, content_of
from lakehouse.errors import Unavailable

if TYPE_CHECKING:
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
        try:
            return [one.get("playbook_id") for one in self._client.playbook.bulk(records)]
        except (LakehouseApiError, LakehouseConnectionError) as error:
            raise _unavailable(error) from None

    def add(self, entry: FoldEntry, *, since: datetime) -> tuple[str, bool] | None:
        """See `Memory`."""
        is_own = False
        try:
            written = self._client.pathway.add(content_of(entry), tags=entry.tags)
            while written["uid"] is not None and written["retired"]:
                # A search has given it to this token a moment ago, so it counts as come back, though it is retired.
                key = f"{TAG}:{entry.entry_id}:{written['uid']}"
                written = self._client.pathway.add(content_of(entry), tags=entry.tags, key=key)
                is_own = True
        except LakehouseApiError as error:
            if error.status in _REFUSED:
                return None
            raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None
        if written["uid"] is None:
            return None
        return written["uid"], is_own or written["added"] or _was_put_since(written, entry, since)

    def retire(self, uid: str, reason: str) -> None:
        """See `Memory`."""
        try:
            self._client.pathway.retire(uid, reason)
        except LakehouseApiError as error:
            if error.status != _NOT_FOUND:
                raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None

    def forget(self, spoken: Mapping[str, Sequence[str]]) -> int:
        """Take traces (`pathways`) and entries (`playbooks`) out of searches, whoever put them there; gives how many.

        Raises:
            Unavailable: The API cannot be reached; doing it again goes on from here.
        """
        ids = spoken.get("pathways", ())
        return sum(map(self._retire_served, ids)) + sum(map(self._delete_entry, spoken.get("playbooks", ())))

    def _retire_served(self, uid: str) -> bool:
        try:
            if self._client.pathway.get(uid)["retired"]:
                return False
            self._client.pathway.retire(uid, RETRACTED)
        except LakehouseApiError as error:
            if error.status == _NOT_FOUND:
                return False
            raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None
        return True

    def _delete_entry(self, playbook_id: str) -> bool:
        try:
            self._client.playbook.delete(playbook_id)
        except LakehouseApiError as error:
            if error.status == _NOT_FOUND:
                return False
            raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None
        return True


def _was_put_since(trace: Mapping[str, Any], entry: FoldEntry, since: datetime) -> bool:
    is_named = f"run:{entry.run_id}"[:256] in trace["tags"]
    return is_named and parse_utc(trace["created_at"]) >= since - _CLOCKS_DIFFER


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the API did not take what is folded back: {error}; try again when it serves", retry_after_s=10)
