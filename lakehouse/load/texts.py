"""Texts: queries, messages and operations, made of the sample's vocabulary and of the crew.

Belongs here: words. Not here: when they are used (see scenarios.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.load.crew import Crew, Worker
from lakehouse.sample.vocabulary import EMPLOYERS, OCCUPATIONS, Occupation

_BY_TITLE = {occupation.title: occupation for occupation in OCCUPATIONS}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SKILLS = tuple(skill for occupation in OCCUPATIONS for skill in occupation.skills)
_MOST_ROLE = 30
# Printed in a pamphlet of 1940 and given to nobody since.
SSN = "219-09-9999"


@dataclass(frozen=True, slots=True)
class Query:
    """A query and a filter that at least one worker of the crew fits."""

    text: str
    wanted: Mapping[str, str]


def make_queries(crew: Crew, draw: random.Random, count: int) -> list[Query]:
    """Queries that are asked again and again."""
    return [_query(draw.choice(crew.workers), draw) for _ in range(count)]


def cold_query(worker: Worker, draw: random.Random, *, mark: str, number: int) -> str:
    """A query that nobody has asked before, as long as no other run has this mark.

    Words are drawn until two such queries differ by more than a number: what differs by less is one and the same to
    playbooks, and what somebody else recorded for it would rightly come first.
    """
    occupation = _occupation(worker, draw)
    first, second = draw.sample(occupation.skills, 2)
    return (
        f"need {draw.randint(1, 9)} {worker.role.lower()}s in {worker.city} with {first} and {second},"
        f" {draw.choice(occupation.certifications)}, from {draw.choice(_DAYS)} at {draw.choice(EMPLOYERS)},"
        f" {draw.choice(_SKILLS)} too, shift {mark}-{number}"
    )


def operation(worker: Worker, count: int, *, mark: str) -> str:
    """What a fill is remembered under: the same for all orders of a role and place within a run."""
    return f"fill: {worker.role} x{count} in {worker.city}, {worker.state} ({mark})"


def email_body(worker: Worker, draw: random.Random) -> str:
    """A message to a worker, that passes."""
    return (
        f"Hello {worker.name}, we have a shift as {worker.role} in {worker.city}, {worker.state} on "
        f"{draw.choice(_DAYS)} at 7 am. Reply YES to confirm, or call 415-555-0132."
    )


def sms_body(worker: Worker, draw: random.Random) -> str:
    """A text message that passes, in whatever letters a role is written: under 70 characters."""
    return f"Shift on {draw.choice(_DAYS)} as {worker.role[:_MOST_ROLE]}. Reply YES."


def _query(worker: Worker, draw: random.Random) -> Query:
    occupation = _occupation(worker, draw)
    first, second = draw.sample(occupation.skills, 2)
    text = f"{worker.role.lower()} with {first} and {second}, {draw.choice(occupation.certifications)}"
    return Query(text, {"role": worker.role, "state": worker.state})


def _occupation(worker: Worker, draw: random.Random) -> Occupation:
    return _BY_TITLE.get(worker.role) or draw.choice(OCCUPATIONS)
