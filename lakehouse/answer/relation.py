"""What accepted answers had in common with their tasks: fields in which those whom they named were what was asked for.

A task speaks of values: a city, a certification, a person's name. Where accepted answers named, nearly every time, such
records as have the spoken value in a field, that field is demanded: in other tasks that speak of a value of it, records
that have it come before those that have another, and where some have all that is demanded, the others are not shown.
Nothing is demanded before enough accepted answers say so: the platform does not know what a column means, it is taught
by what was accepted.

Belongs here: the rule, the order. Not here: values that are preferred whatever the task says (see preference.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lakehouse.answer.bundle import Record
from lakehouse.answer.example import Example, fields_of_line, is_named, name_of_line
from lakehouse.pathway.shape import is_code

NAME = "<name>"
"""What a record is called, whichever of its fields says so."""
_LEAST_EXAMPLES, _LEAST_SHARE = 4, 0.9
_MIN_CHARACTERS, _MAX_CHARACTERS = 2, 60


def demanded_fields(examples: Sequence[Example], keys: Collection[str]) -> frozenset[str]:
    """The fields that are demanded of records whose value a task speaks of.

    Of the examples whose task speaks of a value of the field that a shown record had, at least four, in nine of ten all
    records that the answer named must have had one.

    Args:
        examples: Worked examples, of whatever shape.
        keys: Names of the fields that records have.
    """
    spoken: dict[str, list[bool]] = {}
    for example in examples:
        answer = example.answer.casefold()
        lines = [(line, is_named(line, answer)) for line in example.records.splitlines()]
        if not any(named for _, named in lines):
            continue
        read = [(_spoken_of_line(line, keys, example.task), named) for line, named in lines]
        for key in frozenset().union(*(found for found, _ in read)):
            spoken.setdefault(key, []).append(all(key in found for found, named in read if named))
    return frozenset(
        key
        for key, held in spoken.items()
        if len(held) >= _LEAST_EXAMPLES and sum(held) >= _LEAST_SHARE * len(held)
    )  # fmt: skip


def demanded_first(records: Sequence[Record], task: str, demanded: Collection[str]) -> list[Record]:
    """The records, best first, those that are what the task asks for before the others, or alone where there are any.

    Args:
        records: Best first.
        task: What is asked.
        demanded: The fields that are demanded.
    """
    have = [_spoken_of_record(record, task) & set(demanded) for record in records]
    asked = frozenset().union(*have) if have else frozenset()
    ranked = sorted(zip(records, have, strict=True), key=lambda each: len(asked) - len(each[1]))
    whole = [record for record, found in ranked if found == asked]
    return whole or [record for record, _ in ranked]


def _spoken_of_line(line: str, keys: Collection[str], task: str) -> frozenset[str]:
    values = {key: value.split(", ") for key, value in fields_of_line(line, keys).items()}
    return _spoken(values, name_of_line(line), task)


def _spoken_of_record(record: Record, task: str) -> frozenset[str]:
    return _spoken({key: _items(value) for key, value in record.fields.items()}, record.name, task)


def _spoken(values: Mapping[str, Iterable[str]], name: str | None, task: str) -> frozenset[str]:
    """The fields of whose values a task speaks."""
    found = {key for key, items in values.items() if any(_speaks_of(task, item) for item in items)}
    return frozenset(found | ({NAME} if name and _speaks_of(task, name) else set()))


def _items(value: Any) -> list[str]:
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return [one for one in several if isinstance(one, str)]


def _speaks_of(task: str, value: str) -> bool:
    text = " ".join(value.split())
    if not _MIN_CHARACTERS <= len(text) <= _MAX_CHARACTERS or text.isdigit():
        return False
    flags = re.NOFLAG if is_code(text) else re.IGNORECASE
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", task, flags) is not None
