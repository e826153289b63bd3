"""What the commands on reviews work with, made of the settings.

Belongs here: constructors, and opening and closing around one command. Not here: options and output (see
review_commands.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from lakehouse.errors import BadInput
from lakehouse_cli.evidence_parts import EvidenceParts

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.review_chat import ReviewChat
    from lakehouse.adapters.review_run import Reviews
    from lakehouse.adapters.review_store import ReviewStore

T = TypeVar("T")


class ReviewParts(EvidenceParts):
    """The parts of this installation's reviews; each is made when it is first asked for."""

    @cached_property
    def store(self) -> ReviewStore:
        """The reviews in it."""
        from lakehouse.adapters.review_store import ReviewStore

        return ReviewStore(self.objects)

    def names(self, given: str) -> tuple[str, ...]:
        """The reviewers that an option names, with commas, or else the settings.

        Raises:
            BadInput: Neither names one.
        """
        names = tuple(name.strip() for name in given.split(",") if name.strip()) or self.settings.review_reviewers
        if not names:
            raise BadInput("nobody is to review: name models with --reviewers or LAKEHOUSE_REVIEW_REVIEWERS")
        return names

    @contextmanager
    def reviews(self) -> Iterator[Reviews]:
        """What makes and changes reviews, with its run log; lines are shipped at the end."""
        from lakehouse.adapters.review_run import Reviews

        with self._events() as events:
            yield Reviews(self.store, events)

    def ask(self, reviewers: Sequence[str], work: Callable[[Reviews, ReviewChat], Awaitable[T]], *, actor: str) -> T:
        """Do what asks models.

        Raises:
            NotFound, BadInput: A reviewer cannot be asked; nobody was.
        """
        from lakehouse.adapters.review_chat import ReviewChat
        from lakehouse.adapters.review_run import Reviews

        with self._events() as events:

            async def run() -> T:
                chat = ReviewChat(self.settings, events, actor=actor)
                try:
                    chat.check(reviewers)
                    return await work(Reviews(self.store, events), chat)
                finally:
                    await chat.close()

            return asyncio.run(run())

    @contextmanager
    def _events(self) -> Iterator[EventLog]:
        from lakehouse.adapters.event_log import EventLog

        events = EventLog(self.settings, self.objects)
        events.start()
        try:
            yield events
        finally:
            events.stop()
