"""Writing a build's rows: gathered into chunks, committed by a thread while the next ones are embedded.

Belongs here: chunks and the thread. Not here: what is written (see corpus_builder.py), the commit (see lance_draft.py).
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from lakehouse.adapters.lance_draft import LanceDraft

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 32_768
CHUNK_BYTES = 64 << 20
CHUNK_AGE_S = 30.0
"""A build that is killed loses at most this much of a slow embedder's work."""


class DraftWriter:
    """Commits rows to a draft in chunks; a context that has committed everything when it ends without an error.

    At most one chunk is being committed while the next one fills, so that memory stays flat.

    Args:
        draft: What is written to.
        chunk_rows: Rows of a chunk.
    """

    def __init__(self, draft: LanceDraft, *, chunk_rows: int = CHUNK_ROWS) -> None:
        self._draft = draft
        self._chunk_rows = chunk_rows
        self._gathered: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._since = time.monotonic()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="draft-writer")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> DraftWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                self._wait()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, rows: pa.Table) -> None:
        """Take rows; raises what an earlier commit raised."""
        self._gathered.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        is_old = time.monotonic() - self._since >= CHUNK_AGE_S
        if self._rows >= self._chunk_rows or self._bytes >= CHUNK_BYTES or is_old:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._gathered:
            return
        self._wait()
        chunk = pa.concat_tables(self._gathered)
        self._gathered, self._rows, self._bytes, self._since = [], 0, 0, time.monotonic()
        self._under_way = self._pool.submit(self._draft.merge, chunk)

    def _wait(self) -> None:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            under_way.result()
