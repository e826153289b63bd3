"""Claims: what the README and the documentation promise, each with an id and with what shows that it is so.

Belongs here: a claim as a value, reading a list of them. Not here: whether it holds (see verdicts.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lakehouse.errors import BadInput

README = "README.md"
_ID = re.compile(r"[a-z][a-z0-9-]{2,59}")
_KEYS = {"id", "promise", "statement", "source", "proof", "cases"}
_TESTS_OF_CONTRACT = ("tests/unit/", "tests/contract/", "tests/property/", "tests/golden/")


class Mode(StrEnum):
    """What is proven together: single answers, chains of them and faults, or speed."""

    CONTRACT = "contract"
    INTEGRATION = "integration"
    PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise: its id, its words, the page that makes it, and its evidence.

    `tests` are pytest node ids, `cases` names of cases over HTTP.
    """

    id: str
    statement: str
    source: str
    tests: tuple[str, ...]
    cases: tuple[str, ...]

    @property
    def has_evidence(self) -> bool:
        """Whether anything is said to show it."""
        return bool(self.tests or self.cases)


def read_claims(document: object) -> tuple[Claim, ...]:
    """Read a list of claims.

    Args:
        document: A list of mappings: `id`; `promise` (of the README) or `statement` with `source`; `proof`, `cases`. A
            claim without evidence is one, and fails when it is judged.

    Raises:
        BadInput: It is none, an id is missing or comes twice, or a key is unknown.
    """
    if not isinstance(document, list) or not document:
        raise BadInput("the claims are no list; write one mapping for each, with id, statement, source, proof")
    claims = tuple(_read(entry, number) for number, entry in enumerate(document, start=1))
    twice = [one for one, count in Counter(claim.id for claim in claims).items() if count > 1]
    if twice:
        raise BadInput(f"the claim id {twice[0]!r} comes twice; give each claim one of its own")
    return claims


def mode_of_test(node: str) -> Mode:
    """The mode in which a test is run: quick ones by contract, those with servers and faults by integration."""
    return Mode.CONTRACT if node.startswith(_TESTS_OF_CONTRACT) else Mode.INTEGRATION


def _read(entry: object, number: int) -> Claim:
    where = f"claim {number}"
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where} is no mapping")
    unknown = sorted(str(key) for key in entry.keys() - _KEYS)
    if unknown:
        raise BadInput(f"{where} has the unknown key {unknown[0]!r}; there are: {', '.join(sorted(_KEYS))}")
    name = entry.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise BadInput(f"{where} has no id; give it one of small letters, digits and hyphens, such as 'typed-in-full'")
    where = f"claim {name!r}"
    if ("promise" in entry) == ("statement" in entry):
        raise BadInput(f"{where} needs either 'promise' (a sentence of {README}) or 'statement' with 'source'")
    source = README if "promise" in entry else _text(entry, "source", where)
    return Claim(
        id=name,
        statement=_text(entry, "promise" if "promise" in entry else "statement", where),
        source=source,
        tests=_texts(entry, "proof", where),
        cases=_texts(entry, "cases", where),
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where} has no {key!r}; write it as a text")
    return value.strip()


def _texts(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise BadInput(f"{where}: {key!r} must be a list of texts")
    return tuple(value)
