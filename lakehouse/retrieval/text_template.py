"""The text of a row: a template whose fields are columns and nothing else.

Belongs here: reading templates, filling them. Not here: where they are declared (see corpus.py), metadata (see
corpus_rows.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from lakehouse.errors import BadInput


@dataclass(frozen=True, slots=True)
class TextPart:
    """One line of a template: literals, each with the field that follows it (None after the last)."""

    segments: tuple[tuple[str, str | None], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns it names."""
        return tuple(field for _, field in self.segments if field is not None)

    def fill(self, values: Mapping[str, str]) -> str | None:
        """The line for one row; None when it has fields and all of them are blank."""
        fields = self.fields
        if fields and not any(values[field].strip() for field in fields):
            return None
        return "".join(literal + ("" if field is None else values[field]) for literal, field in self.segments)


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """Lines that are put together to a row's text; a line of which every field is blank is left out."""

    source: tuple[str, ...]
    parts: tuple[TextPart, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns it names, each once."""
        return tuple(dict.fromkeys(field for part in self.parts for field in part.fields))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text of one row; empty when no field has a value.

        Args:
            values: A text for each of `fields`, see `text_of`.
        """
        lines = [(line, bool(part.fields)) for part in self.parts if (line := part.fill(values)) is not None]
        return "\n".join(line for line, _ in lines) if any(has_fields for _, has_fields in lines) else ""


def parse_template(source: str | Sequence[str]) -> TextTemplate:
    """Read a template: one line, or several.

    A field is a column's name in braces, whatever its characters; `{{` and `}}` are braces. Conversions and formats
    (`{a!r}`, `{a:>10}`) are refused, and a dot or bracket in a name is only a character.

    Raises:
        BadInput: Saying what is wrong with it.
    """
    lines = (source,) if isinstance(source, str) else tuple(source)
    parts = tuple(_parse_line(line) for line in lines)
    if not any(part.fields for part in parts):
        raise BadInput("the text names no column; put columns in braces, as in '{title}. {description}'")
    return TextTemplate(lines, parts)


def text_of(value: Any) -> str:
    """A value as it stands in a text: nothing for null, elements of a list with commas between."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(text_of(element) for element in value)
    return str(value)


def _parse_line(line: str) -> TextPart:
    try:
        parsed = list(Formatter().parse(line))
    except ValueError as error:
        raise BadInput(f"the text {line[:80]!r} has an odd brace ({error}); write {{{{ or }}}} for a brace") from None
    segments = []
    for literal, field, spec, conversion in parsed:
        if field is not None and not field:
            raise BadInput(f"the text {line[:80]!r} has an empty field {{}}; name the column")
        if spec or conversion:
            raise BadInput(f"the field {field!r} has a format or conversion; only the column's name may be in braces")
        segments.append((literal, field))
    return TextPart(tuple(segments))
