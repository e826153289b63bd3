"""Whether an answer of `/v1/answer` to a staffing question is right, by the table alone; no model judges.

A refused answer (null) is wrong, and so is one that names anybody who does not fit. What was counted is compared with
what the model was shown: a number that stands nowhere in the prompt cannot be its own.

Belongs here: the check, what is reported of it. Not here: questions (see _small_model_questions.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _small_model_questions import ACTIVE, Person, Question, Table

CORPUS = "workers"
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER = re.compile(rf"(?<![\w.-])(\d+|{'|'.join(_WORDS)}|none|no)(?![\w-]|\.\d)", re.IGNORECASE)
_ID = re.compile(r"\bids?\b[\s:#]*\d+|\bworker[\s:#]+\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether an answer is right, and of the people it names, who fits."""

    is_right: bool
    people: Mapping[str, bool]


class Checker:
    """Checks answers against the table.

    Args:
        table: The workers.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        names = sorted(table.certifications, key=len, reverse=True)
        self._held = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), re.IGNORECASE)
        self._by_folded = {name.casefold(): name for name in names}

    def check(self, question: Question, reply: Mapping[str, Any]) -> Checked:
        """Whether a reply is right.

        Args:
            question: What was asked.
            reply: As `/v1/answer` gave it.
        """
        text = reply["answer"]
        if text is None:
            return Checked(is_right=False, people={})
        shown = [self._table.people[c["id"]] for c in reply["citations"] if c["corpus"] == CORPUS]
        used = [self._table.people[c["id"]] for c in reply["citations"] if c["corpus"] == CORPUS and c["used"]]
        people = {person.id: self._fits(question, person) for person in used}
        if question.kind == "fill":
            return Checked(bool(reply["validation"]["passed"]), people)
        if question.kind == "who":
            return Checked(bool(people) and all(people.values()), people)
        is_about_others = not all(people.values())
        if question.template == "which.held":
            is_right = self.held_in(text) == self._table.people[question.target].held
        else:
            is_right = self.numbers_in(text, shown) == {self._number(question, shown)}
        return Checked(is_right and not is_about_others, people)

    def held_in(self, text: str) -> frozenset[str]:
        """The certifications that a text names."""
        return frozenset(self._by_folded[found.group().casefold()] for found in self._held.finditer(text))

    def numbers_in(self, text: str, shown: Sequence[Person]) -> set[int]:
        """The numbers that a text says, but for those in ids, names and certifications."""
        for person in shown:
            text = text.replace(person.name, " ")
        return {_number(found) for found in _NUMBER.findall(_ID.sub(" ", self._held.sub(" ", text)))}

    def _number(self, question: Question, shown: Sequence[Person]) -> int:
        if question.template == "count.held":
            return len(self._table.people[question.target].held)
        return sum(_is_of(question, person) and person.status == ACTIVE for person in shown)

    def _fits(self, question: Question, person: Person) -> bool:
        """Whether an answer to the question may name this person."""
        if question.template in {"which.held", "count.held"}:
            return person.id == question.target
        if question.template == "count.active":
            return True
        is_fit = question.target in person.held if question.template == "who.certified" else person.status == ACTIVE
        return _is_of(question, person) and is_fit


def outcomes_of(question: Question, checked: Checked) -> list[dict[str, Any]]:
    """What a desk that looked the answer up would report: on each person named, or on the whole."""
    if question.kind in {"who", "fill"} and checked.people:
        return [{"answer_id": person_id, "success": fits} for person_id, fits in checked.people.items()]
    return [{"success": checked.is_right}]


def _is_of(question: Question, person: Person) -> bool:
    return (person.role, person.city, person.state) == (question.role, question.city, question.state)


def _number(said: str) -> int:
    folded = said.casefold()
    if folded in {"no", "none"}:
        return 0
    return _WORDS.index(folded) if folded in _WORDS else int(folded[:9])
