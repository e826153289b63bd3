"""Staffing questions whose answers can be checked against the table of workers: who, which, how many, a fill.

Every question belongs to a template and to one role in one city. The exam's questions and those of the rounds share no
role and city at all, and so no (role, city, template) either. Roles and cities are drawn by a fixed seed; the SHA-256
over the exam stands in small_model.py, so that a generator that changes is noticed.

Belongs here: the table as it is asked about, templates, drawing. Not here: whether an answer is right (see
_small_model_checker.py).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.sample.workers import COLUMNS, worker_batches

_ID, _NAME, _ROLE, _CITY, _STATE, _STATUS, _HELD = (
    COLUMNS.index(name) for name in ("worker_id", "name", "role", "city", "state", "status", "certifications")
)
ACTIVE = "active"
_MOST_PEOPLE = 30


@dataclass(frozen=True, slots=True)
class Person:
    """A worker, as far as questions speak of one."""

    id: str
    name: str
    role: str
    city: str
    state: str
    status: str
    held: frozenset[str]


@dataclass(frozen=True, slots=True)
class Question:
    """A task with all that its check needs.

    Attributes:
        template: What is asked, e.g. `who.certified`; its first part is the kind.
        role, city, state: Whom it is about.
        text: The words.
        target: The certification that is asked for, or the worker's id.
        count: How many a fill wants.
    """

    template: str
    role: str
    city: str
    state: str
    text: str
    target: str = ""
    count: int = 0

    @property
    def kind(self) -> str:
        return self.template.partition(".")[0]

    @property
    def validate(self) -> dict[str, object] | None:
        """What `/v1/answer` is told to validate the answer as."""
        if self.kind != "fill":
            return None
        context = {"target_count": self.count, "role": self.role, "city": self.city, "state": self.state}
        return {"kind": "fill", "context": context}


@dataclass(frozen=True)
class Table:
    """The workers by id, and by role and place."""

    people: Mapping[str, Person]
    cells: Mapping[tuple[str, str, str], Sequence[Person]]
    certifications: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, rows: int) -> Table:
        people: dict[str, Person] = {}
        cells: dict[tuple[str, str, str], list[Person]] = defaultdict(list)
        for batch in worker_batches(rows):
            for w in batch:
                held = frozenset(filter(None, str(w[_HELD]).split(", ")))
                role, city, state, status = (str(w[n]) for n in (_ROLE, _CITY, _STATE, _STATUS))
                person = Person(str(w[_ID]), str(w[_NAME]), role, city, state, status, held)
                people[person.id] = person
                cells[person.role, person.city, person.state].append(person)
        return cls(people, cells, frozenset(one for person in people.values() for one in person.held))


WORDINGS: dict[str, tuple[str, ...]] = {
    "who.certified": (
        "Which {role} in {city}, {state} holds {target}?",
        "Who is a {role} in {city}, {state} with the certification {target}?",
        "Name a {role} from {city}, {state} who is certified in {target}.",
        "We need a {role} with {target} in {city}, {state}. Who can go?",
    ),
    "who.active": (
        "Which {role} in {city}, {state} is active?",
        "Name a {role} from {city}, {state} who can be sent out: the status must be active.",
        "Who is an active {role} in {city}, {state}?",
        "A client in {city}, {state} asks for a {role} with the status active. Whom do we have?",
    ),
    "which.held": (
        "Which certifications does {name}, {role} in {city}, {state}, hold?",
        "What is {name} ({role}, {city}, {state}) certified in?",
        "List the certifications of the {role} {name} from {city}, {state}.",
        "Which papers does {name} have, the {role} in {city}, {state}? Name every certification.",
    ),
    "count.held": (
        "How many certifications does {name}, {role} in {city}, {state}, hold?",
        "What is the number of certifications of the {role} {name} from {city}, {state}?",
        "Count the certifications of {name} ({role}, {city}, {state}).",
    ),
    "count.active": (
        "How many of the records, each a {role} in {city}, {state}, have the status active?",
        "Of the {role} records for {city}, {state}: how many are active?",
        "Count the {role} records of {city}, {state} with the status active.",
    ),
    "fill.one": (
        "Fill one {role} position in {city}, {state}.",
        "Send a {role} to {city}, {state}: propose one active worker.",
        "One {role} is wanted in {city}, {state}. Propose the fill.",
    ),
    "fill.two": (
        "Fill two {role} positions in {city}, {state}.",
        "Send two of the trade {role} to {city}, {state}: propose two active workers.",
        "Two of our people are wanted in {city}, {state}, each a {role}. Propose the fill.",
    ),
}
# Shares of a set: a quarter for each kind.
SHARES = {
    "who.certified": 2, "who.active": 2, "which.held": 4, "count.held": 2, "count.active": 2, "fill.one": 2,
    "fill.two": 2,
}  # fmt: skip


class Drawer:
    """Draws sets of questions that share no role and city with each other.

    Args:
        table: What is asked about.
        seed: The same one draws the same.
    """

    def __init__(self, table: Table, seed: str) -> None:
        self._random = random.Random(seed)
        self._table = table
        cells = [key for key, people in sorted(table.cells.items()) if 2 <= len(people) <= _MOST_PEOPLE]
        self._random.shuffle(cells)
        self._cells = iter(cells)

    def draw(self, count: int) -> list[Question]:
        """So many questions, each template with its share, in mixed order.

        Raises:
            ValueError: There are not so many roles and cities left.
        """
        total = sum(SHARES.values())
        drawn: list[Question] = []
        for template, share in SHARES.items():
            wanted = -(-count * share // total)
            drawn += [self._next(template, number) for number in range(wanted)]
        self._random.shuffle(drawn)
        return drawn[:count]

    def _next(self, template: str, number: int) -> Question:
        for cell in self._cells:
            asked = self._about(template, cell)
            if asked is not None:
                wordings = WORDINGS[template]
                words = wordings[number % len(wordings)]
                return _worded(template, words, cell, *asked)
        raise ValueError("there are not so many roles and cities left; draw fewer questions")

    def _about(self, template: str, cell: tuple[str, str, str]) -> tuple[str, str, int] | None:
        """Target, name and count, where the people of a role in a city have an answer to the template."""
        people = self._table.cells[cell]
        active = [person for person in people if person.status == ACTIVE]
        if template == "who.certified":
            held = sorted({one for person in people for one in person.held})
            return (self._random.choice(held), "", 0) if held else None
        if template in {"which.held", "count.held"}:
            certified = [person for person in people if person.held]
            if not certified:
                return None
            person = self._random.choice(certified)
            return person.id, person.name, 0
        wanted = 2 if template == "fill.two" else 1
        return ("", "", wanted) if len(active) >= wanted else None


def _worded(template: str, words: str, cell: tuple[str, str, str], target: str, name: str, count: int) -> Question:
    role, city, state = cell
    text = words.format(role=role.lower() if role != "CNC Machinist" and role != "HVAC Technician" else role,
                        city=city, state=state, target=target, name=name)  # fmt: skip
    return Question(template, role, city, state, text, target, count if template.startswith("fill") else 0)


def fingerprint(questions: Sequence[Question]) -> str:
    """SHA-256 over the questions, in hex."""
    said = [[q.template, q.role, q.city, q.state, q.text, q.target, q.count] for q in questions]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def triples(questions: Sequence[Question]) -> set[tuple[str, str, str, str]]:
    """Role, city with state, and template of each."""
    return {(q.role, q.city, q.state, q.template) for q in questions}
