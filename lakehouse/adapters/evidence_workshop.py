"""Where evidence is made: a local folder that goes at the end, and an engine that is opened when it is first needed.

Belongs here: their lifetime. Not here: what is made (see evidence_materializer.py).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from lakehouse.adapters.evidence_engine import EvidenceEngine


class Workshop:
    """A folder below `work_dir` and an engine.

    Args:
        work_dir: Made where it is missing.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._root: Path | None = None

    def __enter__(self) -> Self:
        self._work_dir.mkdir(parents=True, exist_ok=True)
        self._root = Path(tempfile.mkdtemp(prefix="evidence-", dir=self._work_dir))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "engine" in self.__dict__:
            self.engine.close()
        shutil.rmtree(self._open(), ignore_errors=True)

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
