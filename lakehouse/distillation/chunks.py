"""Accepted answers as chunks that can be embedded: rows of a table that a corpus is declared over.

Belongs here: the text of an answer, its chunks, the corpus's declaration. Not here: where texts are cut (see
lakehouse/retrieval/chunking.py), building the corpus (see lakehouse/adapters/corpus_builder.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse.chat.token_estimate import estimate_tokens
from lakehouse.distillation.length import check_length
from lakehouse.distillation.messages import Message
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.refusal import Refused
from lakehouse.retrieval.chunking import split_text

COLUMNS = (
    "id", "text", "question", "source_id", "chunk", "run_id", "task_id", "stream", "source", "licence", "source_key",
    "line", "sha256",
)  # fmt: skip
_NAME_CHARACTERS = 12


def answer_text(answer: Sequence[Message]) -> str:
    """What the assistant said in words, in order.

    Raises:
        Refused: It says nothing in words.
    """
    said = [
        message["content"].strip()
        for message in answer
        if message["role"] == "assistant" and (message["content"] or "").strip()
    ]
    if not said:
        raise Refused("shape", "the assistant says nothing in words")
    return "\n\n".join(said)


def question_text(prompt: Sequence[Message]) -> str:
    """What the user asked first; empty where nobody did."""
    return next((message["content"] or "" for message in prompt if message["role"] == "user"), "")


def chunks_of(answer: Sequence[Message], parameters: CorpusParameters) -> list[str]:
    """The chunks of an answer, each at most as long as the parameters say, unless it is one word that is longer."""
    return split_text(answer_text(answer), parameters.chunking(), lambda words: [*map(estimate_tokens, words)])


def check_chunks(answer: Sequence[Message], parameters: CorpusParameters) -> int:
    """Let an answer pass whose chunks all fit; gives the tokens of the longest.

    Raises:
        Refused: One is longer than `max_tokens`.
    """
    longest = max(map(estimate_tokens, chunks_of(answer, parameters)))
    check_length(longest, parameters.max_tokens)
    return longest


def corpus_declaration(build_id: str, files: Sequence[str]) -> dict[str, Any]:
    """A declaration of a corpus over the chunks, as `corpora/*.yaml` have it.

    Args:
        build_id: The build's.
        files: Paths of the Parquet files, seen from where the declaration lies.
    """
    metadata = {name: {"optional": True} for name in COLUMNS if name not in ("id", "text")}
    return {
        "name": f"distilled_{build_id[:_NAME_CHARACTERS]}",
        "description": "Accepted answers, in chunks.",
        "source": {"files": list(files), "format": "parquet"},
        "id": "id",
        "text": "{text}",
        "metadata": metadata,
    }
