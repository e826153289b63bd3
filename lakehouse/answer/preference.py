"""What accepted answers preferred: values of fields that nearly all whom they named had, and that others had not.

Each worked example says which records were shown and which of them the answer named. A value that those who were named
share, more often than chance would have it given those who were passed over, is preferred: of fills that were accepted
all are `status active`, of workers that were shown three in four are. Records with preferred values come first.

Belongs here: the rule, the order. Not here: which examples speak for a task (see recall.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import comb

from lakehouse.answer.bundle import Record
from lakehouse.answer.example import Example, fields_of_line, is_named

_LEAST_SHARE = 0.9
_CHANCE = 0.05
_MAX_CHARACTERS = 40


def preferred_values(examples: Sequence[Example], keys: Collection[str]) -> dict[str, str]:
    """By field the value that accepted answers preferred; empty where nothing speaks for one.

    Args:
        examples: Worked examples of tasks like the one that is asked.
        keys: Names of the fields that records have.

    Source: the one-sided binomial test; the share among those passed over has one more of either side (Laplace).
    """
    named: list[Mapping[str, str]] = []
    passed: list[Mapping[str, str]] = []
    for example in examples:
        answer = example.answer.casefold()
        lines = example.records.splitlines()
        chosen = [line for line in lines if is_named(line, answer)]
        if 0 < len(chosen) < len(lines):
            named += [fields_of_line(line, keys) for line in chosen]
            passed += [fields_of_line(line, keys) for line in lines if line not in chosen]
    preferred = {}
    for key in sorted(keys):
        counts = Counter(fields[key] for fields in named if len(fields.get(key, "x" * 99)) <= _MAX_CHARACTERS)
        for value, count in counts.most_common(1):
            others = [fields[key] == value for fields in passed if key in fields]
            share = (sum(others) + 1) / (len(others) + 2)
            if others and count >= _LEAST_SHARE * len(named) and _at_least(count, len(named), share) <= _CHANCE:
                preferred[key] = value
    return preferred


def preferred_first(records: Sequence[Record], preferred: Mapping[str, str]) -> list[Record]:
    """The records, best first, those with more of the preferred values before the others."""

    def misses(record: Record) -> int:
        return sum(" ".join(str(record.fields.get(key)).split()) != value for key, value in preferred.items())

    return sorted(records, key=misses)


def _at_least(count: int, of: int, share: float) -> float:
    """The chance of so many or more, where each is one with this share."""
    return sum(comb(of, n) * share**n * (1 - share) ** (of - n) for n in range(count, of + 1))
