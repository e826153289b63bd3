"""The bundle: what was found, as few words as the budget has room for, and what of it was really shown.

A record is one line. Its name comes first, then the fields that the task speaks of, then the others; of a long text the
sentences that share words with the task. The best record stands last, next to the question, where a small model looks
first (docs/decisions/0026); the first that has no room, from the best on, ends the bundle, and what is left out is
counted.

Belongs here: rendering and cutting. Not here: searching (see lakehouse/retrieval), the prompt (see service.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.chat.token_estimate import estimate_tokens
from lakehouse.retrieval.filters import MASK

_NAMES = ("name", "title")
_TEXT_CHARACTERS = 120
_MAX_VALUE_CHARACTERS = 20_000
_MIN_RECORD_TOKENS = 40
_WORD = re.compile(r"[a-z0-9]{3,}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Record:
    """Something that was found: its place, and its fields; `is_note`: words of people or models, and no record."""

    corpus: str
    id: str
    fields: Mapping[str, Any]
    is_note: bool = False

    @property
    def name(self) -> str | None:
        """What it is called: its `name` or `title`, whatever the case. A note must not look like a record."""
        if self.is_note:
            return None
        by_name = {key.casefold(): value for key, value in self.fields.items()}
        found = next((by_name[key] for key in _NAMES if isinstance(by_name.get(key), str)), None)
        return found if found and found != MASK else None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Records as they are shown, best first; their text has the best last. `dropped` had no room.

    Notes are among the records, and their text is apart.
    """

    text: str
    records: tuple[Record, ...]
    tokens: int
    dropped: int
    notes: str = ""


def build_bundle(records: Sequence[Record], task: str, *, budget_tokens: int) -> Bundle:
    """Show what has room.

    Args:
        records: Best first.
        task: What the bundle is for; fields and sentences that speak of it come first.
        budget_tokens: Most tokens of the bundle.
    """
    terms = frozenset(_terms(task))
    share = max(_MIN_RECORD_TOKENS, budget_tokens // max(1, len(records)))
    lines: list[str] = []
    left = budget_tokens
    for record in records:
        line = _line(record, terms, most=min(left - 1, share))
        if line is None:
            break
        lines.append(line)
        left -= estimate_tokens(line) + 1
    shown = tuple(records[: len(lines)])
    texts = [
        "\n".join(line for record, line in reversed(list(zip(shown, lines, strict=True))) if record.is_note is is_note)
        for is_note in (False, True)
    ]
    return Bundle(texts[0], shown, budget_tokens - left, len(records) - len(lines), texts[1])


def _line(record: Record, terms: frozenset[str], *, most: int) -> str | None:
    """One record in at most so many tokens; None when not even its name has room."""
    name = record.name
    head = f"{_flat(name)} (id {_flat(record.id)}):" if name else f"id {_flat(record.id)}:"
    if estimate_tokens(head) > most:
        return None
    line = head
    shown = {key: text for key, value in record.fields.items() if (text := _shown(key, value)) and value != name}
    parts = sorted(
        (_focused(key, text, terms) for key, text in shown.items()),
        key=lambda part: (-len(terms & set(_terms(part))), len(part) > _TEXT_CHARACTERS),
    )
    for part in parts:
        longer = f"{line} {part}" if line == head else f"{line}; {part}"
        if estimate_tokens(longer) <= most:
            line = longer
    return line


def _shown(key: str, value: Any) -> str:
    if value is None or value == MASK or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        text = ", ".join(str(one) for one in value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text[:_MAX_VALUE_CHARACTERS] if key.casefold() not in _NAMES else _flat(text)


def _focused(key: str, text: str, terms: frozenset[str]) -> str:
    """A field, of a long one the sentences that share words with the task, in their order."""
    if len(text) > _TEXT_CHARACTERS:
        sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
        ranked = sorted(range(len(sentences)), key=lambda n: (-len(terms & set(_terms(sentences[n]))), n))
        kept: list[int] = []
        length = 0
        for n in ranked:
            if kept and length + len(sentences[n]) > 2 * _TEXT_CHARACTERS:
                break
            kept.append(n)
            length += len(sentences[n])
        text = " ".join(sentences[n] for n in sorted(kept))[: 4 * _TEXT_CHARACTERS]
    return f"{_flat(key)} {_flat(text)}"


def _terms(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _flat(text: str) -> str:
    """On one line: a record that brings line breaks of its own must not look like several."""
    return " ".join(text.replace("<|", "< |").split())  # no turn of a chat template either
