"""Right answers: what is read of an answer, and what must hold of it.

Belongs here: decoding and checks. Not here: what is asked (see scenarios.py).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from lakehouse.load.steps import Reply, Wrong

_TOLERANCE = 1e-4


class Metadata(msgspec.Struct):
    """Of a result's metadata what filters ask for."""

    role: Any = None
    state: Any = None


class Lift(msgspec.Struct):
    """What playbooks did to a result."""

    boost: float


class Result(msgspec.Struct):
    """One result."""

    id: str
    score: float
    metadata: Metadata
    playbook: Lift | None


class Timings(msgspec.Struct):
    """Of a search's timings what says whether work was done again."""

    embed_cached: bool
    answer_cached: bool


class Found(msgspec.Struct):
    """The answer to a search; `timings_ms` is None where the service says nothing of them."""

    query: str
    results: list[Result]
    timings_ms: Timings | None = None

    @property
    def ids(self) -> list[str]:
        """The results' ids, best first."""
        return [result.id for result in self.results]


class Recorded(msgspec.Struct):
    """The answer to a record."""

    playbook_id: str
    merged: bool


class _Passed(msgspec.Struct):
    findings: list[Any]


_FOUND = msgspec.json.Decoder(Found)
_RECORDED = msgspec.json.Decoder(Recorded)
_PASSED = msgspec.json.Decoder(_Passed)
_REFUSED = msgspec.json.Decoder(dict[str, dict[str, str]])


def read_found(
    reply: Reply, *, query: str, k: int, wanted: Mapping[str, str] | None = None, excluded: Collection[str] = ()
) -> Found:
    """Read the answer to a search.

    Args:
        reply: The answer.
        query: What was searched.
        k: Most results.
        wanted: The filter, of equalities.
        excluded: Ids that must not be there.

    Raises:
        Wrong: It is no answer to that search: another's, empty, too long, unsorted, against the filter, with an id that
            is excluded or comes twice.
    """
    _require_status(reply, 200)
    found: Found = _decoded(_FOUND, reply)
    ids = found.ids
    if found.query != query:
        raise Wrong("the answer is to another query", f"asked {query!r}, answered {found.query!r}")
    if not 0 < len(ids) <= k:
        raise Wrong("there are no results" if not ids else "there are more results than wanted", f"{len(ids)}: {query}")
    if len(set(ids)) < len(ids):
        raise Wrong("a result comes twice", query)
    if excluded and not set(ids).isdisjoint(excluded):
        raise Wrong("an excluded id came back", query)
    before = math.inf
    for result in found.results:  # no generators here and below: they cost the generator of load more than the checks
        if result.score > before + _TOLERANCE:
            raise Wrong("results are not sorted by score", query)
        before = result.score
    for name, value in (wanted or {}).items():
        if [value] * len(ids) != [getattr(result.metadata, name) for result in found.results]:
            raise Wrong("a result is against the filter", f"{name} {value!r}: {query}")
    return found


def require_recorded_answer(found: Found, answer_id: str) -> None:
    """Require that an endorsed answer ranks first, and because of its record."""
    place = next((place for place, result in enumerate(found.results) if result.id == answer_id), None)
    if place is None:
        raise Wrong("a recorded answer is not among the results", f"{answer_id}: {found.query}")
    lift = found.results[place].playbook
    if lift is None or lift.boost <= 0:
        raise Wrong("a recorded answer is not lifted", f"{answer_id}: {found.query}")
    if place:
        above = found.results[0]
        by = "no playbook" if above.playbook is None else f"boost {above.playbook.boost:.3f}"
        raise Wrong(
            "a recorded answer does not rank first",
            f"{answer_id} is at {place + 1} with boost {lift.boost:.3f}, {above.id} first with {by}: {found.query}",
        )


def read_recorded(reply: Reply) -> Recorded:
    """Read the answer to a record."""
    _require_status(reply, 200)
    recorded: Recorded = _decoded(_RECORDED, reply)
    return recorded


def require_passed(reply: Reply) -> None:
    """Require that a validation passed."""
    _require_status(reply, 200)
    _decoded(_PASSED, reply)


def require_refused(reply: Reply, kind: str, *, field: str | None = None, words: str = "") -> None:
    """Require that a validation was refused.

    Args:
        reply: The answer.
        kind: Of error, as its tag says.
        field: That the error names.
        words: That its reason has.
    """
    _require_status(reply, 422)
    refused: dict[str, dict[str, str]] = _decoded(_REFUSED, reply)
    said = refused.get(kind)
    if len(refused) != 1 or said is None:
        raise Wrong(f"an error other than {kind}", reply.body)
    if said.get("field") != field:
        raise Wrong(f"a {kind} error of another field than {field}", reply.body)
    if words not in said.get("reason", ""):
        raise Wrong(f"a {kind} error without the words {words!r}", reply.body)


def require_done(reply: Reply) -> None:
    """Require success, whatever is answered."""
    _require_status(reply, 200)


def _require_status(reply: Reply, status: int) -> None:
    if reply.status != status:
        raise Wrong(f"status {reply.status}, expected {status}", reply.body)


def _decoded(decoder: msgspec.json.Decoder[Any], reply: Reply) -> Any:
    try:
        return decoder.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Wrong("an answer of another shape", f"{error}: {reply.body[:200]!r}") from None
