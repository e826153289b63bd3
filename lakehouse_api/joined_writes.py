"""Joined writes: the head of an answer and its body go out in one packet and one system call, not two.

Belongs here: `JoinedWrites`. Not here: what is written (see http_protocol.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

_MOST_HELD_BYTES = 64 << 10


class JoinedWrites:
    """A transport that holds what is written until the loop's turn ends, 64 KiB at the most.

    Args:
        transport: The real transport; all other attributes of this object are its own.
        loop: Its loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` in its turn."""
        if len(data) >= _MOST_HELD_BYTES:  # joining it would copy it
            self.flush()
            self._transport.write(data)
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= _MOST_HELD_BYTES:
            self.flush()

    def write_now(self, data: bytes) -> None:
        """Send what is held, and then `data`, a whole answer, at once."""
        if self._held:
            self.flush()
        if not self._transport.is_closing():
            self._transport.write(data)

    def flush(self) -> None:
        """Send what is held now."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def is_closing(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection when everything has gone out."""
        self.flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken yet, as far as this process knows."""
        return self._transport.get_write_buffer_size() + self._held_bytes
