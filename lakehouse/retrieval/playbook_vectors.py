"""The vectors of playbook entries on their way into the index: those of its embedder as they came, others made anew.

An entry is acknowledged before its vector is looked at. An entry whose vector is of another embedder, or cannot be
read, is therefore in the book already, and searches find it once its query has been embedded.

Belongs here: `EntryVectors`. Not here: entries (see playbook.py), the index (see lakehouse/adapters/entry_index.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.errors import LakehouseError
from lakehouse.retrieval.playbook_codec import decode_vectors

if TYPE_CHECKING:
    from lakehouse.retrieval.playbook_index import Embed, EntryIndex

_TEXTS_AT_ONCE = 256
_log = structlog.get_logger("lakehouse.playbooks")


class EntryVectors:
    """Puts vectors of entries into an index; for the one thread that applies.

    Args:
        index: Takes them.
        embedder: Name of the embedder that the index stands on.
        embed: Embeds queries that came without a vector of it.
    """

    def __init__(self, index: EntryIndex, *, embedder: str, embed: Embed) -> None:
        self._index = index
        self._embedder = embedder
        self._embed = embed
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> int:
        """How many entries are not in the index, because their queries could not be embedded yet."""
        return len(self._missing)

    def store(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Put the vectors of new entries into the index.

        Args:
            payloads: Of their records, by the entries' ids.
        """
        own = {
            i: str(p["vector"]) for i, p in payloads.items() if p.get("embedder") == self._embedder and p.get("vector")
        }
        if own and not self._put(list(own), list(own.values())):  # one of them cannot be read: try each by itself
            own = {i: text for i, text in own.items() if self._put([i], [text])}
        self.forget(own)
        if others := {i: str(p["query"]) for i, p in payloads.items() if i not in own}:
            self._missing |= others
            self.catch_up()

    def forget(self, ids: Iterable[str]) -> None:
        """Stop trying to embed the queries of these entries."""
        if self._missing:
            for playbook_id in ids:
                self._missing.pop(playbook_id, None)

    def catch_up(self) -> list[str]:
        """Embed the queries of entries that are not in the index, as far as the embedder answers; gives their ids."""
        found: list[str] = []
        waiting = list(self._missing)
        for first in range(0, len(waiting), _TEXTS_AT_ONCE):
            some = waiting[first : first + _TEXTS_AT_ONCE]
            try:
                self._index.put(some, self._embed([self._missing[i] for i in some]))
            # The log has acknowledged these entries, so no failure of the embedder may keep them out of the book.
            except Exception as error:
                _log.warning("playbooks_not_searchable_yet", entries=len(self._missing), reason=str(error))
                break
            self.forget(some)
            found += some
        return found

    def _put(self, ids: Sequence[str], texts: Sequence[str]) -> bool:
        try:
            self._index.put(ids, decode_vectors(texts))
        except (ValueError, LakehouseError):  # no base64, another dimension
            return False
        return True
