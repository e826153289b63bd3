"""What the table of a corpus says of itself, in its pointer's `info`: all that a search needs to know.

Belongs here: the members and what they come from. Not here: the pointer (see live_table.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from lakehouse.errors import BadInput
from lakehouse.retrieval.corpus import CorpusDeclaration, FilesSource
from lakehouse.retrieval.corpus_rows import OWN_MEMBERS, present_metadata

KIND = "corpus"


def describe(
    declaration: CorpusDeclaration,
    *,
    embedder: str,
    rerank_embedder: str | None,
    dimension: int,
    columns: Sequence[str],
    personal: Collection[str],
    fingerprint: str,
) -> dict[str, Any]:
    """The description of a corpus, all but what its builds remember (`built`).

    `pii_columns` are the members of the metadata that hold personal data, `has_personal_text` says that the text does.
    `dataset` and `id_column` are those that its rows were made of, or cut from (`chunking`), None for files.

    Args:
        declaration: The corpus.
        embedder: The name of its embedder.
        rerank_embedder: The name of the one that ranks the best hits again.
        dimension: Length of its vectors.
        columns: The source's columns.
        personal: Those of them that hold personal data.
        fingerprint: What the rows are built for.

    Raises:
        BadInput: The id is personal.
    """
    metadata = present_metadata(declaration, columns)
    hidden = {name.casefold() for name in personal}
    is_chunked = declaration.chunking is not None
    if declaration.id_column.casefold() in hidden:
        raise BadInput(
            f"corpus {declaration.name!r}: id {declaration.id_column!r} holds personal data, and ids are shown to all;"
            " declare another column as id"
        )
    source = declaration.source
    return {
        "kind": KIND,
        "description": declaration.description,
        "dimension": dimension,
        "distance": declaration.distance,
        "embedder": embedder,
        "rerank_embedder": rerank_embedder,
        "has_text": True,
        "source": {"files": [p.name for p in source.paths]}
        if isinstance(source, FilesSource)
        else {"dataset": source.name},
        "dataset": declaration.dataset,
        "id_column": None if declaration.dataset is None else declaration.id_column,
        "chunking": None if declaration.chunking is None else asdict(declaration.chunking),
        "metadata_columns": [m.name for m in metadata] + (list(OWN_MEMBERS) if is_chunked else []),
        "pii_columns": [m.name for m in metadata if m.column.casefold() in hidden],
        "has_personal_text": any(field.casefold() in hidden for field in declaration.text.fields),
        "partitions": declaration.partitions,
        "fingerprint": fingerprint,
    }
