"""Building a corpus from its source: only what is new or changed is embedded, what is gone from the source goes.

Commits run ahead of what serves, and show all at once at the end. A build that was killed leaves its commits behind:
what serves stays as it was, and the next build finds the rows that are there already by their hashes and goes on.
Nothing is done, and no version made, when neither the declaration nor the source has changed since the last build.

Belongs here: the order of things. Not here: rows and their comparison (see lakehouse/retrieval/corpus_rows.py,
build_plan.py), sources (see corpus_source.py), commits (see lance_draft.py).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lakehouse.adapters.corpus_build import BuildContext, CorpusBuild, OnProgress
from lakehouse.adapters.corpus_report import BuildReport
from lakehouse.adapters.corpus_source import open_source
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.retrieval.corpus import CorpusDeclaration


class CorpusBuilder:
    """Builds corpora of one bucket.

    Args:
        context: What builds work with.
        work_dir: For copies of data files while they are read; made when missing.
    """

    def __init__(self, context: BuildContext, *, work_dir: Path) -> None:
        self._context = context
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
            Conflict: Another build of this part has begun, or the name is another table's, or its vectors have drifted.
            Unavailable: The store or the embedder does not answer; building again goes on from here.
        """
        if is_gated:
            DriftGate(self._context.objects).require_open_for(declaration.name)
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work_dir) as folder:
            at = self._context
            source = open_source(declaration, objects=at.objects, catalog=at.catalog, work_dir=Path(folder))
            build = CorpusBuild(at, declaration, source, part=part, folder=Path(folder), on_progress=on_progress)
            return build.run(is_full=is_full)
