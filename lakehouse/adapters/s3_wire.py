"""One connection to a store that speaks plain HTTP/1.1: a request goes out in one piece, its answer is read whole.

The standard library's client parses the head of an answer as an e-mail, and costs four times as much, all of it under
the GIL.

Belongs here: bytes of requests and answers, and whether a connection can be used again. Not here: what is asked, when
again, signatures (see s3_direct.py).
"""

from __future__ import annotations

import io
import select
import socket
from collections.abc import Mapping
from http.client import BadStatusLine, IncompleteRead, LineTooLong, RemoteDisconnected
from typing import NamedTuple

_RECEIVE_BYTES = 64 << 10
_MOST_HEAD_BYTES = 64 << 10
_MOST_JOINED_BYTES = 256 << 10
_CHUNK_LINE_BYTES = 1 << 10
_HTTP_PORT = 80
_AS_IT_IS = "accept-encoding: identity\r\n"
_WITHOUT_BODY = (204, 304)


class Answer(NamedTuple):
    """An answer: its status, its headers by their names in small letters, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection, for one request at a time.

    Args:
        host: Name or address, with the port where it is not 80.
        connect_timeout_s: How long to wait for the connection.
        read_timeout_s: How long to wait for the next bytes.

    Raises:
        OSError: Nobody takes it.
    """

    def __init__(self, host: str, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._host = host
        self._socket = socket.create_connection(_address(host), timeout=connect_timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(read_timeout_s)
        self._read = b""
        self.can_be_kept = True

    def close(self) -> None:
        """End it."""
        self.can_be_kept = False
        self._socket.close()

    def is_silent(self) -> bool:
        """Whether nothing came since the last answer: neither its end nor words, such as 408 before a server closes."""
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        return not ready.poll(0)

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read its answer.

        Args:
            method: `GET` or `PUT`.
            target: Path and query, encoded.
            headers: With that of the host.
            body: Empty: none.

        Raises:
            OSError: It broke; `RemoteDisconnected`, which is one, before anything of the answer came.
            HTTPException: What came is no answer, or not all of it.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target} HTTP/1.1\r\n{_AS_IT_IS}{lines}\r\n".encode("latin-1")
        self._send(head, body)
        status = 100
        while status < 200:  # such as 100, before the answer
            version, status, told = self._head()
        length = told.get("content-length")
        if status in _WITHOUT_BODY:
            content = b""
        elif told.get("transfer-encoding", "").lower() == "chunked":
            content = self._chunks()
        elif length is not None:
            content = self._exactly(_number(length, base=10))
        else:
            content = self._rest()
        if version == "HTTP/1.0" or told.get("connection", "").lower() == "close" or self._read:
            self.can_be_kept = False
        return Answer(status, told, content)

    def _send(self, head: bytes, body: bytes) -> None:
        try:
            if len(body) <= _MOST_JOINED_BYTES:
                self._socket.sendall(head + body)
            else:  # a large body is sent by itself, as joining it to the head would copy it
                self._socket.sendall(head)
                self._socket.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a request may answer before it has the whole body, so the answer is read even when
            # sending fails.
            self.can_be_kept = False

    def _head(self) -> tuple[str, int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n", _MOST_HEAD_BYTES).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
            raise BadStatusLine(first)
        told = {}
        for line in lines:
            name, _, value = line.partition(":")
            told[name.lower()] = value.strip()
        return version, int(rest[:3]), told

    def _until(self, end: bytes, most: int) -> bytes:
        """What comes before an end, which is read, too."""
        while (at := self._read.find(end)) < 0:
            if len(self._read) > most:
                raise LineTooLong("head of an answer")
            more = self._socket.recv(_RECEIVE_BYTES)
            if not more:
                raise IncompleteRead(self._read) if self._read else RemoteDisconnected("it closed without an answer")
            self._read += more
        found, self._read = self._read[:at], self._read[at + len(end) :]
        return found

    def _exactly(self, size: int) -> bytes:
        if len(self._read) >= size:
            found, self._read = self._read[:size], self._read[size:]
            return found
        whole, done = io.BytesIO(), len(self._read)  # gives its bytes without a copy
        whole.seek(size - 1)
        whole.write(b"\0")
        with whole.getbuffer() as left:
            left[:done], self._read = self._read, b""
            while done < size:
                count = self._socket.recv_into(left[done:])
                if not count:
                    raise IncompleteRead(bytes(left[:done]), size - done)
                done += count
        return whole.getvalue()

    def _chunks(self) -> bytes:
        parts = []
        while size := _number(self._until(b"\r\n", _CHUNK_LINE_BYTES).split(b";")[0].decode("latin-1"), base=16):
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise IncompleteRead(b"".join(parts))
        while self._until(b"\r\n", _MOST_HEAD_BYTES):  # trailers end with an empty line
            pass
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts, self._read, self.can_be_kept = [self._read], b"", False
        while more := self._socket.recv(_RECEIVE_BYTES):
            parts.append(more)
        return b"".join(parts)


def _address(host: str) -> tuple[str, int]:
    """Name and port of what a URL has between its scheme and its path."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, str(_HTTP_PORT)
    return name.strip("[]"), int(port) if port else _HTTP_PORT


def _number(text: str, *, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise BadStatusLine(text)
    return number
