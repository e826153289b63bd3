"""Evidence of lines in memory, for tests: files written, the engine run, what came out as Python values."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lakehouse.adapters.evidence_engine import Counts, EvidenceEngine, Materialized
from lakehouse.adapters.evidence_lines import RawFile
from lakehouse.evidence.transforms import transform_of

_numbers = itertools.count()


@dataclass(frozen=True)
class Made:
    records: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    superseded: list[dict[str, Any]]
    counts: Counts
    evidence_bytes: bytes


class Maker:
    """Holds an engine and a folder."""

    def __init__(self, *, block_bytes: int = 4096) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="evidence-"))
        self._engine = EvidenceEngine(self.folder, block_bytes=block_bytes)

    def close(self) -> None:
        self._engine.close()
        shutil.rmtree(self.folder)

    def make(self, stream: str, objects: Mapping[str, bytes]) -> Made:
        """Evidence of raw objects by key."""
        folder = self.folder / str(next(_numbers))
        folder.mkdir()
        files = []
        for number, (key, data) in enumerate(objects.items()):
            path = folder / f"{number}.jsonl"
            path.write_bytes(data)
            files.append(RawFile(key, path))
        made = read(self._engine.materialize(transform_of(stream), files, folder))
        shutil.rmtree(folder)
        return made


def read(made: Materialized) -> Made:
    counts = made.counts
    told = counts.new + counts.corrected + counts.duplicate + counts.quarantined
    assert counts.lines_in == told + counts.left_out
    records = pq.read_table(made.evidence).to_pylist()
    refused = (
        [] if made.quarantine is None else [json.loads(line) for line in made.quarantine.read_bytes().splitlines()]
    )
    superseded = [] if made.superseded is None else pq.read_table(made.superseded).to_pylist()
    assert (len(records), len(refused), len(superseded)) == (counts.new, counts.quarantined, counts.corrected)
    return Made(records, refused, superseded, counts, made.evidence.read_bytes())
