"""Frames: what was written is what is sent, whatever becomes of the memory; a pipe that breaks is an error, no hang."""

from __future__ import annotations

import threading

import pytest

from lakehouse.adapters.sql_frames import FRAME_BYTES, FrameWriter


def test_memory_that_changes_after_the_write_changes_no_frame() -> None:
    sent: list[bytes] = []
    may_send = threading.Event()

    def send(_: bytes, frame: bytes) -> None:
        may_send.wait(60)
        sent.append(bytes(frame))

    data = bytearray(b"a" * (FRAME_BYTES + 10))
    with FrameWriter(send) as frames:
        assert frames.write(data) == len(data)
        data[:] = b"b" * len(data)  # as the memory of an Arrow buffer that was given back
        may_send.set()
    assert [len(frame) for frame in sent] == [FRAME_BYTES, 10]
    assert b"".join(sent) == b"a" * len(data)


def test_pipe_that_breaks_is_an_error_and_holds_nobody() -> None:
    def send(_: bytes, frame: bytes) -> None:
        raise BrokenPipeError("gone")

    def write_much() -> None:
        with FrameWriter(send) as frames:
            for _ in range(50):
                frames.write(b"x" * FRAME_BYTES)

    with pytest.raises(BrokenPipeError):
        write_much()
