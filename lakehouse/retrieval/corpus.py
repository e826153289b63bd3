"""A corpus as it is declared: where its rows come from, what text stands for them, how they are embedded.

Belongs here: the declaration, its fingerprint. Not here: reading it (see corpus_document.py), rows (see
corpus_rows.py), building (see lakehouse/adapters/corpus_builder.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from lakehouse.retrieval.chunking import Chunking
from lakehouse.retrieval.text_template import TextTemplate

BUILD_VERSION = 1
"""Raised when the same declaration and source would give other rows than before: then every corpus is built anew."""
Distance = Literal["cosine", "l2", "dot"]
DISTANCES: tuple[Distance, ...] = ("cosine", "l2", "dot")
FileFormat = Literal["csv", "tsv", "jsonl", "parquet"]
ValueType = Literal["text", "integer", "number", "boolean"]
TYPES: tuple[ValueType, ...] = ("text", "integer", "number", "boolean")


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A dataset of the catalog."""

    name: str


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Files of the user, read in this order; `format` None: by each file's suffix."""

    paths: tuple[Path, ...]
    format: FileFormat | None = None


@dataclass(frozen=True, slots=True)
class MetadataColumn:
    """A member of the rows' metadata.

    `column` is the source's; `split` cuts a text into a list, `type` reads a text as what it stands for; one that
    `is_optional` may be missing from the source.
    """

    name: str
    column: str
    split: str | None = None
    type: ValueType | None = None
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class CorpusDeclaration:
    """One corpus. `embedder` None: the platform's default; `file` is named in messages."""

    name: str
    source: DatasetSource | FilesSource
    id_column: str
    text: TextTemplate
    metadata: tuple[MetadataColumn, ...] = ()
    embedder: str | None = None
    rerank_embedder: str | None = None
    distance: Distance = "cosine"
    chunking: Chunking | None = None
    partitions: int = 1
    description: str = ""
    file: str = ""

    @property
    def dataset(self) -> str | None:
        """The dataset it is made of; None when it is made of files."""
        return self.source.name if isinstance(self.source, DatasetSource) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that it needs, each once."""
        return tuple(dict.fromkeys((self.id_column, *self.text.fields, *(m.column for m in self.metadata))))

    def fingerprint(self, embedder: str) -> str:
        """SHA-256 hex over all that decides what rows a source gives; the source itself is not part of it.

        Args:
            embedder: The name of the embedder that `embedder` stands for.
        """
        parts = {
            "build_version": BUILD_VERSION,
            "id": self.id_column,
            "text": self.text.source,
            "metadata": [asdict(m) for m in self.metadata],
            "embedder": embedder,
            "distance": self.distance,
            "chunking": None if self.chunking is None else asdict(self.chunking),
            "partitions": self.partitions,
        }
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def part_names(partitions: int) -> list[str]:
    """Names of a corpus's parts, as partitions and as keys of what is remembered of each."""
    return ["all"] if partitions == 1 else [f"p{number:03d}" for number in range(partitions)]
