"""The elements of a JSON document one by one: those of the array that it is, or the one value that it is; on demand the
members of an object as well.

The text of an element is given as it stands, so that nothing is rounded on the way; only line breaks between its tokens
become spaces. Memory holds one element and a window.

Belongs here: where elements begin and end. Not here: what they mean (see lakehouse/adapters/conversion_json.py).

Source: RFC 8259.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, TextIO

WINDOW_CHARACTERS = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_BREAKS = str.maketrans("\r\n", "  ")
# Where the text ends in the midst of a token, the parser names a place at most so far from the end.
_TOKEN_CHARACTERS = 16


class BadDocument(ValueError):
    """The text is no JSON: the line (from 1) and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Element:
    """One value of a document: its text on one line, and the line of the document that it begins in."""

    line: int
    text: str


def read_elements(stream: TextIO, *, most_characters: int) -> Iterator[Element]:
    """Read a document; a byte order mark is passed over.

    Args:
        stream: Its text, with line ends as they are.
        most_characters: Longest element.

    Raises:
        BadDocument: At the first place that is no JSON, or an element that is too long; those before were given.
    """
    reader = DocumentReader(stream, most_characters)
    reader.begin()
    if reader.skip("["):
        reader.space()
        if not reader.skip("]"):
            yield from reader.array()
    else:
        yield reader.element()
    reader.end()


class DocumentReader:
    """A window of the text, and how far it has been read.

    Args:
        stream: The text, with line ends as they are.
        most_characters: Longest element.

    Raises of every reading:
        BadDocument: What stands there is no JSON.
    """

    def __init__(self, stream: TextIO, most_characters: int) -> None:
        self._stream = stream
        self._most = most_characters
        self._window = ""
        self._at = 0
        self._line = 1
        self._is_whole = False
        self._decode = json.JSONDecoder(parse_int=float, parse_constant=_refuse_constant).raw_decode

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        if self._at == len(self._window):
            self._more(WINDOW_CHARACTERS)
        return self._window[self._at : self._at + 1]

    @property
    def line(self) -> int:
        """The line, from 1, that is read next."""
        return self._line

    def begin(self) -> None:
        """Pass over a byte order mark and white space."""
        self.skip("\ufeff")
        self.space()

    def end(self) -> None:
        """Refuse what stands behind the document."""
        self.space()
        if self.next:
            self.fail(f"{self.next!r} after the end of the document")

    def fail(self, reason: str, at: int | None = None) -> NoReturn:
        """Refuse the document for what stands at a place of the window."""
        raise BadDocument(self._line + self._window.count("\n", self._at, at or self._at), reason)

    def skip(self, character: str) -> bool:
        """Pass over a character, if it is the next."""
        is_next = self.next == character
        self._at += is_next
        return is_next

    def space(self) -> None:
        """Pass over white space."""
        while self.next:
            found = _SPACE.match(self._window, self._at)
            assert found is not None
            self._pass(found.end())
            if self._at < len(self._window):
                return

    def array(self) -> Iterator[Element]:
        """The elements up to the bracket that ends them."""
        while True:
            yield self.element()
            self.space()
            if self.skip("]"):
                return
            if not self.skip(","):
                self.fail(f"{self.next!r} where a comma or the end of the array is needed" if self.next else _OPEN)
            self.space()

    def members(self) -> Iterator[str]:
        """The names of an object's members up to the brace that ends it, from behind the one that begins it.

        After each name its value is next, and must have been read before the next name is asked for.
        """
        self.space()
        if self.skip("}"):
            return
        while True:
            if self.next != '"':
                self.fail(f"{self.next!r} where a name is needed" if self.next else _OPEN)
            name = json.loads(self.element().text)
            self.space()
            if not self.skip(":"):
                self.fail(f"{self.next!r} where a colon is needed" if self.next else _OPEN)
            self.space()
            yield name
            self.space()
            if self.skip("}"):
                return
            if not self.skip(","):
                self.fail(f"{self.next!r} where a comma or the end of the object is needed" if self.next else _OPEN)
            self.space()

    def element(self) -> Element:
        """The next value."""
        line, size = self._line, WINDOW_CHARACTERS
        while True:
            try:
                _, end = self._decode(self._window, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos >= len(self._window) - _TOKEN_CHARACTERS
                if self._is_whole or not is_cut:
                    self.fail(error.msg if self.next else _OPEN, error.pos)
            except RecursionError:
                self.fail("an element is nested too deep")
            except _Constant as error:
                self.fail(f"{error} is not JSON")
            else:
                # A number may go on behind the window.
                if end < len(self._window) - _TOKEN_CHARACTERS or self._is_whole:
                    text = self._window[self._at : end]
                    self._pass(end)
                    return Element(line, text.translate(_BREAKS))
            if len(self._window) - self._at > self._most:
                self.fail(f"an element of more than {self._most:,} characters")
            self._more(size)
            size *= 2  # what is begun anew for a long element stays in proportion

    def _pass(self, end: int) -> None:
        self._line += self._window.count("\n", self._at, end)
        self._at = end

    def _more(self, size: int) -> None:
        more = self._stream.read(size)
        self._is_whole = not more
        self._window, self._at = self._window[self._at :] + more, 0


_OPEN = "the document ends before its last bracket"


class _Constant(ValueError):
    """NaN, Infinity or -Infinity."""


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)
