"""EvidenceRecord v1: what is known of one run, whichever stream logged it, each row traceable to one raw line.

The key is `run_id`. Files lie in `evidence/<stream>/dt=YYYY-MM-DD/`; the day is that of the raw line's recording.

Belongs here: the Arrow schema, what each column means. Not here: how a line becomes a record
(see lakehouse/evidence), the empty view of the same columns (see reserved.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
MODEL_ROLES = (
    "executor", "reviewer", "extractor", "verifier", "categorizer", "tiebreaker", "applier", "embedder", "other",
)  # fmt: skip

MEANING: dict[str, str] = {
    "run_id": "Id of what happened; the key.",
    "task_id": "The task it belongs to; runs of one task can be compared.",
    "timestamp": "When it happened, UTC; where the stream has no time of its own, when it was recorded.",
    "schema_version": "1.",
    "stream": "The raw stream it came from.",
    "provenance": "The raw object, the line in it (from 1), SHA-256 of its bytes without the LF, its `recorded_at`.",
    "model_name": "The model that answered; null where none did.",
    "model_provider": "Who served it.",
    "model_role": "What it was called for.",
    "input_text": "What was asked: a text, or chat messages as a JSON array.",
    "output_text": "What came of it: a text, or JSON.",
    "input_hash": "SHA-256 of `input_text` as UTF-8, hex; null where it is.",
    "output_hash": "SHA-256 of `output_text`, likewise.",
    "retrieved_context": "What was retrieved for it: corpora, counts before and after relevance, memory used.",
    "validation": "Whether a validator passed it, and what it found wrong.",
    "observer": "What an observing model or person thought, and how sure it was (0 to 1).",
    "human_override": "A person's verdict, who, and when (UTC); it stands over all others.",
    "success_markers": "Names of what speaks for the run.",
    "failure_markers": "Names of what speaks against it.",
    "reward": "Ground truth as a number: a published reward, or an outcome's score from -1 to 1.",
    "cost_usd": "What the model cost.",
    "latency_ms": "How long it took.",
    "prompt_tokens": "Tokens that went in.",
    "completion_tokens": "Tokens that came out.",
    "metadata": "JSON object with every raw field that has no column of its own.",
}


def evidence_schema() -> pa.Schema:
    """The columns of evidence.

    Returns:
        The schema of EvidenceRecord v1, in order; times are UTC without a zone, as the view `evidence` has them.
        Source: CONTRACTS.md section 8.
    """
    import pyarrow as pa

    text, integer, number, moment = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us")
    texts = pa.list_(text)
    provenance = {"source_key": text, "line": integer, "sha256": text, "recorded_at": moment}
    context = {
        "corpora": texts, "hits": integer, "kept": integer, "dropped": integer, "playbook_ids": texts,
        "pathway_ids": texts,
    }  # fmt: skip
    types = {
        "run_id": text,
        "task_id": text,
        "timestamp": moment,
        "schema_version": pa.int32(),
        "stream": text,
        "provenance": pa.struct(provenance),
        "model_name": text,
        "model_provider": text,
        "model_role": text,
        "input_text": text,
        "output_text": text,
        "input_hash": text,
        "output_hash": text,
        "retrieved_context": pa.struct(context),
        "validation": pa.struct({"passed": pa.bool_(), "errors": texts}),
        "observer": pa.struct({"verdict": text, "confidence": number, "notes": texts}),
        "human_override": pa.struct({"verdict": text, "by": text, "at": moment}),
        "success_markers": texts,
        "failure_markers": texts,
        "reward": number,
        "cost_usd": number,
        "latency_ms": number,
        "prompt_tokens": integer,
        "completion_tokens": integer,
        "metadata": text,
    }
    return pa.schema(types)
