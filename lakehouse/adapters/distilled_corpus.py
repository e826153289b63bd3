"""Distilled chunks in Lance: what a `rag` build holds becomes a corpus that matrix search can name.

The corpus keeps its name over builds: rows that a new build has no more go, those that are new are embedded.

Belongs here: from a build's folder to the table. Not here: the build (see distill_build.py), how corpora are built (see
corpus_builder.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakehouse.adapters.corpus_context import open_builder
from lakehouse.adapters.corpus_files import read_file
from lakehouse.adapters.distill_build import DECLARATION, Build
from lakehouse.catalog.names import check_dataset_name
from lakehouse.retrieval.corpus import CorpusDeclaration
from lakehouse.settings import Settings

CORPUS = "distilled"
"""Its name, unless another one is asked for."""


@dataclass(frozen=True, slots=True)
class LoadedCorpus:
    """A corpus after a build: its rows, how many of them were embedded, whether anything changed."""

    name: str
    rows: int
    embedded: int
    is_changed: bool


def load_chunks(settings: Settings, build: Build, *, name: str = CORPUS) -> LoadedCorpus | None:
    """Bring the corpus up to a build.

    Args:
        settings: Of the installation; its default embedder embeds.
        build: Of the kind `rag`.
        name: The corpus.

    Returns:
        What became of it; None where the build has no chunks, and the corpus stays as it was.

    Raises:
        BadInput: The name can be none of a corpus.
        Conflict: The name is another table's, or another build of it has begun.
        Unavailable: The store or the embedder does not answer; loading again goes on from here.
    """
    if not any(file.name.startswith("chunks/") for file in build.manifest.files):
        return None
    # The build itself has passed the gate of all drift, or takes the place of one that has to go.
    report = open_builder(settings).build(_declared(build.folder, name), is_gated=False)
    return LoadedCorpus(name, report.rows, report.progress.embedded, report.is_changed)


def _declared(folder: Path, name: str) -> CorpusDeclaration:
    """The build's declaration under another name; a declaration's file is called as its corpus is."""
    import yaml

    check_dataset_name(name)
    document = yaml.safe_load((folder / DECLARATION).read_text(encoding="utf-8"))
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**document, "name": name}, sort_keys=False), encoding="utf-8")
    return read_file(file)
