"""Building a corpus from its source: new and changed rows are embedded, rows that left the source are deleted.

A build commits to a draft, which serves as a whole at the end. A build that was killed leaves its commits in the draft:
what serves stays as it was, and the next build finds those rows by their hashes and goes on from there. Nothing is
done, and no version is made, when neither the declaration nor the source has changed since the last build.

Belongs here: the order of things. Not here: rows and their comparison (see lakehouse/retrieval/corpus_rows.py,
build_plan.py), sources (see corpus_source.py), commits (see lance_draft.py).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.adapters.build_heartbeat import last_heartbeat
from lakehouse.adapters.corpus_build import BuildContext, CorpusBuild, OnProgress
from lakehouse.adapters.corpus_report import BuildReport
from lakehouse.adapters.corpus_source import open_source
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.errors import Superseded
from lakehouse.retrieval.corpus import CorpusDeclaration, part_names

PATIENCE_S = 600.0
SILENCE_S = 30.0
_LOOK_S = 1.0


class CorpusBuilder:
    """Builds corpora of one bucket.

    Args:
        context: What builds work with.
        work_dir: For copies of data files while they are read; made when missing.
        pause: Waits for so many seconds between two looks at a build that is waited for.
    """

    def __init__(self, context: BuildContext, *, work_dir: Path, pause: Callable[[float], object] = time.sleep) -> None:
        self._context = context
        self._pause = pause
        self._work_dir = work_dir

    def build(
        self,
        declaration: CorpusDeclaration,
        *,
        part: int = 0,
        is_full: bool = False,
        is_gated: bool = True,
        on_progress: OnProgress = lambda _: None,
    ) -> BuildReport:
        """Bring one part of a corpus up to date with its source.

        Args:
            declaration: The corpus.
            part: Which of its `partitions`.
            is_full: Make new files and embed every row, whatever is there.
            is_gated: It waits while its vectors have drifted and nobody has acknowledged it.
            on_progress: Called with the state of things now and then, always with the same object.

        Raises:
            BadInput: The declaration does not fit the source; names file and key.
            NotFound: The dataset is not there.
            Superseded: Another build of this part has begun since.
            Conflict: The name is another table's, or its vectors have drifted.
            Unavailable: The store or the embedder does not answer; building again goes on from here.
        """
        if is_gated:
            DriftGate(self._context.objects).require_open_for(declaration.name)
        with self._opened(declaration, part, on_progress) as build:
            return build.run(is_full=is_full)

    def built(self, declaration: CorpusDeclaration, *, part: int = 0) -> BuildReport | None:
        """The report of a build that has nothing to do because another has brought the part up to date; None if not."""
        with self._opened(declaration, part, lambda _: None) as build:
            return build.remembered(self._context.tables.open(declaration.name))

    def build_or_await(
        self,
        declaration: CorpusDeclaration,
        *,
        part: int = 0,
        is_full: bool = False,
        on_progress: OnProgress = lambda _: None,
        on_waiting: Callable[[str], None] = lambda _: None,
        patience_s: float = PATIENCE_S,
        silence_s: float = SILENCE_S,
    ) -> BuildReport:
        """Build a part; when another build of it begins meanwhile, wait for that one and report what it has done.

        So a build by hand and one by Dagster in the same minute both end well. Where the other one ends without having
        brought the part up to date, or gives no sign of life, this one goes on from where that one stopped. A full
        build does not wait, since the other build may embed only what is new.

        Args:
            declaration: See `build`; so for the next three.
            part: Which part.
            is_full: Whether all is embedded again.
            on_progress: Called with the state of things.
            on_waiting: Called with what is waited for, and with why it is no more.
            patience_s: For how long the other build is waited for.
            silence_s: After how long without a sign of life it counts as dead.

        Raises:
            Superseded: The other build lives and has not brought the part up to date by then, or this is a full one.
            LakehouseError: As `build`.
        """
        deadline: float | None = None
        while True:
            try:
                return self.build(declaration, part=part, is_full=is_full, on_progress=on_progress)
            except Superseded as error:
                if is_full:
                    raise
                deadline = deadline or time.monotonic() + patience_s
                on_waiting(f"another build of {declaration.name} has begun since, and is waited for")
                report = self._await(declaration, part, (deadline, error), silence_s, on_waiting)
                if report is not None:
                    return report

    def _await(
        self,
        declaration: CorpusDeclaration,
        part: int,
        until: tuple[float, Superseded],
        silence_s: float,
        on_waiting: Callable[[str], None],
    ) -> BuildReport | None:
        """What the other build has done; None where it will do no more. `until`: by when, and what is raised then."""
        name, part_name = declaration.name, part_names(declaration.partitions)[part]
        known, heard_s = None, time.monotonic()
        while (report := self.built(declaration, part=part)) is None:
            if time.monotonic() >= until[0]:
                raise until[1]
            beat = last_heartbeat(self._context.objects, name, part_name)
            if known is not None and beat is None:
                on_waiting(f"that build of {name} ended before it was done; this one goes on from there")
                return None
            if beat != known:
                known, heard_s = beat, time.monotonic()
            elif time.monotonic() - heard_s >= silence_s:
                on_waiting(
                    f"that build of {name} gave no sign of life for {silence_s:g} s; this one goes on from there"
                )
                return None
            self._pause(_LOOK_S)
        return report

    @contextmanager
    def _opened(self, declaration: CorpusDeclaration, part: int, on_progress: OnProgress) -> Iterator[CorpusBuild]:
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work_dir) as folder:
            at = self._context
            source = open_source(declaration, objects=at.objects, catalog=at.catalog, work_dir=Path(folder))
            yield CorpusBuild(at, declaration, source, part=part, folder=Path(folder), on_progress=on_progress)
