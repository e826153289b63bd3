"""A `TraceIndex` that keeps rows in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.pathway.trace_rows import TraceRow


class KeptTraces:
    dimension = 2

    def __init__(self) -> None:
        self.rows: dict[str, TraceRow] = {}

    def put(self, rows: Sequence[TraceRow]) -> None:
        self.rows |= {row.uid: row for row in rows}

    def vector_of(self, uid: str) -> NDArray[np.float32] | None:
        row = self.rows.get(uid)
        return None if row is None else row.vector
