"""Gate: where a sample comes from and by which licence it may be used is known, or it is not used.

Belongs here: source and licence of a run, the check. Not here: who grants them (importers write them into each line).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.refusal import Refused

FOREIGN_STREAMS = frozenset({"agent_trajectories"})
"""Their lines were not logged by this platform: each names its own source and licence."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The source of a sample, and the licence that it is used by."""

    source: str
    licence: str


def grant_of(stream: str, metadata: Mapping[str, Any], parameters: CorpusParameters) -> Grant:
    """Source and licence of a run: its own, or for the platform's own streams the stream and the parameter.

    Raises:
        Refused: There is no licence, no source, or a licence that the parameters do not allow.
    """
    if stream in FOREIGN_STREAMS:
        source, licence = _text(metadata.get("source")), _text(metadata.get("licence"))
    else:
        source, licence = stream, _text(parameters.own_licence)
    if not licence:
        raise Refused("licence", "no licence is known")
    if not source:
        raise Refused("licence", "no source is known")
    if parameters.licences and licence not in parameters.licences:
        raise Refused("licence", "the licence is none of those that the parameters allow")
    return Grant(source, licence)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
