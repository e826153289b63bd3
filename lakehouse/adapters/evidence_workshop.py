"""Where evidence is made: a local folder that goes at the end, and an engine that is opened when it is first needed.

Belongs here: their lifetime. Not here: what is made (see evidence_materializer.py).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from lakehouse.adapters.evidence_engine import EvidenceEngine
from lakehouse.adapters.scratch import scratch_folder


class Workshop:
    """A folder below `work_dir` and an engine.

    Args:
        work_dir: Made where it is missing.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._root: Path | None = None
        self._open_parts = ExitStack()

    def __enter__(self) -> Self:
        self._root = self._open_parts.enter_context(scratch_folder(self._work_dir, "evidence-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if "engine" in self.__dict__:
            self.engine.close()
        return self._open_parts.__exit__(kind, error, trace)

    @cached_property
    def engine(self) -> EvidenceEngine:
        """The engine."""
        return EvidenceEngine(self._open())

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder that goes at the end."""
        path = Path(tempfile.mkdtemp(dir=self._open()))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _open(self) -> Path:
        if self._root is None:
            raise ValueError("the workshop is not open")
        return self._root
