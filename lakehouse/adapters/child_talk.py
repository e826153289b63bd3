"""How this process talks with a child process that does long work: it sends a document and reads lines of JSON.

The parent starts `python -m <module>` with its own environment, writes the document to stdin, and reads lines from
stdout: progress of any kind, then one `{"done"}` or one `{"error"}`. A child whose parent is gone ends, since nobody
would read its result and a new attempt would run beside it.

Belongs here: both sides of the talk. Not here: what children do (see export_child.py, replay_child.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from lakehouse.errors import BadInput, LakehouseError, Unavailable
from lakehouse.settings import process_environ

_LINE_BYTES = 1 << 20
_LOOK_S = 0.5
_parents: list[int] = []
"""In a child: the pipe to the parent."""


async def ask_child(module: str, document: Mapping[str, Any], *, on_said: Callable[[dict[str, Any]], None]) -> Any:
    """Let a child work and wait for it; cancelled, the child ends with it.

    Args:
        module: What it runs; its main is `answer_parent`.
        document: What it is to do.
        on_said: Given every line before the last.

    Returns:
        What the child says it has done.

    Raises:
        BadInput: The child refused; the message says why.
        Unavailable: It ended without a word.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(os.getpid()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=process_environ(), limit=_LINE_BYTES,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):  # the child has ended already; reading its output tells how
            child.stdin.write(orjson.dumps(dict(document)))
            await child.stdin.drain()
        child.stdin.close()
        async for line in child.stdout:
            said = orjson.loads(line)
            if "done" in said:
                return said["done"]
            if "error" in said:
                raise BadInput(said["error"])
            on_said(said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    raise Unavailable("the process that works has ended without a word; the log of the API says why", retry_after_s=5)


def answer_parent(work: Callable[[dict[str, Any]], Any]) -> None:
    """The child's side: do what stdin asks for, and tell how it ended.

    Args:
        work: Given the document; what it returns is what was done.
    """
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    told = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    _parents.append(told)
    try:
        tell(done=work(orjson.loads(sys.stdin.buffer.read())))
    except LakehouseError as error:
        tell(error=error.detail)


def tell(**said: Any) -> None:
    """Tell the parent something."""
    with os.fdopen(_parents[-1], "wb", closefd=False) as stream:
        stream.write(orjson.dumps(said, default=str) + b"\n")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        threading.Event().wait(_LOOK_S)
    os._exit(1)
