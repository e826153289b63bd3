"""A training corpus is built in a child process, as an engine over all evidence must not slow down the API.

Belongs here: both sides of the talk (see child_talk.py for how). Not here: building (see corpus_exports.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from lakehouse.adapters.child_talk import answer_parent, ask_child, tell
from lakehouse.settings import load_settings

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
    done = await ask_child(_MODULE, parameters, on_said=lambda said: on_step(said["step"]))
    return BuiltCorpus(**done)


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
    tell(step="reading what is scored, through every gate")
    run = RunFacts(new_id(), f"lakehouse-{version('lakehouse')}")
    done = exports.export(params, run, on_build=lambda _: tell(step="built; keeping its files"))
    return {
        "kind": params.kind, "build_id": done.manifest.build_id, "samples": done.manifest.counts.samples,
        "is_new": done.is_new,
    }  # fmt: skip


if __name__ == "__main__":
    answer_parent(_build)
