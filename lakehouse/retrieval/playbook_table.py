"""Playbooks as SQL sees them: one row for each live entry, with what its evidence adds up to.

Belongs here: the rows. Not here: their types (see lakehouse/tables/reserved.py), how workers read them (see
lakehouse/adapters/memory_views.py).
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from lakehouse.retrieval.playbook import PlaybookBook
from lakehouse.retrieval.playbook_entry import PlaybookEntry

if TYPE_CHECKING:
    import pyarrow as pa


def playbook_table(book: PlaybookBook) -> pa.Table:
    """The live entries by id, and so by the time they were made.

    Returns:
        The columns of the view `playbooks`: `score` is the mean of the judgements that count, undecayed, `updated_at`
        the time of the latest of them; times are UTC.
    """
    import pyarrow as pa

    moment = pa.timestamp("us")
    schema = pa.schema(
        [
            ("playbook_id", pa.string()),
            ("query", pa.string()),
            ("answer_id", pa.string()),
            ("answer_corpus", pa.string()),
            ("score", pa.float64()),
            ("tags", pa.list_(pa.string())),
            ("created_at", moment),
            ("updated_at", moment),
        ]
    )
    return pa.Table.from_pylist([_row(book, entry) for entry in book.entries()], schema=schema)


def _row(book: PlaybookBook, entry: PlaybookEntry) -> dict[str, Any]:
    evidence = book.evidence_of(entry)
    assert entry.created_at is not None  # it is live
    latest = max((e.at for e in evidence), default=entry.created_at)
    return {
        "playbook_id": entry.playbook_id,
        "query": entry.query,
        "answer_id": entry.answer_id,
        "answer_corpus": entry.answer_corpus,
        "score": sum(e.score for e in evidence) / max(1, len(evidence)),
        "tags": list(entry.tags),
        "created_at": entry.created_at.astimezone(UTC).replace(tzinfo=None),
        "updated_at": latest.astimezone(UTC).replace(tzinfo=None),
    }
