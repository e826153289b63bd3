"""What is said of an id that has no lineage of its own: what it is, if that is known, and where to look.

Belongs here: the words, and the forms in which a build is named. Not here: looking it up (see
lakehouse/adapters/lineage_reader.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.counted import counted

_BUILDS = "exports/"


@dataclass(frozen=True, slots=True)
class BuildContents:
    """A training corpus that was built.

    Attributes:
        entry: `<kind>/<build_id>`.
        samples: How many it has; 0 where its files are gone.
        runs: Of how many runs these are.
        example: The id of one of them; empty where there is none.
        superseded_by: The build that took its place, empty where none could; None where it stands.
    """

    entry: str
    samples: int
    runs: int
    example: str
    superseded_by: str | None = None


def build_of(text: str, builds: Mapping[str, object]) -> str | None:
    """The build that an id names: by itself, with its kind, or by a key under `exports/`.

    Args:
        text: The id.
        builds: By `<kind>/<build_id>`.
    """
    parts = text.removeprefix(_BUILDS).split("/")
    if len(parts) > 1:
        entry = "/".join(parts[:2])
        return entry if entry in builds else None
    return next((entry for entry in sorted(builds) if entry.partition("/")[2] == text), None)


def of_build(build: BuildContents) -> str:
    """Where the lineage of a build is: each of its samples has one."""
    kind, _, build_id = build.entry.partition("/")
    if build.superseded_by is not None:
        by = f"build {kind}/{build.superseded_by}" if build.superseded_by else "no other build"
        return f"{build_id!r} is the {kind} build whose files went when a run of it was retracted; {by} took its place"
    one = f", such as {build.example}" if build.example else ""
    files = f"{_BUILDS}{build.entry}"
    return (
        f"{build_id!r} is a build of the training corpus {kind} with {counted(build.samples, 'sample')} of"
        f" {counted(build.runs, 'run')}. Lineage goes sample by sample: ask for one{one}. All of them with their runs"
        f" and lines are in {files}/provenance.parquet and on the page /ui/corpora/{build.entry}; what it was made of,"
        f" and by which rules, is in {files}/manifest.json"
    )


def of_nothing_known(text: str) -> str:
    """Which ids have a lineage, and where that of other things is."""
    return (
        f"nothing is known of {text!r}: no run, sample, chunk, raw line or build of a training corpus has this id. The"
        " versions and source files of a dataset are in GET /v1/catalog/<name>, those of a corpus that is searched in"
        " `lakehouse corpus stats <name>`. A line that came just now is known when its evidence is made, and a sample"
        " of a build that gave way (a run of it was retracted) no more: ask for the run that provenance.parquet beside"
        " it names"
    )
