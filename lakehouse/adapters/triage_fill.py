"""Filling the triage queue: items that need a person go in, the most urgent first; those that no longer do are removed.

Filling it again changes nothing. Items beyond `triage_max_open` stay out until there is room, and are counted; an open
item gives its place to a more urgent one, and comes again when there is room.
Decisions that were interrupted before they were in the run log are finished here.

Belongs here: the order of things, the counts. Not here: what asks (see triage_sources.py), keeping items (see
triage_queue.py).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from lakehouse.adapters.triage_queue import TriageQueue
from lakehouse.catalog.manifest import format_utc
from lakehouse.triage.decision import is_interrupted, line_of, refreshed, withdraw
from lakehouse.triage.item import ACTIVE, About, Item, State

STREAM = "reviews"
KEPT = timedelta(days=90)
"""So long what was decided is in the queue's own list."""
# Items about these are withdrawn when nothing asks for them. Those about reviews stay: an old review asks no more, but
# nobody has decided it.
_WITHDRAWN: frozenset[About] = frozenset({"run", "pii", "drift"})


@dataclass(frozen=True, slots=True)
class FillReport:
    """What a filling did.

    Attributes:
        asked: How many things ask for a person.
        added: New items, by kind.
        updated: Items that wait and whose reasons have changed.
        known: How many of them wait already, or were decided.
        withdrawn: Items that nothing asks for any more.
        left_out: Less urgent ones that there was no room for, those that gave up their place among them.
        finished: Decisions that had been interrupted.
        waiting: How many wait now.
    """

    asked: int
    added: Mapping[str, int] = field(default_factory=dict)
    updated: int = 0
    known: int = 0
    withdrawn: int = 0
    left_out: int = 0
    finished: int = 0
    waiting: int = 0


class TriageFiller:
    """Fills one queue.

    Args:
        queue: The queue.
        append: Writes a line of a stream of the run log, durably.
        most_open: Items that wait at the most.
    """

    def __init__(
        self, queue: TriageQueue, append: Callable[[str, Mapping[str, Any]], object], *, most_open: int
    ) -> None:
        self._queue = queue
        self._append = append
        self._most_open = most_open

    def fill(self, asks: Iterable[Item], now: datetime, *, is_dry: bool = False) -> FillReport:
        """Bring the queue up to date.

        Args:
            asks: Everything that asks for a person.
            now: The time.
            is_dry: Only count what would be done.

        Raises:
            StoreUnavailable: The store does not answer; what was done is done, and filling it again goes on.
        """
        finished = 0 if is_dry else self._finish_interrupted(now)
        waiting = {item.item_id: item for item in self._queue.items() if item.is_active}
        decided = self._queue.decided_ids()
        sorted_asks = _Sorted(waiting, decided)
        urgent = heapq.nsmallest(self._most_open, sorted_asks.new(asks), key=_urgency)
        seen = sorted_asks.seen
        updated = sum(self._update(waiting[item_id], item, is_dry=is_dry) for item_id, item in seen.items())
        gone = [item for item in waiting.values() if item.item_id not in seen and item.subject.about in _WITHDRAWN]
        withdrawn = sum(self._withdraw(item, is_dry=is_dry) for item in gone)
        room = max(0, self._most_open - len(waiting) + withdrawn)
        made = self._make_room(urgent[room:], waiting, seen, is_dry=is_dry)
        added: Counter[str] = Counter()
        for item in urgent[: room + made]:
            if is_dry or self._queue.add(replace(item, created_at=format_utc(now))):
                added[item.kind] += 1
        if not is_dry:
            for item_id, decided_at in decided.items():
                # Decided items that still ask are remembered; otherwise they would come back and be decided again.
                if decided_at < now - KEPT and item_id not in sorted_asks.decided:
                    self._queue.forget(item_id)
        return FillReport(
            asked=sorted_asks.asked,
            added=dict(sorted(added.items())),
            updated=updated,
            known=len(seen) - made + len(sorted_asks.decided),
            withdrawn=withdrawn,
            left_out=sorted_asks.fresh - min(room, len(urgent)),
            finished=finished,
            waiting=len(waiting) - withdrawn - made + added.total(),
        )

    def _make_room(
        self, urgent: Sequence[Item], waiting: Mapping[str, Item], seen: Mapping[str, Item], *, is_dry: bool
    ) -> int:
        """Take open items out, the least urgent first, for others that are more urgent; gives how many.

        Args:
            urgent: What has no place yet, the most urgent first.
            waiting: Items that wait, by id.
            seen: Those of them that still ask, as they ask now.
        """
        idle = (one for item_id, one in seen.items() if waiting[item_id].state == "open")
        least = sorted((one for one in idle if one.subject.about in _WITHDRAWN), key=_urgency, reverse=True)
        pairs = takewhile(lambda pair: pair[0].priority > pair[1].priority, zip(urgent, least, strict=False))
        return sum(self._withdraw(one, is_dry=is_dry, states=("open",)) for _, one in pairs)

    def _finish_interrupted(self, now: datetime) -> int:
        done = 0
        for item in self._queue.items():
            if is_interrupted(item, now):
                self._append(STREAM, line_of(item))
            elif item.state != "withdrawn":
                continue
            self._queue.finish(item)
            done += 1
        return done

    def _update(self, item: Item, asks: Item, *, is_dry: bool) -> bool:
        if refreshed(item, asks) is item:
            return False
        if not is_dry:
            self._queue.change(item.item_id, lambda now: refreshed(now, asks) if now.is_active else now)
        return True

    def _withdraw(self, item: Item, *, is_dry: bool, states: Container[State] = ACTIVE) -> bool:
        if is_dry:
            return True
        after = self._queue.change(item.item_id, lambda now: withdraw(now) if now.state in states else now)
        if after.state == "withdrawn":
            self._queue.finish(after)
        return not after.is_active


class _Sorted:
    """What asks, sorted on its way: what waits already, what was decided, what is new.

    Args:
        waiting: Items that wait, by id.
        decided: Ids of what was decided.
    """

    def __init__(self, waiting: Container[str], decided: Container[str]) -> None:
        self._waiting = waiting
        self._decided = decided
        self._met: set[str] = set()
        self.asked = 0
        self.fresh = 0
        self.seen: dict[str, Item] = {}
        self.decided: set[str] = set()

    def new(self, asks: Iterable[Item]) -> Iterator[Item]:
        """Those that are new, each once: several builds may refuse one run."""
        for item in asks:
            item_id = item.item_id
            if item.subject.about == "pii":
                if item_id in self._met:
                    continue
                self._met.add(item_id)
            self.asked += 1
            if item_id in self._waiting:
                self.seen[item_id] = item
            elif item_id in self._decided:
                self.decided.add(item_id)
            else:
                self.fresh += 1
                yield item


def _urgency(item: Item) -> tuple[int, int, str]:
    """The most urgent first, then the newest day."""
    return -item.priority, -int(str(item.subject.detail.get("dt", "0")).replace("-", "")), item.item_id
