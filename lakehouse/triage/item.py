"""An item of the queue: what it is about, why it is there, and its JSON form.

Its id is made of what it is about, so that filling the queue again finds the item that is there. No text of anybody is
in it: what people need to see is read from where it lies when they look.

Belongs here: the values. Not here: what asks for people (see asks.py), how urgent it is (see priority.py),
decisions (see decision.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from lakehouse.catalog.manifest import BrokenManifest

FORMAT_VERSION = 1
Kind = Literal["suspected_pii", "validator_conflict", "drift", "reviewer_disagreement", "needs_review"]
KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["open", "assigned", "decided", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)
ACTIVE: frozenset[State] = frozenset({"open", "assigned"})
About = Literal["run", "pii", "review", "drift"]
Verdict = Literal["accept", "edit", "reject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an item is about.

    Attributes:
        about: `run`: how a run did; `pii`: personal data in a run; `review`: a part of a diff; `drift`: a report.
        of: The run's id; `diff:<sha256>#<bundle>`; `drift/<kind>/<day>`. Verdicts on it bear this name.
        sha256: Of the run's raw line: a line that was corrected is another subject. Empty where there is none.
        task_id: The run's task.
        detail: What finds it again: stream and day of a run, the review, the report's key.
    """

    about: About
    of: str
    sha256: str = ""
    task_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def item_id(self) -> str:
        """The id of the item about it."""
        return hashlib.sha256("\x1f".join((self.about, self.of, self.sha256)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person decided: which, who, when, with what note; of an edit the SHA-256 of the text."""

    verdict: Verdict
    by: str
    at: str
    note: str = ""
    output_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item.

    Attributes:
        subject: What it is about.
        kind: Why a person is needed.
        reasons: The same in words.
        priority: From 0, higher is more urgent.
        priority_reasons: What it is made of.
        created_at: When it came into the queue.
        version: Rises with every change; a decision names the one that it is about.
        state: open, assigned, decided or withdrawn (nothing asks for a person any more).
        assignee: Who looks at it.
        decided: What was decided.
        output: The text of an edit, until it is in the run log.
        is_logged: Whether the decision is in the run log.
    """

    subject: Subject
    kind: Kind
    reasons: tuple[str, ...]
    priority: int
    priority_reasons: tuple[str, ...]
    created_at: str = ""
    version: int = 1
    state: State = "open"
    assignee: str | None = None
    decided: Decided | None = None
    output: str | None = None
    is_logged: bool = False

    @property
    def item_id(self) -> str:
        """Its id."""
        return self.subject.item_id

    @property
    def order(self) -> tuple[int, str, str]:
        """By this items are listed: the most urgent first, then the oldest."""
        return -self.priority, self.created_at, self.item_id

    @property
    def is_active(self) -> bool:
        """Whether it waits for a person."""
        return self.state in ACTIVE

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return {"format_version": FORMAT_VERSION, "item_id": self.item_id, **asdict(self)}

    @classmethod
    def from_document(cls, document: Any, *, key: str) -> Item:
        """Read a document.

        Raises:
            BrokenManifest: It is none of an item.
        """
        try:
            said = dict(document)
            if said.pop("format_version") > FORMAT_VERSION:
                raise ValueError("its format_version is newer than this program")
            said.pop("item_id")
            subject = Subject(**said.pop("subject"))
            decided = said.pop("decided")
            said |= {name: tuple(said[name]) for name in ("reasons", "priority_reasons")}
            item = cls(subject=subject, decided=None if decided is None else Decided(**decided), **said)
            if item.state not in STATES or item.kind not in KINDS:
                raise ValueError(f"state {item.state!r}, kind {item.kind!r}")
            # One that cannot stand in the order of the others would take all of them from the list.
            for value, type_ in (
                (item.priority, int),
                (item.created_at, str),
                (subject.of, str),
                (subject.sha256, str),
            ):
                if not isinstance(value, type_):
                    raise TypeError(f"{value!r} is no {type_.__name__}")
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenManifest(
                f"{key!r} is not an item of the queue ({error}): remove it, the next filling makes it anew", key=key
            ) from None
        return item
