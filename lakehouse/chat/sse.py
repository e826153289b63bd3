"""Server-sent events as chat providers send them.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream; only `data` matters to
chat completions, and a comment (OpenRouter's keep-alive) is none.

Belongs here: taking events out of bytes, and writing them. Not here: what they hold (see completion.py).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from lakehouse.errors import ProviderFailed

# A CR at the end of what has come may be half of a CRLF.
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\n)(?=.)", re.DOTALL)
_BOM = b"\xef\xbb\xbf"
DONE = b"data: [DONE]\n\n"


async def events(chunks: AsyncIterator[bytes], *, max_bytes: int) -> AsyncIterator[bytes]:
    """The data of each event.

    Args:
        chunks: Bytes as they come, cut anywhere.
        max_bytes: Most bytes of the whole stream.

    Raises:
        ProviderFailed: There are more.
    """
    buffer = bytearray()
    data: list[bytes] = []
    taken = 0
    async for chunk in chunks:
        taken += len(chunk)
        if taken > max_bytes:
            raise ProviderFailed(f"a chat stream went past {max_bytes} bytes")
        buffer += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            continue
        *lines, rest = _LINE_END.split(bytes(buffer))
        buffer = bytearray(rest)
        for line in lines:
            event = _take(line, data)
            if event is not None:
                yield event
    for line in (bytes(buffer).rstrip(b"\r"), b""):  # a server that ends without the empty line
        event = _take(line, data)
        if event is not None:
            yield event


def event_of(data: bytes) -> bytes:
    """One event; `data` has no line break."""
    return b"data: " + data + b"\n\n"


def _take(line: bytes, data: list[bytes]) -> bytes | None:
    line = line.removeprefix(_BOM)
    if line.startswith(b"data:"):
        data.append(line[5:].removeprefix(b" "))
    elif not line and data:
        event = b"\n".join(data)
        data.clear()
        return event
    return None
