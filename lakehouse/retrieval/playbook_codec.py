"""Playbook entries as the log and the index keep them: vectors as text, keys.

Belongs here: stored shapes. Not here: what entries mean (see playbook.py).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, str, str | None]


def encode_vector(vector: NDArray[np.float32]) -> str:
    """An embedding as the log keeps it: float16 little-endian, as base64."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def decode_vector(text: str) -> NDArray[np.float32]:
    """An embedding from the log, of unit length again."""
    vector: NDArray[np.float32] = decode_vectors([text])[0]
    return vector


def decode_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings from the log, (n, dimension), of unit length again; one at least.

    Raises:
        ValueError: They are not all of one length, or one is none.
    """
    parts = list(map(base64.b64decode, texts))
    if len(set(map(len, parts))) != 1:
        raise ValueError("the vectors are not all of one length")
    values = np.frombuffer(b"".join(parts), dtype="<f2").astype(np.float32)
    vectors = values.reshape(len(texts), -1)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12))[:, None], np.float32)


def key_of(query: str, answer_id: str, answer_corpus: str | None) -> Key:
    """The key of an entry: equal keys, equal entries."""
    return " ".join(query.casefold().split()), answer_id, answer_corpus
