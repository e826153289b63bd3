"""The answer of a search, and the part of it that is the same for all equal searches.

Belongs here: the shapes, making results out of candidates. Not here: the search (see search_service.py), the line of
the log (see search_log.py), JSON (see lakehouse_api/routes/matrix.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import msgspec
import numpy as np

from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.masking import masked_metadata
from lakehouse.retrieval.matrix import Candidate, Counts, Merged
from lakehouse.retrieval.search_request import Plan
from lakehouse.retrieval.trace import Arm, encode_shown

_MAX_SHOWN = 200
# Measured bytes of an answer, and of a result and its JSON without the metadata.
_ANSWER_BYTES = 7_000
_RESULT_BYTES = 1_000


class Result(msgspec.Struct, frozen=True):
    """One result; `metadata` is a JSON object as bytes, with personal fields masked where the token needs it."""

    candidate: Candidate
    metadata: bytes


class SearchAnswer(msgspec.Struct, frozen=True):
    """What a search gives. Times are milliseconds with three decimals.

    `unjudged` says to which corpora a threshold did not apply, and why. `shared` is one dictionary for all answers with
    the same results, for what is computed from these once.
    """

    run_id: str
    plan: Plan
    results: list[Result]
    counts: Mapping[str, Counts]
    is_downgraded: bool
    arm: Arm
    config_version: str
    trace_id: str
    stale: list[str]
    unjudged: Mapping[str, str]
    embed_ms: float
    search_ms: float
    merge_ms: float
    total_ms: float
    is_embedding_cached: bool
    is_answer_cached: bool
    shared: dict[str, bytes] = {}


_metadata_in = attrgetter("metadata")


class Answered(msgspec.Struct, frozen=True):
    """What is the same for every search of one key; `shown` is as traces hold it, `shared` as `SearchAnswer` has it."""

    results: list[Result]
    merged: Merged
    shown: bytes
    shared: dict[str, bytes] = {}


class Times(msgspec.Struct, frozen=True):
    """When the steps of a search were done, in seconds; None for the steps that a cached answer did not need."""

    begun: float
    embedded: float | None = None
    searched: float | None = None
    is_embedding_cached: bool = True


def answered_with(merged: Merged, views: Sequence[CorpusView], *, has_pii: bool) -> Answered:
    """The results that candidates make.

    Args:
        merged: The candidates.
        views: The corpora that they are of.
        has_pii: False: personal fields are masked.
    """
    shown = ((c.corpus, c.id, c.lift.playbook_ids if c.lift else ()) for c in merged.results[:_MAX_SHOWN])
    return Answered(_results(merged.results, views, has_pii=has_pii), merged, encode_shown(shown))


def answered_bytes(answered: Answered) -> int:
    """About how many bytes a cached answer takes: its metadata counts twice, once for the JSON made from it."""
    metadata = sum(map(len, map(_metadata_in, answered.results)))
    return _ANSWER_BYTES + len(answered.shown) + _RESULT_BYTES * len(answered.results) + 2 * metadata


def _results(candidates: Sequence[Candidate], views: Sequence[CorpusView], *, has_pii: bool) -> list[Result]:
    if len(views) == 1:
        return list(map(Result, candidates, _metadata(candidates, views[0], has_pii=has_pii)))
    found: dict[int, bytes] = {}
    for view in views:
        places = [n for n, candidate in enumerate(candidates) if candidate.corpus == view.name]
        mine = _metadata([candidates[n] for n in places], view, has_pii=has_pii)
        found.update(zip(places, mine, strict=True))
    return [Result(candidate, found[n]) for n, candidate in enumerate(candidates)]


def _metadata(candidates: Sequence[Candidate], view: CorpusView, *, has_pii: bool) -> list[bytes]:
    if not candidates:
        return []
    documents = view.metadata_of(np.array([candidate.row for candidate in candidates], np.int64))
    if has_pii or not view.personal:
        return documents
    return [masked_metadata(document, view.personal) for document in documents]
