"""Traces of pathway memory that are shown for a task: worked examples of its shape, and notes that are like it.

An example is chosen by how the task is asked, whatever it is about: how a welder was found in Toledo shows how to find
a cook in Reno. Only one of nearly the same wording is shown, for one of another kind of question is worse than none;
where the answer is an artifact, any of its kind shows its form. Of several the oldest stand, those that nobody has had
to take back: so prompts of one shape begin alike, and a model's cache of prompts knows that beginning. A note is chosen
by what the task is about.

Belongs here: which traces are shown, and as what. Not here: shapes and searching (see lakehouse/pathway), showing
them (see bundle.py, prompt.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.answer.bundle import Record
from lakehouse.answer.config import AnswerConfig
from lakehouse.answer.example import Example, example_of
from lakehouse.answer.found import PATHWAYS
from lakehouse.pathway.search import Found, PathwaySearch
from lakehouse.pathway.shape import alike, kind_of, shape_tag

SearchTraces = Callable[[PathwaySearch], Awaitable[Sequence[Found]]]
_POOL = 40
# Of the shapes of 25 wordings of seven kinds of questions, those of different kinds are up to 0.83 alike.
_SAME_WORDING = 0.85


@dataclass(frozen=True, slots=True)
class Recalled:
    """What memory says of a task: the traces that speak for it, and all worked examples that were found near it."""

    traces: Sequence[Record] = ()
    examples: Sequence[Example] = ()


async def recall_traces(search: SearchTraces, task: str, shape: str, config: AnswerConfig) -> Recalled:
    """The traces that speak for a task: examples, best first, then notes where there are fewer than `pathway_k`.

    Of the examples `pathway_k` are shown that have room; what all chose tells what is preferred (see preference.py).

    Args:
        search: Searches pathway memory.
        task: What is asked.
        shape: Its shape; empty where nothing is known of it.
        config: With `pathway_k`, and `pathway_similarity` for notes.

    Raises:
        Unavailable: The memory does not answer.
    """
    found = list(await search(PathwaySearch(task, k=max(_POOL, config.pathway_k))))
    if shape:
        found += await search(PathwaySearch(task, tags=(shape_tag(shape),), k=max(_POOL, config.pathway_k)))
    records = [(one, _record(one)) for one in {one.trace.uid: one for one in found}.values()]
    examples = sorted(
        ((_use_of(record.example, shape), record) for _, record in records if record.example),
        key=lambda each: (-each[0], each[1].id),
    )
    shown = [record for use, record in examples if use > 0]
    notes = [record for one, record in records[: config.pathway_k] if _is_note_for(one, record, config)]
    traces = [*shown, *notes[: max(0, config.pathway_k - len(shown))]]
    return Recalled(traces, [record.example for _, record in records if record.example])


def _use_of(example: Example, shape: str) -> float:
    """How much an example shows of how a task of this shape is done, 0 to 1; 0: it is not shown."""
    if not shape or kind_of(example.shape) != kind_of(shape):
        return 0.0
    likeness = alike(shape, example.shape)
    return likeness if kind_of(shape) or likeness >= _SAME_WORDING else 0.0


def _is_note_for(found: Found, record: Record, config: AnswerConfig) -> bool:
    return record.example is None and found.similarity >= config.pathway_similarity


def _record(found: Found) -> Record:
    content = orjson.loads(found.trace.content)
    return Record(PATHWAYS, found.trace.uid, _fields(content), is_note=True, example=example_of(content))


def _fields(content: Any) -> dict[str, Any]:
    """What a trace says, as fields of a record."""
    return content if isinstance(content, dict) else {"said": content}
