"""A training corpus built in a process of its own: an engine over all evidence has no place in a process that answers.

The parent starts `python -m lakehouse.adapters.export_child` with its own environment, writes the parameters to stdin
as JSON, and reads lines of JSON from stdout: `{"step"}` while it goes on, one `{"done"}` or one `{"error"}` at the end.

Belongs here: both sides of that talk. Not here: building (see corpus_exports.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import orjson

from lakehouse.errors import BadInput, LakehouseError, Unavailable
from lakehouse.settings import load_settings, process_environ

_MODULE = "lakehouse.adapters.export_child"


@dataclass(frozen=True, slots=True)
class BuiltCorpus:
    """What came of a build; `is_new` is False where the same one was there already."""

    kind: str
    build_id: str
    samples: int
    is_new: bool


async def build_in_child(parameters: Mapping[str, Any], *, on_step: Callable[[str], None]) -> BuiltCorpus:
    """Build a corpus and wait for it; cancelled, the child ends with it.

    Args:
        parameters: `kind` and what differs from its defaults.
        on_step: Told what is done now.

    Raises:
        BadInput: The parameters are wrong, or the build was refused; the message says why.
        Unavailable: The child ended without a word.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _MODULE,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=process_environ(),
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(orjson.dumps(dict(parameters)))
        child.stdin.close()
        async for line in child.stdout:
            said = orjson.loads(line)
            if "step" in said:
                on_step(said["step"])
            elif "done" in said:
                return BuiltCorpus(**said["done"])
            elif "error" in said:
                raise BadInput(said["error"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    raise Unavailable("the process that builds has ended without a word; the log of the API says why", retry_after_s=5)


def main() -> None:
    """Build what stdin asks for, and tell of it on stdout."""
    try:
        _tell(done=_build(orjson.loads(sys.stdin.buffer.read())))
    except LakehouseError as error:
        _tell(error=error.detail)


def _build(parameters: dict[str, Any]) -> dict[str, Any]:
    from lakehouse.adapters.connect import connect_store, read_location
    from lakehouse.adapters.corpus_exports import CorpusExports
    from lakehouse.adapters.evidence_materializer import RunFacts
    from lakehouse.clock import new_id
    from lakehouse.distillation.parameters import read_parameters

    params = read_parameters(parameters)
    settings = load_settings()
    exports = CorpusExports(
        connect_store(settings), read_location(settings), work_dir=settings.data_dir / "tmp" / "exports"
    )
    _tell(step="reading what is scored, through every gate")
    run = RunFacts(new_id(), f"lakehouse-{version('lakehouse')}")
    done = exports.export(params, run, on_build=lambda _: _tell(step="built; keeping its files"))
    return {
        "kind": params.kind, "build_id": done.manifest.build_id, "samples": done.manifest.counts.samples,
        "is_new": done.is_new,
    }  # fmt: skip


def _tell(**said: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
