"""Gate: personal data is replaced by placeholders of its kind, and what is left is looked at in other ways.

The same value is the same placeholder within a sample (`[EMAIL_1]`), in messages, calls and tools alike. JSON is looked
into by its values, each beside its key, so that `"phone": "5551234567"` is found and stays JSON. The second look reads
what was replaced as HTML, as a URL and as JSON with its escapes: what shows only there cannot be cut out, so the sample
is refused.

Belongs here: placeholders, both looks. Not here: how personal data is recognized (see
lakehouse/validation/personal_spans.py, known_names.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import orjson

from lakehouse.distillation.known_names import KnownNames, parts_of
from lakehouse.distillation.messages import Message, texts_of
from lakehouse.distillation.refusal import Refused
from lakehouse.validation.personal import personal_data
from lakehouse.validation.personal_spans import PersonalSpan, personal_spans
from lakehouse.validation.plain_text import plain, unmarked

PLACEHOLDERS = {
    "email": "EMAIL", "ssn": "SSN", "card": "CARD", "phone": "PHONE", "street": "ADDRESS", "name": "NAME",
}  # fmt: skip
_PLACEHOLDER = re.compile(rf"\[({'|'.join(PLACEHOLDERS.values())})_([0-9]{{1,9}})\]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_BLANKS = re.compile(r"[\s,.]+")
_ROUNDS = 4
_MAX_JSON_DEPTH = 32
_MAX_REMEMBERED = 16_384


class SampleScrub:
    """Scrubs the texts of one sample; numbers go on behind placeholders that are there already.

    Args:
        names: Names to be found, or None.
        texts: All texts of the sample, for the placeholders in them.
    """

    def __init__(self, names: KnownNames | None, texts: Sequence[str]) -> None:
        self._names = names
        self._placeholders: dict[tuple[str, str], str] = {}
        self._parts: dict[str, str] = {}
        self._part_pattern: re.Pattern[str] | None = None
        self._last: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """How many places of each kind were replaced."""
        for text in texts:
            for kind, number in _PLACEHOLDER.findall(text):
                self._last[kind] = max(self._last[kind], int(number))

    def text(self, text: str) -> str:
        """The text without personal data; JSON stays JSON."""
        if text[:1] in "{[" and text:
            text = self._json_text(text)
        return self._replaced(text, self._spans(text))

    def value(self, value: Any, key: str = "", depth: int = 0) -> Any:
        """A JSON value with every text and number in it scrubbed."""
        if depth > _MAX_JSON_DEPTH:
            return value
        if isinstance(value, dict):
            return {name: self.value(member, str(name), depth + 1) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(member, key, depth + 1) for member in value]
        if isinstance(value, str) and value[:1] not in ("{", "["):
            return self._keyed(key, value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            written = str(value)
            scrubbed = self._keyed(key, written)
            return value if scrubbed == written else scrubbed
        return value

    def _keyed(self, key: str, text: str) -> str:
        """A value beside its key: the key may say what digits are."""
        begin = f"{key.replace('_', ' ')}: " if key else ""
        spans = self._spans(begin + text)
        shifted = [PersonalSpan(kind, max(0, start - len(begin)), end - len(begin)) for kind, start, end in spans]
        return self._replaced(text, [span for span in shifted if span.end > 0])

    def _json_text(self, text: str) -> str:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        scrubbed = self.value(value)
        return text if scrubbed == value else orjson.dumps(scrubbed).decode()

    def _spans(self, text: str) -> list[PersonalSpan]:
        spans = list(_found(text))
        if self._names is not None:
            spans = _merged(spans, self._names.spans(text))
            if self._part_pattern is not None:
                parts = [PersonalSpan("name", *match.span()) for match in self._part_pattern.finditer(text)]
                spans = _merged(spans, parts)
        return spans

    def _replaced(self, text: str, spans: Sequence[PersonalSpan]) -> str:
        if not spans:
            return text
        pieces, at = [], 0
        for kind, start, end in spans:
            pieces += [text[at:start], self._placeholder(kind, text[start:end])]
            at = end
            self.counts[kind] += 1
        return "".join([*pieces, text[at:]])

    def _placeholder(self, kind: str, found: str) -> str:
        if kind == "name" and found in self._parts:
            return self._parts[found]
        key = kind, _same(kind, found)
        if key not in self._placeholders:
            label = PLACEHOLDERS[kind]
            self._last[label] += 1
            self._placeholders[key] = f"[{label}_{self._last[label]}]"
            if kind == "name":
                self._learn_parts(found, self._placeholders[key])
        return self._placeholders[key]

    def _learn_parts(self, name: str, placeholder: str) -> None:
        for part in parts_of(name):
            self._parts.setdefault(part, placeholder)
        words = "|".join(sorted(map(re.escape, self._parts), key=lambda w: (-len(w), w)))
        self._part_pattern = re.compile(rf"(?<![\w\[])(?:{words})(?!\w)") if words else None


def scrub_sample(
    parts: Sequence[Sequence[Message]], tools: Sequence[Any] | None, names: KnownNames | None
) -> tuple[list[list[Message]], list[Any] | None, Mapping[str, int]]:
    """Scrub all messages and tools of a sample, until nothing changes.

    Args:
        parts: Lists of messages that belong together, as a prompt and its two answers.
        tools: Descriptions of tools, or None.
        names: Names to be found, or None.

    Returns:
        The same without personal data, and how many places of each kind were replaced.

    Raises:
        Refused: Something is left that cannot be cut out; names its kinds, never the values.
    """
    scrub = SampleScrub(names, [*_all_texts(parts, tools)])
    made: list[list[Message]] = [list(messages) for messages in parts]
    described = None if tools is None else list(tools)
    for _ in range(_ROUNDS):
        before = scrub.counts.total()
        made = [[_message(message, scrub) for message in messages] for messages in made]
        described = None if described is None else scrub.value(described)
        if scrub.counts.total() == before:
            break
    else:
        raise Refused("personal", "placeholders make new personal data, again and again")
    left = sorted({kind for text in _all_texts(made, described) for kind in second_look(text, names)})
    if left:
        raise Refused("personal", f"personal data is left that cannot be cut out: {', '.join(left)}")
    return made, described, dict(scrub.counts)


def second_look(text: str, names: KnownNames | None) -> set[str]:
    """Kinds of personal data in a text, however it is written."""
    found: set[str] = set()
    for form in _forms(text):
        found |= _counted(form)
        found |= {span.kind for span in _found(form)}
        if names is not None and names.spans(form):
            found.add("name")
    return found


def _found(text: str) -> tuple[PersonalSpan, ...]:
    return _remembered(text) if len(text) <= _MAX_REMEMBERED else tuple(personal_spans(text))


# A text is looked at in every round, and system prompts stand in every sample of a data set.
@lru_cache(maxsize=2048)
def _remembered(text: str) -> tuple[PersonalSpan, ...]:
    return tuple(personal_spans(text))


@lru_cache(maxsize=128)
def _counted(text: str) -> frozenset[str]:
    return frozenset(kind.removeprefix("personal.") for kind in personal_data(text))


def _forms(text: str) -> Iterator[str]:
    yield text
    read = unmarked(text)
    if read is not None:
        yield read
    if "%" in text:
        yield unquote(text)
    if "\\" in text:
        yield _unescaped(text)


def _unescaped(text: str) -> str:
    """JSON's escapes read, wherever they stand."""
    read = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    return re.sub(r"\\+[nrtbf\"/\\]", " ", read)


def _message(message: Message, scrub: SampleScrub) -> Message:
    made = dict(message)
    if message["content"]:
        made["content"] = scrub.text(message["content"])
    if "tool_calls" in message:
        made["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": scrub.text(call["function"]["arguments"])}}
            for call in message["tool_calls"]
        ]
    return made


def _all_texts(parts: Sequence[Sequence[Message]], tools: Sequence[Any] | None) -> Iterator[str]:
    for messages in parts:
        yield from texts_of(messages)
        yield from (message["name"] for message in messages if message.get("name"))
    if tools:
        yield orjson.dumps(tools).decode()


def _merged(spans: list[PersonalSpan], more: list[PersonalSpan]) -> list[PersonalSpan]:
    free = [m for m in more if all(m.end <= span.start or m.start >= span.end for span in spans)]
    return sorted([*spans, *free], key=lambda span: span.start)


def _same(kind: str, found: str) -> str:
    """What values that are one have in common."""
    seen = plain(found)
    if kind in ("phone", "ssn", "card"):
        digits = _NOT_DIGIT.sub("", seen)
        return digits[-10:] if kind == "phone" else digits
    return _BLANKS.sub(" ", seen).strip().casefold()
