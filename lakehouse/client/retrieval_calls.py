"""The calls about retrieval: search, playbooks, outcomes, indexes, embeddings, configs. Each function is one route.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), data (see data_calls.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from lakehouse.client.answers import (
    BulkRecorded,
    IndexResult,
    IndexView,
    Page,
    Recorded,
    SearchAnswer,
)
from lakehouse.client.arrow import encode_table
from lakehouse.client.call import ARROW, JSON, Call, encode, listed, member, nothing, path_of, query_of, read_json

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Vector = Sequence[float] | NDArray[np.float32]

_PLAYBOOKS = ("v1", "matrix", "playbooks")
_INDEX = ("v1", "vectors", "index")


def search(
    query: str,
    corpora: str | Sequence[str],
    *,
    k: int | None = None,
    per_corpus_k: int | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - as on the wire
    sql_filter: str | None = None,
    exclude_ids: Sequence[str] = (),
    use_playbook: bool | Literal["auto"] = "auto",
    playbook: Mapping[str, Any] | None = None,
    mode: Literal["vector", "text", "hybrid"] | None = None,
    relevance_threshold: float | None = None,
    model: str | None = None,
    force_full: bool = False,
    min_revision: str | None = None,
) -> Call[SearchAnswer]:
    """Search corpora together; playbooks lift what worked before and sink what failed.

    Args:
        query: What is looked for.
        corpora: Corpora or indexes, by name; one or several.
        k: Most results; default: the live config's.
        per_corpus_k: Candidates of each corpus.
        filter: On metadata, such as `{"state": "OH", "rate": {"gte": 20}}`; holds before the search.
        sql_filter: A boolean SQL expression over the dataset behind a corpus.
        exclude_ids: Never returned.
        use_playbook: `"auto"` serves a share of searches without, as the hold-out.
        playbook: `{top_k, max_distance, boost, half_life_days}` over the config's.
        mode: By meaning, by words or by both; default: the config's.
        relevance_threshold: Drops results whose probability of being relevant is lower; the answer's `unjudged` names
            the corpora that it cannot judge.
        model: The asking model, for the downgrade gate.
        force_full: No downgrade, whatever the model.
        min_revision: Waits up to 2 s until this write is visible.
    """
    body = encode(
        query=query,
        corpora=listed(corpora),
        k=k,
        per_corpus_k=per_corpus_k,
        filter=filter,
        sql_filter=sql_filter,
        exclude_ids=listed(exclude_ids) or None,
        use_playbook=use_playbook,
        playbook=playbook,
        mode=mode,
        relevance=None if relevance_threshold is None else {"threshold": relevance_threshold},
        model=model,
        force_full=force_full or None,
        min_revision=min_revision,
    )
    return Call("POST", "/v1/matrix/search", read_json, body=body)


def record_playbook(
    query: str,
    answer_id: str,
    *,
    answer_corpus: str | None = None,
    score: float = 1.0,
    tags: Sequence[str] = (),
    key: str | None = None,
) -> Call[Recorded]:
    """Record that an answer worked (score up to 1) or failed (down to −1); of one `key` the latest counts."""
    record = {"query": query, "answer_id": answer_id, "answer_corpus": answer_corpus, "score": score, "key": key}
    body = encode(**record, tags=listed(tags) or None)
    return Call("POST", path_of(*_PLAYBOOKS, "record"), read_json, body=body, is_repeatable=False)


def record_playbooks(records: Sequence[Mapping[str, Any]]) -> Call[list[BulkRecorded]]:
    """Record many, each `{query, answer_id, answer_corpus, score, tags, key}`; good ones are kept."""
    body = encode(records=list(records))
    return Call("POST", path_of(*_PLAYBOOKS, "bulk"), member("results"), body=body, is_repeatable=False)


def judge_playbook(playbook_id: str, score: float) -> Call[Recorded]:
    """Judge an entry: −1 sinks its answer in later searches, 1 lifts it."""
    body = encode(playbook_id=playbook_id, score=score)
    return Call("POST", path_of(*_PLAYBOOKS, "feedback"), read_json, body=body, is_repeatable=False)


def list_playbooks(*, limit: int = 100, start_after: str = "", min_revision: str | None = None) -> Call[Page]:
    """List entries, oldest first, a page of up to 1000 at a time; waits up to 2 s until a write is visible."""
    params = query_of(limit=limit, start_after=start_after or None, min_revision=min_revision)
    return Call("GET", path_of(*_PLAYBOOKS), read_json, params=params)


def delete_playbook(playbook_id: str) -> Call[dict[str, str]]:
    """Forget an entry, for good."""
    return Call("DELETE", path_of(*_PLAYBOOKS, playbook_id), read_json, is_repeatable=False)


def report_outcome(
    trace_id: str | None = None,
    *,
    success: bool | None = None,
    score: float | None = None,
    answer_id: str | None = None,
    run_id: str | None = None,
    by: str | None = None,
    note: str | None = None,
) -> Call[dict[str, Any]]:
    """Report how an answer did, which credits or debits what had been shown for it.

    Args:
        trace_id: Of the search or answer; or else `run_id`.
        success: Whether it worked; or else `score`.
        score: −1 (failed) to 1 (worked).
        answer_id: The result that was used.
        run_id: Of a run without a trace.
        by: Who says so; what counts is the token's name.
        note: Anything worth keeping.
    """
    body = encode(trace_id=trace_id, success=success, score=score, answer_id=answer_id, run_id=run_id, by=by, note=note)
    return Call("POST", "/v1/outcomes", read_json, body=body, is_repeatable=False)


def create_index(
    name: str,
    *,
    dimension: int | None = None,
    distance: Literal["cosine", "l2", "dot"] | None = None,
    embedder: str | None = None,
) -> Call[IndexView]:
    """Make an index; again with the same shape is no error.

    Args:
        name: `[a-z][a-z0-9_]{0,62}`.
        dimension: Of its vectors; default: the embedder's.
        distance: Default cosine.
        embedder: Embeds its texts and queries; default: the platform's.
    """
    body = encode(name=name, dimension=dimension, distance=distance, embedder=embedder)
    return Call("POST", path_of(*_INDEX), read_json, body=body)


def list_indexes() -> Call[list[IndexView]]:
    """List every index, corpora among them."""
    return Call("GET", path_of(*_INDEX), member("indexes"))


def get_index(name: str, *, min_revision: str | None = None) -> Call[IndexView]:
    """Read an index's shape, its rows, and how it is held; waits up to 2 s until a write is visible."""
    return Call("GET", path_of(*_INDEX, name), read_json, params=query_of(min_revision=min_revision))


def upsert_items(name: str, items: Iterable[Mapping[str, Any]] | pa.Table | pa.RecordBatch) -> Call[dict[str, Any]]:
    """Insert items, or replace those whose id is there.

    Args:
        name: The index's.
        items: Up to 10,000 of `{id, vector | text, metadata}`, or an Arrow table with these columns (`metadata` is JSON
            text), which takes fewer bytes and less time. A generator is read to its end and sent at once.
    """
    is_arrow = _is_arrow(items)
    body = encode_table(items) if is_arrow else encode(items=_items(items))
    return Call("POST", path_of(*_INDEX, name, "add"), read_json, body=body, content_type=ARROW if is_arrow else JSON)


def _is_arrow(items: Any) -> TypeGuard[pa.Table | pa.RecordBatch]:
    return hasattr(items, "schema") and hasattr(items, "to_pylist")  # pyarrow is not loaded to ask


def _items(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    given = list(items) if isinstance(items, Iterable) and not isinstance(items, Mapping | str) else None
    if given is None or not all(isinstance(item, Mapping) for item in given):
        raise TypeError(f"items must be dicts, several of them, or an Arrow table, not {type(items).__name__}")
    return given


def search_index(
    name: str,
    *,
    vector: Vector | None = None,
    text: str | None = None,
    k: int = 10,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - as on the wire
    exclude_ids: Sequence[str] = (),
    min_revision: str | None = None,
) -> Call[list[IndexResult]]:
    """Find the nearest items of one index to a vector or a text; nearest first."""
    body = encode(
        vector=vector,
        text=text,
        k=k,
        filter=filter,
        exclude_ids=listed(exclude_ids) or None,
        min_revision=min_revision,
    )
    return Call("POST", path_of(*_INDEX, name, "search"), member("results"), body=body)


def delete_items(name: str, ids: Sequence[str]) -> Call[dict[str, Any]]:
    """Take items away; unknown ids are no error."""
    return Call("POST", path_of(*_INDEX, name, "delete"), read_json, body=encode(ids=listed(ids)))


def drop_index(name: str) -> Call[None]:
    """Drop an index; its files stay until `gc`."""
    return Call("DELETE", path_of(*_INDEX, name), nothing, is_repeatable=False)


def embed(texts: Sequence[str], *, model: str | None = None) -> Call[list[list[float]]]:
    """Embed up to 2048 texts; one vector of unit length for each, in their order."""
    return Call("POST", "/v1/embed", member("vectors"), body=encode(texts=listed(texts), model=model))


def list_configs() -> Call[list[dict[str, Any]]]:
    """Read the live version of every config."""
    return Call("GET", "/v1/config", member("configs"))


def list_config_versions(name: str = "search") -> Call[list[dict[str, Any]]]:
    """List every version of a config, newest first."""
    return Call("GET", path_of("v1", "config", name, "versions"), member("versions"))


def change_config(
    name: str = "search", *, config: Mapping[str, Any] | None = None, version: int | None = None, note: str = ""
) -> Call[dict[str, Any]]:
    """Make a new version live that differs in these fields, or an older one again; needs the scope `admin`."""
    body = encode(config=config, version=version, note=note)
    return Call("PUT", path_of("v1", "config", name), read_json, body=body, is_repeatable=version is not None)
