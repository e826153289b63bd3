"""The bundle: what was found, as few words as the budget has room for, and what of it was really shown.

A record is one line. Its name comes first, then the fields that the task speaks of, then the others; of a long text the
sentences that share words with the task. The best record stands last, next to the question, where a small model looks
first (docs/decisions/0026); the first that has no room, from the best on, ends the bundle, and what is left out is
counted. Worked examples take at most half of the budget. Where there are any, records show the fields that these spoke
of and those that the task speaks of, and no others: a small model is told what mattered before.

Belongs here: rendering and cutting. Not here: searching (see lakehouse/retrieval), the prompt (see service.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.answer.example import Example, focused_records, spoken_fields
from lakehouse.chat.token_estimate import CHAT_OVERHEAD, estimate_tokens
from lakehouse.pathway.shape import kind_of
from lakehouse.tables.reserved import MASK

_NAMES = ("name", "title")
_TEXT_CHARACTERS = 120
_MAX_VALUE_CHARACTERS = 20_000
_MIN_RECORD_TOKENS = 40
_WORD = re.compile(r"[a-z0-9]{3,}")
_STEM_CHARACTERS = 6  # `certified` speaks of `certifications`
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Record:
    """Something that was found: its place, and its fields.

    Attributes:
        is_note: Words of people or models, and no record.
        example: The worked example that a note is.
    """

    corpus: str
    id: str
    fields: Mapping[str, Any]
    is_note: bool = False
    example: Example | None = None

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

    Notes and worked examples are among the records, and their text is apart; the best example is the last.
    """

    text: str
    records: tuple[Record, ...]
    tokens: int
    dropped: int
    notes: str = ""
    examples: tuple[Example, ...] = ()


def build_bundle(
    records: Sequence[Record],
    task: str,
    *,
    budget_tokens: int,
    kept: frozenset[str] = frozenset(),
    most_examples: int = 2,
) -> Bundle:
    """Show what has room.

    Args:
        records: Best first.
        task: What the bundle is for; fields and sentences that speak of it come first.
        budget_tokens: Most tokens of the bundle.
        kept: Fields that are shown whatever examples and task speak of.
        most_examples: Of the examples, the first so many that have room are shown.
    """
    terms = frozenset(_terms(task))
    plain = [record for record in records if record.example is None]
    noted = [record for record in records if record.example is not None]
    fields = _fields_shown(plain, noted, terms, kept)
    examples = _examples(noted, plain, fields, most=budget_tokens // 2, count=most_examples)
    left = budget_tokens - sum(_tokens_of(example) for _, example in examples)
    share = max(_MIN_RECORD_TOKENS, left // max(1, len(plain)))
    lines: list[str] = []
    for record in plain:
        line = _line(record, terms, fields, most=min(left - 1, share))
        if line is None:
            break
        lines.append(line)
        left -= estimate_tokens(line) + 1
    shown = tuple(plain[: len(lines)])
    texts = [
        "\n".join(line for record, line in reversed(list(zip(shown, lines, strict=True))) if record.is_note is is_note)
        for is_note in (False, True)
    ]
    dropped = len(plain) - len(shown) + min(most_examples, len(noted)) - len(examples)
    shown += tuple(record for record, _ in examples)
    said = tuple(example for _, example in reversed(examples))
    return Bundle(texts[0], shown, budget_tokens - left, dropped, texts[1], said)


def _fields_shown(
    plain: Sequence[Record], noted: Sequence[Record], terms: frozenset[str], kept: frozenset[str]
) -> frozenset[str] | None:
    """The fields that the examples or the task speak of, and those that are kept; None: all, as nothing was learned.

    The words of an artifact do not say which fields mattered (a fill names nobody's status), so all are shown until it
    is known what is preferred.
    """
    is_artifact = any(one.example is not None and kind_of(one.example.shape) for one in noted)
    if not noted or (is_artifact and not kept):
        return None
    shown = [
        (key, _shown(key, value)) for record in plain if not record.is_note for key, value in record.fields.items()
    ]
    asked = {key for key, text in shown if terms & set(_terms(_focused(key, text, terms)))}
    keys = {key for key, _ in shown}
    return frozenset(asked | kept).union(
        *(spoken_fields(one.example, keys) for one in noted if one.example is not None)
    )


def _examples(
    noted: Sequence[Record], plain: Sequence[Record], fields: frozenset[str] | None, *, most: int, count: int
) -> list[tuple[Record, Example]]:
    """The first `count` examples that have room, best first, with the same fields as the records have."""
    keys = {key for record in plain if not record.is_note for key in record.fields}
    shown: list[tuple[Record, Example]] = []
    for record in noted:
        if record.example is not None and len(shown) < count:
            text = focused_records(record.example, keys, keys if fields is None else fields)
            example = replace(record.example, records=text)
            tokens = _tokens_of(example)
            if tokens <= most:
                shown.append((record, example))
                most -= tokens
    return shown


def _tokens_of(example: Example) -> int:
    return estimate_tokens(f"{example.records}\n{example.task}\n{example.answer}") + CHAT_OVERHEAD


def _line(record: Record, terms: frozenset[str], fields: frozenset[str] | None, *, most: int) -> str | None:
    """One record in at most so many tokens; None when not even its name has room."""
    name = record.name
    head = f"{_flat(name)} (id {_flat(record.id)}):" if name else f"id {_flat(record.id)}:"
    if estimate_tokens(head) > most:
        return None
    line = head
    shown = {key: text for key, value in record.fields.items() if (text := _shown(key, value)) and value != name}
    if fields is not None and not record.is_note:
        shown = {key: text for key, text in shown.items() if key in fields}
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
    return [word[:_STEM_CHARACTERS] for word in _WORD.findall(text.casefold())]


def _flat(text: str) -> str:
    """On one line: a record that brings line breaks of its own must not look like several."""
    return " ".join(text.replace("<|", "< |").split())  # no turn of a chat template either
