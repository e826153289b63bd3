"""Reviewing a diff, and reviewing its fix: from the text to what is kept in the bucket and in the run log.

What reviewers said is in the run log before anything else is written: it was paid for, whatever happens then.

Belongs here: the order of things. Not here: rules (see lakehouse/review), where things lie (see review_store.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.review_store import ReviewStore
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.review.bundles import WARN_BYTES, Bundle, make_bundles
from lakehouse.review.diff import FileChange, parse_diff
from lakehouse.review.life import Change, KeptFinding, KeptFindings, person_says
from lakehouse.review.lines import line_of_change, lines_of, lines_of_second_pass
from lakehouse.review.panel import Answered, Asker, Said, ask_panel
from lakehouse.review.prompt import ask_for_second_pass
from lakehouse.review.review import Diff, Review
from lakehouse.review.second_pass import Judged, changes_of, read_judgements, to_judge

STREAM = "reviews"


@dataclass(frozen=True, slots=True)
class Cut:
    """How a diff is cut into bundles; see `make_bundles`."""

    most_bytes: int = WARN_BYTES
    is_split: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class ToReview:
    """A diff, read and cut."""

    diff: Diff
    files: tuple[FileChange, ...]
    bundles: tuple[Bundle, ...]

    @classmethod
    def of(cls, text: str, source: str, cut: Cut) -> ToReview:
        """Read and cut a diff.

        Raises:
            BadInput: It is none, or has no line that could be spoken of.
            TooLarge: A bundle is too large.
        """
        files = parse_diff(text)
        bundles = make_bundles(files, most_bytes=cut.most_bytes, is_split=cut.is_split, is_forced=cut.is_forced)
        if not bundles:
            raise BadInput(f"{source} changes no line of text: it renames, or changes files that are not text")
        body = text.encode("utf-8", "replace")
        return cls(Diff(source, hashlib.sha256(body).hexdigest(), len(body), len(files)), files, bundles)


@dataclass(frozen=True, slots=True)
class SecondPass:
    """What became of findings in a second pass.

    Attributes:
        pass_id: Its id.
        findings: As they stand now.
        judged: What was said of each.
        changed: Numbers of the findings whose state changed.
        why_not: By reviewer, why nothing of it counts.
    """

    pass_id: str
    findings: KeptFindings
    judged: tuple[Judged, ...]
    changed: tuple[int, ...]
    why_not: tuple[tuple[str, str], ...]


class Reviews:
    """Makes reviews for one bucket.

    Args:
        store: Where they are kept.
        events: Takes raw lines; it runs already.
        clock: The time now.
    """

    def __init__(self, store: ReviewStore, events: EventLog, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._events = events
        self._clock = clock

    async def review(
        self,
        asked: ToReview,
        reviewers: Sequence[str],
        asker: Asker,
        *,
        max_tokens: int,
        at_once: int,
        actor: str,
        about: str | None = None,
        on_answer: Callable[[Answered], None] = lambda _: None,
    ) -> Review:
        """Ask every reviewer about every bundle, and write down what they say; see `ask_panel`.

        Args:
            asked: The diff.
            reviewers: Models.
            asker: What asks them.
            max_tokens: Most tokens of an answer.
            at_once: So many questions at a time.
            actor: Who has it made.
            about: The run that made the diff, where one did.
            on_answer: Called with each answer as it comes.
        """
        answers = await ask_panel(
            asked.bundles, reviewers, asker, max_tokens=max_tokens, at_once=at_once, on_answer=on_answer
        )
        review = Review.of(
            answers, review_id=new_id(), created_at=self._clock(), diff=asked.diff, bundles=asked.bundles
        )
        for line in lines_of(review, about=about, actor=actor):
            await self._events.append(STREAM, line)
        return review

    def change(self, review_id: str, number: int, state: str, *, by: str, why: str) -> KeptFindings:
        """Set the state of a finding, as a person says; the same word of the same person again changes nothing.

        Raises:
            NotFound: There is no such review or finding.
            BadInput: The state is none, or somebody else has set it, or nobody says why.
            Unavailable, InsufficientStorage: The run log takes no line now.
        """
        self._events.require_room()  # a decision that cannot be logged must change nothing
        change = person_says(state, by=by, why=why, at=self._clock())

        def update(kept: KeptFindings) -> KeptFindings:
            return kept if kept.of(number).was_told(change) else kept.changed([number], change)

        after = self._store.change(review_id, update)
        finding = after.of(number)
        # Logged again if it was logged before, under the same run id: an earlier try may have been cut off in between.
        line = line_of_change(review_id, finding, finding.history[-1], version=len(finding.history))
        self._events.append_sync(STREAM, line)
        return after

    async def second_pass(
        self, review_id: str, fix: ToReview, reviewers: Sequence[str], asker: Asker, *, max_tokens: int
    ) -> SecondPass:
        """Ask models of other lineages whether a fix mends the findings of a review.

        Raises:
            NotFound: There is no such review.
            BadInput: None of the models may judge any of its findings.
        """
        kept = self._store.findings(review_id)
        heard: list[tuple[Judged, Said]] = []
        why_not: list[tuple[str, str]] = []
        for name, findings in to_judge(kept, reviewers).items():
            said_something = False
            why = "it may judge none of them: it is of the lineage that raised them" if not findings else ""
            for bundle, of_bundle in _by_bundle(findings, fix.bundles):
                try:
                    said = await asker.ask(name, ask_for_second_pass(_told(of_bundle), bundle), max_tokens=max_tokens)
                except LakehouseError as error:
                    why = error.detail
                    continue
                judged = read_judgements(said, of_bundle, reviewer=name)
                heard += [(one, said) for one in judged]
                said_something = said_something or bool(judged)
                why = why or "its answer judges none of the findings"
            if not said_something:
                why_not.append((name, why))
        pass_id = new_id()
        for line in lines_of_second_pass(review_id, pass_id, heard, kept.findings):
            await self._events.append(STREAM, line)
        judged_all = tuple(one for one, _ in heard)
        after, changed = self._apply(review_id, judged_all)
        return SecondPass(pass_id, after, judged_all, changed, tuple(why_not))

    def _apply(self, review_id: str, judged: Sequence[Judged]) -> tuple[KeptFindings, tuple[int, ...]]:
        at = self._clock()
        changed: tuple[int, ...] = ()

        def update(kept: KeptFindings) -> KeptFindings:
            nonlocal changed
            changes: list[tuple[int, Change]] = changes_of(kept, judged, at=at)
            changed = tuple(number for number, _ in changes)
            for number, change in changes:
                kept = kept.changed([number], change)
            return kept

        return self._store.change(review_id, update), changed


def _by_bundle(
    findings: Sequence[KeptFinding], bundles: Sequence[Bundle]
) -> list[tuple[Bundle, tuple[KeptFinding, ...]]]:
    """Findings with the bundle that holds their file; those of files that the fix leaves alone with the first one."""
    sorted_in: dict[int, list[KeptFinding]] = {}
    for finding in findings:
        path = finding.where.rpartition(":")[0]
        bundle = next((one for one in bundles if path in one.paths), bundles[0])
        sorted_in.setdefault(bundle.number, []).append(finding)
    return [(one, tuple(sorted_in[one.number])) for one in bundles if one.number in sorted_in]


def _told(findings: Sequence[KeptFinding]) -> list[tuple[int, str, str, str]]:
    return [(one.number, one.severity, one.where, one.reason) for one in findings]
