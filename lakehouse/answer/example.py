"""Worked examples: a task that was answered well, what it was answered from, and the answer.

Fold-back makes such traces of accepted runs (content `{task, answer, records, shape}`). They are shown as earlier turns
of the chat, and they say which fields mattered: those that their task and answer speak of.

Belongs here: reading an example, the fields that it speaks of. Not here: which examples are shown (see recall.py), how
(see prompt.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_CHARACTERS = 4_000
_HEAD = re.compile(r"(?:(?P<name>.+?) \(id (?P<id>[^()]+)\)|id (?P<alone>[^:]+)):")


@dataclass(frozen=True, slots=True)
class Example:
    """A task, the records that it was answered from as lines, the answer, and the task's shape."""

    task: str
    records: str
    answer: str
    shape: str


def example_of(content: Any) -> Example | None:
    """The worked example that a trace's content is; None for any other trace, or one too long to be shown."""
    if not isinstance(content, Mapping):
        return None
    parts = [content.get(name) for name in ("task", "records", "answer", "shape")]
    texts = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    if len(texts) < len(parts) or sum(map(len, texts)) > _MAX_CHARACTERS:
        return None
    return Example(*texts)


def spoken_fields(example: Example, keys: Collection[str]) -> frozenset[str]:
    """The fields of its records that its task or answer speak of, by name or by value.

    Args:
        example: A worked example.
        keys: Names of fields, as records have them.
    """
    said = f"{example.task}\n{example.answer}".casefold()
    spoken = {key for key in keys if key.casefold() in said}
    for line in example.records.splitlines():
        for key, value in fields_of_line(line, keys).items():
            if any(len(one) > 1 and one.strip().casefold() in said for one in value.split(", ")):
                spoken.add(key)
    return frozenset(spoken)


def focused_records(example: Example, keys: Collection[str], fields: Collection[str]) -> str:
    """Its records that the answer names, or all where it names none, without the fields that are not shown now.

    Args:
        example: A worked example.
        keys: Names of fields, as records have them; what starts with none of them stays.
        fields: Those that are shown.
    """
    by_length = sorted(keys, key=len, reverse=True)

    def is_shown(part: str) -> bool:
        key = _key_of(part, by_length)
        return key is None or key in fields

    answer = example.answer.casefold()
    every = example.records.splitlines()
    lines = []
    for line in [line for line in every if is_named(line, answer)] or every:
        head, colon, body = line.partition(":")
        lines.append(f"{head}{colon}{';'.join(part for part in body.split(';') if is_shown(part))}")
    return "\n".join(lines)


def fields_of_line(line: str, keys: Collection[str]) -> dict[str, str]:
    """The fields of a record's line (see bundle.py), as texts.

    Args:
        line: `Ann Lee (id 7): role Welder; city Toledo`.
        keys: Names of fields, as records have them; what starts with none of them is left out.
    """
    by_length = sorted(keys, key=len, reverse=True)
    fields = {}
    for part in line.partition(":")[2].split(";"):
        key = _key_of(part, by_length)
        if key is not None:
            fields[key] = part.lstrip().removeprefix(f"{key} ").strip()
    return fields


def _key_of(part: str, by_length: Sequence[str]) -> str | None:
    return next((key for key in by_length if part.lstrip().startswith(f"{key} ")), None)


def name_of_line(line: str) -> str | None:
    """What the record of a line is called; None for one without a name."""
    found = _HEAD.match(line)
    return found["name"] if found else None


def is_named(line: str, answer: str) -> bool:
    """Whether an answer, in lower case, names the record of a line by its name or its id."""
    found = _HEAD.match(line.casefold())
    if found is None:
        return False
    name, record_id = found["name"], found["id"] or found["alone"]
    return bool(name and name in answer) or re.search(rf"(?<!\w){re.escape(record_id)}(?!\w)", answer) is not None
