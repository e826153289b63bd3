"""The memory of an API as fold-back sees it.

Belongs here: entries as calls. Not here: which entries (see lakehouse/distillation/fold_back.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse.client.problems import LakehouseApiError, LakehouseConnectionError
from lakehouse.distillation.fold_back import FoldEntry, content_of
from lakehouse.errors import Unavailable

if TYPE_CHECKING:
    from lakehouse.client.sync_client import Client

_REFUSED = frozenset({400, 413, 422})
_NOT_FOUND = 404


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

    def add(self, entry: FoldEntry) -> tuple[str, bool] | None:
        """See `Memory`."""
        try:
            written = self._client.pathway.add(content_of(entry), tags=entry.tags)
        except LakehouseApiError as error:
            if error.status in _REFUSED:
                return None
            raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None
        return None if written["uid"] is None else (written["uid"], written["added"])

    def retire(self, uid: str, reason: str) -> None:
        """See `Memory`."""
        try:
            self._client.pathway.retire(uid, reason)
        except LakehouseApiError as error:
            if error.status != _NOT_FOUND:
                raise _unavailable(error) from None
        except LakehouseConnectionError as error:
            raise _unavailable(error) from None


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the API did not take what is folded back: {error}; try again when it serves", retry_after_s=10)
