"""Searches: one line for each search that was sampled.

- `input_text`: `query`; `output_text`: `results` as JSON; `retrieved_context`: corpora, counts, the playbook entries
  that moved a result, sorted.
- `model_name`: null, for the asking model did not search; it stays in metadata. `model_role`: `embedder`.
- `asked`, the filter and the exclusions of a search that had any, stays in metadata as it is.
- Success: `search.found`. Failure: `search.empty`.

Belongs here: the rules of `searches`. Not here: the line (see lakehouse/retrieval/search_log.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import context, markers
from lakehouse.evidence.transform import Transform

_FOUND = "json_array_length(raw.results)"

SEARCHES = Transform(
    stream="searches",
    version=2,
    fields={
        "query": "text", "corpora": "texts", "mode": "text", "k": "integer", "model": "text", "arm": "text",
        "is_filtered": "boolean", "excluded": "integer", "downgraded": "boolean", "hits": "integer", "kept": "integer",
        "dropped": "integer", "results": "array", "latency_ms": "number", "asked": "json",
    },
    expressions={
        "model_role": "'embedder'",
        "input_text": "raw.query",
        "output_text": "raw.results",
        "retrieved_context": context(
            corpora="raw.corpora",
            hits="raw.hits",
            kept="raw.kept",
            dropped="raw.dropped",
            playbook_ids=(
                "coalesce(list_sort(list_distinct(json_extract_string(raw.results, '$[*].playbook_ids[*]'))), [])"
            ),
        ),
        "success_markers": markers((f"{_FOUND} > 0", "'search.found'")),
        "failure_markers": markers((f"{_FOUND} = 0", "'search.empty'")),
        "latency_ms": "raw.latency_ms",
    },
    promoted=frozenset({"query", "results", "corpora", "hits", "kept", "dropped", "latency_ms"}),
    required=("corpora", "results"),
)  # fmt: skip
