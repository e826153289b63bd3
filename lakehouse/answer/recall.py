"""Traces of pathway memory as notes of a bundle: those that are like enough to the task.

Belongs here: which of the traces that were found are shown, and as what. Not here: searching them (see
lakehouse/pathway/search.py), showing them (see bundle.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from lakehouse.answer.bundle import Record
from lakehouse.answer.config import AnswerConfig
from lakehouse.answer.found import PATHWAYS
from lakehouse.pathway.search import Found


def recalled_records(found: Iterable[Found], config: AnswerConfig) -> list[Record]:
    """The traces that are shown, best first."""
    alike = [one.trace for one in found if one.similarity >= config.pathway_similarity]
    return [Record(PATHWAYS, trace.uid, _fields(orjson.loads(trace.content)), is_note=True) for trace in alike]


def _fields(content: Any) -> dict[str, Any]:
    """What a trace says, as fields of a record."""
    return content if isinstance(content, dict) else {"said": content}
