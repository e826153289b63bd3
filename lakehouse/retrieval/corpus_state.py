"""The state of corpora: what is declared, what is built, what serves; from declarations and pointers alone.

Belongs here: the comparison. Not here: files (see lakehouse/adapters/corpus_files.py), numbers of a table's files (see
lakehouse/adapters/lance_upkeep.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import BadInput
from lakehouse.retrieval.corpus import CorpusDeclaration, part_names
from lakehouse.retrieval.live_table import LiveTable

State = Literal["built", "partly built", "not built", "declaration changed", "undeclared", "broken"]


@dataclass(frozen=True, slots=True)
class CorpusState:
    """One corpus or index. `problem` says what is broken."""

    name: str
    kind: str
    state: State
    rows: int = 0
    embedder: str = ""
    dimension: int = 0
    fragments: int = 0
    version: int = 0
    updated_at: str = ""
    source: str = ""
    problem: str = ""


def state_of(
    name: str,
    declared: CorpusDeclaration | str | None,
    live: LiveTable | str | None,
    *,
    name_of: Callable[[str | None], str],
) -> CorpusState:
    """Compare a declaration with what serves.

    Args:
        name: The corpus.
        declared: Its declaration, why that cannot be read, or None.
        live: Its pointer, why that cannot be read, or None.
        name_of: The name of a declared embedder, as a corpus stores it.
    """
    if isinstance(live, str):
        return CorpusState(name, "corpus", "broken", problem=live)
    state, problem = _state(declared, live, name_of)
    if live is None:
        embedder = "" if not isinstance(declared, CorpusDeclaration) else declared.embedder or "default"
        return CorpusState(name, "corpus", state, embedder=embedder, source=_source(declared), problem=problem)
    return CorpusState(
        name,
        str(live.info.get("kind", "index")),
        state,
        rows=live.rows,
        embedder=str(live.info.get("embedder") or ""),
        dimension=int(live.info.get("dimension") or 0),
        fragments=live.fragments,
        version=live.version,
        updated_at="" if live.updated_at is None else format_utc(live.updated_at),
        source=_source(declared),
        problem=problem,
    )


def parts_behind(
    declaration: CorpusDeclaration, live: LiveTable | None, *, embedder: str, source_fingerprint: str
) -> list[str]:
    """The parts that a build would find work in.

    Args:
        declaration: The corpus.
        live: Its pointer.
        embedder: The name of its embedder, as a corpus stores it.
        source_fingerprint: Of its source as it is now.
    """
    built: Mapping[str, Mapping[str, Any]] = {}
    if live is not None:
        fingerprint = declaration.fingerprint(embedder)
        if live.info.get("fingerprint") == fingerprint:
            built = live.info.get("built", {})
        elif live.successor is not None and live.successor.tag == fingerprint:
            built = live.successor.built
    parts = part_names(declaration.partitions)
    return [part for part in parts if built.get(part, {}).get("source") != source_fingerprint]


def _state(
    declared: CorpusDeclaration | str | None, live: LiveTable | None, name_of: Callable[[str | None], str]
) -> tuple[State, str]:
    if declared is None:
        return "undeclared", ""
    if isinstance(declared, str):
        return "broken", declared
    try:
        fingerprint = declared.fingerprint(name_of(declared.embedder))
    except BadInput as error:
        return "broken", error.detail
    if live is None:
        return "not built", ""
    if live.info.get("fingerprint") != fingerprint:
        return "declaration changed", ""
    built: Mapping[str, object] = live.info.get("built", {})
    missing = set(part_names(declared.partitions)) - built.keys()
    return ("not built" if not built else "partly built" if missing else "built"), ""


def _source(declared: CorpusDeclaration | str | None) -> str:
    if not isinstance(declared, CorpusDeclaration):
        return ""
    return f"dataset {declared.dataset}" if declared.dataset is not None else "files"
