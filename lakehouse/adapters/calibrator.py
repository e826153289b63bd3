"""Calibration of indexes that were made over HTTP: from their own rows, in a background thread, while nobody writes.

The thread that follows the corpora calls `look` in each of its rounds, which costs nothing while nothing is due. A
calibration is stored in the table's pointer, so that every process has it, also after a restart. Processes that share a
bucket begin at random moments, and the first one that stores a calibration has done it for all.

Belongs here: when, which rows, by whom, storing it. Not here: the calibration itself, and whether it is due (see
lakehouse/retrieval/calibration.py), declared corpora (see corpus_build.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.errors import LakehouseError
from lakehouse.jitter import jitter_s
from lakehouse.retrieval.calibration import FEW_TEXTS, calibrate, has_texts_enough, is_due
from lakehouse.retrieval.embedding import Embedder, Vectors
from lakehouse.retrieval.live_table import LiveTable

# Half of what a build takes: the process answers searches meanwhile.
_SAMPLE_ROWS = 1_000
# Least share of rows with texts. Below it, text shares would count against the many rows that have no text.
_TEXT_SHARE = 0.95
# Texts embedded at a time: a query waits for one such batch at the most.
_BATCH_TEXTS = 16
_LAST_WAIT_S = 5.0
_log = structlog.get_logger("lakehouse.corpora")


class _Stopped(Exception):
    """The process is about to end."""


@dataclass(slots=True)
class _Watch:
    """What was seen of one index: when it changed last, since when it is due, before when not to try again."""

    revision: str = ""
    changed_s: float = 0.0
    due_s: float | None = None
    not_before_s: float = 0.0


class Calibrator:
    """Calibrates one index at a time.

    Args:
        embedder_of: Opens an embedder by its name; may block.
        quiet_s: How long nothing must have been written; a random time up to as long again is added.
        patience_s: An index that is written to without a pause is calibrated after so long.
        retry_s: Pause after a failure.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        embedder_of: Callable[[str], Embedder],
        *,
        quiet_s: float = 5.0,
        patience_s: float = 300.0,
        retry_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedder_of = embedder_of
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self._retry_s = retry_s
        self._clock = clock
        self._watched: dict[str, _Watch] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, table: LanceTable, reader: CorpusReader) -> None:
        """Begin to calibrate an index when it is time; for one thread.

        Args:
            table: Of the index.
            reader: The index as it is now.
        """
        watch, now_s = self._watched.setdefault(table.name, _Watch()), self._clock()
        if reader.revision != watch.revision:
            watch.revision = reader.revision
            watch.changed_s = now_s + jitter_s(0, self._quiet_s)  # processes take turns
        if reader.is_stale or not is_due(reader.info, len(reader.index)):
            watch.due_s = None
            return
        watch.due_s = now_s if watch.due_s is None else watch.due_s
        is_time = now_s - watch.changed_s >= self._quiet_s or now_s - watch.due_s >= self._patience_s
        is_free = self._thread is None or not self._thread.is_alive()
        if is_time and is_free and now_s >= watch.not_before_s:
            self._thread = threading.Thread(
                target=self._run, args=(table, reader, watch), name="calibrator", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Leave what was begun, and end; an embedder that does not answer is not waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT_S)

    def _run(self, table: LanceTable, reader: CorpusReader, watch: _Watch) -> None:
        begun_s = time.monotonic()
        try:
            live, rows = table.live, len(reader.index)
            document = {**self._calibration(reader), "rows": rows}
            _store(table, live, document)
        except _Stopped:
            return
        except LakehouseError as error:
            watch.not_before_s = self._clock() + self._retry_s
            _log.warning("index not calibrated", corpus=table.name, reason=error.detail)
        except Exception:  # whatever it is, the index is tried again after a pause and not in every round
            watch.not_before_s = self._clock() + self._retry_s
            _log.exception("index not calibrated", corpus=table.name)
        else:
            took_s, reason = round(time.monotonic() - begun_s, 3), document.get("reason")
            _log.info("index calibrated", corpus=table.name, rows=rows, seconds=took_s, reason=reason)

    def _calibration(self, reader: CorpusReader) -> dict[str, Any]:
        selection = reader.select()  # kept until the end: its rows stay good
        places = np.unique(np.linspace(0, len(selection) - 1, _SAMPLE_ROWS).astype(np.int64))
        numbers = selection.first + (places if selection.is_all else selection.rows()[places])
        texts = reader.texts_of(numbers)
        at = [n for n, text in enumerate(texts) if text and not text.isspace()]
        own = [texts[n] for n in at]
        if not has_texts_enough(own):
            return {"reason": FEW_TEXTS}
        embedder = self._embedder_of(reader.embedder)
        if embedder.dimension != reader.dimension:
            return {
                "reason": f"its vectors have {reader.dimension} dimensions, its embedder gives {embedder.dimension}"
            }
        vectors = reader.vectors_of(numbers[at])
        gentle = _GentleEmbedder(embedder, self._stopping)
        return calibrate(vectors, own, gentle, counts_text=len(own) >= _TEXT_SHARE * len(texts))


class _GentleEmbedder:
    """An embedder that leaves as much time to others as it takes, and breaks off when the process ends."""

    def __init__(self, embedder: Embedder, stopping: threading.Event) -> None:
        self.name = embedder.name
        self.dimension = embedder.dimension
        self._embedder = embedder
        self._stopping = stopping

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        parts = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(texts), _BATCH_TEXTS):
            begun_s = time.monotonic()
            parts.append(self._embedder.embed(texts[start : start + _BATCH_TEXTS]))
            if self._stopping.wait(time.monotonic() - begun_s):
                raise _Stopped
        return np.concatenate(parts)


def _store(table: LanceTable, seen: LiveTable, document: Mapping[str, Any]) -> None:
    """Store a calibration, unless another process has, or the table is no longer the one that was read."""

    def move(live: LiveTable) -> LiveTable | None:
        is_same = live.uri == seen.uri and live.info.get("embedder") == seen.info.get("embedder")
        if not is_same or not is_due(live.info, document["rows"]):
            return None
        return replace(live, info={**live.info, "calibration": dict(document)})

    table.swap(move)
