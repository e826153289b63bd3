"""Elements of a file one by one, in bounded memory: lines, elements of an array, members of an object.

Belongs here: where an element stands, what is no element at all. Not here: what it means (each format), where JSON
begins and ends (see lakehouse/ingest/json_elements.py).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from lakehouse.evidence.fitness import MAX_LINE_BYTES, NOT_UTF8, TOO_LONG
from lakehouse.ingest.json_elements import BadDocument, DocumentReader
from lakehouse.trajectories.run import Refusal, Run, Step, Unusable, refusal

MAX_ELEMENT_CHARACTERS = 64 << 20
"""Longer than any line may be, so that an element that is too long is passed over and not the end of the document."""
_BOM = b"\xef\xbb\xbf"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Element:
    """One value of a file: where it stands, its bytes, and its name where it is a member of an object."""

    where: str
    raw: bytes
    name: str = ""


def read_lines(stream: BinaryIO) -> Iterator[Element | Refusal]:
    """The lines of a file that are not empty; a byte order mark is passed over, a line that is too long refused."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        text = line.removeprefix(_BOM) if number == 1 else line
        is_long = len(line) > MAX_LINE_BYTES
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)
        if is_long:
            yield refusal(f"line {number}", TOO_LONG, text)
        elif text.strip():
            yield Element(f"line {number}", text.strip())


def read_array(stream: BinaryIO) -> Iterator[Element | Refusal]:
    """The elements of the array that a file is; where the text is broken, a refusal that ends it.

    What stood before the break was given; what stands behind it is not read.
    """
    reader = open_document(stream)
    try:
        reader.begin()
        if not reader.skip("["):
            reader.fail("the file is not a JSON array")
        reader.space()
        if not reader.skip("]"):
            for number, element in enumerate(reader.array()):
                yield Element(f"element {number} (line {element.line})", _octets(element.text))
        reader.end()
    except BadDocument as error:
        yield broken(error)


def read_members(stream: BinaryIO) -> Iterator[Element | Refusal]:
    """The members of the object that a file is, likewise."""
    reader = open_document(stream)
    try:
        reader.begin()
        if not reader.skip("{"):
            reader.fail("the file is not a JSON object")
        for name in reader.members():
            element = reader.element()
            yield Element(f"{name[:80]!r} (line {element.line})", _octets(element.text), name)
        reader.end()
    except BadDocument as error:
        yield broken(error)


def open_document(stream: BinaryIO) -> DocumentReader:
    """A reader over a file's text; bytes that are no UTF-8 are refused with the element that they are in."""
    text = io.TextIOWrapper(
        io.BufferedReader(_Borrowed(stream), _READ_BYTES), encoding="utf-8", errors="surrogateescape", newline=""
    )
    return DocumentReader(text, MAX_ELEMENT_CHARACTERS)


def broken(error: BadDocument) -> Refusal:
    """The refusal of a document from where it is broken."""
    return refusal(f"line {error.line}", f"is not JSON: {error.reason}; what stands behind it is not read")


def parse(raw: bytes) -> Any:
    """The value of an element's bytes.

    Raises:
        Unusable: They are no JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise Unusable(NOT_UTF8) from None
        raise Unusable(f"is not JSON: {error}") from None


def runs_of(element: Element | Refusal, read: Callable[[Any], Iterator[Run]]) -> Iterator[Step]:
    """The runs of one element, or a refusal with the reason; never some of its runs and a refusal."""
    if isinstance(element, Refusal):
        yield element
        return
    try:
        runs = list(read(parse(element.raw)))
    except Unusable as error:
        yield refusal(element.where, str(error), element.raw)
        return
    yield from runs


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _Borrowed(io.RawIOBase):
    """A stream without the right to close it: a text wrapper that goes out of use closes what it wraps."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
