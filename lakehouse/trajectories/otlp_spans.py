"""Spans of OTLP JSON one by one: of one document of any length, or of lines with one export request each.

Belongs here: where spans are in a file, attributes as plain values. Not here: what a span means (see otlp_genai.py).

Source: OTLP 1.9, `ExportTraceServiceRequest` in its JSON encoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from lakehouse.evidence.fitness import MAX_LINE_BYTES
from lakehouse.ingest.json_elements import BadDocument, DocumentReader
from lakehouse.trajectories.elements import Element, broken, open_document, parse, read_lines
from lakehouse.trajectories.run import OpenFile, Refusal, Unusable, refusal
from lakehouse.trajectories.values import a_list, an_object

_PATH = ("resourceSpans", "scopeSpans", "spans")
_CUT = 16
"""So near to the end of a line the parser names the place where it misses what follows."""


def read_spans(name: str, open_file: OpenFile) -> Iterator[tuple[str, Any] | Refusal]:
    """The spans of a file with their places; a line, or the rest of a document, that cannot be read is a refusal."""
    with open_file(name) as stream:
        is_lines = _is_lines(stream)
    with open_file(name) as stream:
        if is_lines:
            yield from _of_lines(stream)
        else:
            yield from _of_document(stream)


def attributes_of(owner: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as plain values by key.

    Raises:
        Unusable: They are no list of keys and values.
    """
    found: dict[str, Any] = {}
    for place, given in enumerate(a_list(owner.get("attributes") or [], "attributes")):
        pair = an_object(given, f"attributes[{place}]")
        found[str(pair.get("key"))] = plain(pair.get("value"))
    return found


def plain(value: Any) -> Any:
    """An OTLP `AnyValue` as the value that it stands for; whole numbers come as texts there.

    Raises:
        Unusable: It is no such value.
    """
    if not isinstance(value, dict):
        return None
    for kind, held in value.items():
        if kind in ("stringValue", "boolValue", "bytesValue"):
            return held
        if kind == "intValue":
            return _integer(held)
        if kind == "doubleValue":
            return held if isinstance(held, int | float) else None
        if kind == "arrayValue":
            return [plain(v) for v in a_list(an_object(held, kind).get("values") or [], "values")]
        if kind == "kvlistValue":
            pairs = a_list(an_object(held, kind).get("values") or [], "values")
            return {str(an_object(p, "a pair").get("key")): plain(p.get("value")) for p in pairs}
    return None


def nanoseconds(value: Any) -> int | None:
    """A fixed64 time, which is a text in JSON; 0 and None are no time."""
    return (_integer(value) or None) if isinstance(value, str | int) else None


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Unusable(f"{str(value)[:40]!r} is not a whole number") from None


def _is_lines(stream: BinaryIO) -> bool:
    """Whether the first line that is not empty is a document of its own, or broken for a reason that is not its end."""
    line = b""
    while not line.strip():
        line = stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            return True
    if len(line) > MAX_LINE_BYTES:
        return False
    text = line.decode("utf-8-sig", "surrogateescape").rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return not (error.msg.startswith("Unterminated") or error.pos >= len(text) - _CUT)
    except RecursionError:
        return False
    return True


def _of_lines(stream: BinaryIO) -> Iterator[tuple[str, Any] | Refusal]:
    for element in read_lines(stream):
        if isinstance(element, Refusal):
            yield element
            continue
        try:
            spans = list(_within(parse(element.raw), element))
        except Unusable as error:
            yield refusal(element.where, str(error), element.raw)
            continue
        yield from spans


def _within(request: Any, element: Element) -> Iterator[tuple[str, Any]]:
    """The spans of one export request, down the path of arrays."""
    owners = [an_object(request, "the line")]
    if _PATH[0] not in owners[0]:
        raise Unusable(f"has no {_PATH[0]}")
    for name in _PATH[:-1]:
        owners = [an_object(v, name) for owner in owners for v in a_list(owner.get(name) or [], name)]
    spans = [span for owner in owners for span in a_list(owner.get(_PATH[-1]) or [], _PATH[-1])]
    for number, span in enumerate(spans):
        yield f"{element.where}, span {number}", span


def _of_document(stream: BinaryIO) -> Iterator[tuple[str, Any] | Refusal]:
    reader = open_document(stream)
    try:
        reader.begin()
        if not reader.skip("{"):
            reader.fail("the file is not a JSON object")
        yield from _walk(reader, 0)
        reader.end()
    except BadDocument as error:
        yield broken(error)


def _walk(reader: DocumentReader, depth: int) -> Iterator[tuple[str, Any] | Refusal]:
    """The spans below an object, from behind its brace; what is not on the path is passed over."""
    has_any = False
    for name in reader.members():
        if name != _PATH[depth] or not reader.skip("["):
            reader.element()
            continue
        has_any = True
        reader.space()
        if reader.skip("]"):
            continue
        if depth == len(_PATH) - 1:
            yield from _spans(reader)
            continue
        while True:
            if not reader.skip("{"):
                reader.fail(f"an element of {name} is not an object")
            yield from _walk(reader, depth + 1)
            reader.space()
            if reader.skip("]"):
                break
            if not reader.skip(","):
                reader.fail(f"{reader.next!r} where a comma or the end of {name} is needed")
            reader.space()
    if depth == 0 and not has_any:
        yield refusal(f"line {reader.line}", f"the document has no {_PATH[0]}")


def _spans(reader: DocumentReader) -> Iterator[tuple[str, Any] | Refusal]:
    for element in reader.array():
        where = f"line {element.line}"
        try:
            yield where, parse(element.text.encode("utf-8", "surrogateescape"))
        except Unusable as error:
            yield refusal(where, str(error), element.text.encode("utf-8", "surrogateescape"))
