"""Importing files, one after another: named, looked for, staged, written; one that fails does not stop the others.

Belongs here: the order of things for one job, and what came of it. Not here: formats (see lakehouse/trajectories),
where files come from (the command's arguments, see lakehouse_cli; the bucket, see lakehouse_assets).
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lakehouse.adapters.trajectory_staging import Summary, import_name, stage
from lakehouse.adapters.trajectory_writer import known_imports, publish, publish_refused
from lakehouse.errors import BadInput, InsufficientStorage, TooLarge
from lakehouse.storage.objects import ObjectStore
from lakehouse.trajectories.formats import Format
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of one job.

    Attributes:
        file: Its first file.
        sha256: SHA-256 of that file.
        key: Its raw object; None where there is none: a dry run, no run in it, or an error.
        is_new: Whether this import wrote it.
        lines_sha256: SHA-256 of it, where this import wrote it.
        quarantine_key: What was refused, where this import wrote any.
        summary: The accounts; empty where it was imported before.
        error: Why nothing of it was taken, else empty.
    """

    file: str
    sha256: str = ""
    key: str | None = None
    is_new: bool = False
    lines_sha256: str = ""
    quarantine_key: str | None = None
    summary: Summary = field(default_factory=Summary)
    error: str = ""


def import_job(
    of: Format,
    job: Job,
    origin: Origin,
    open_file: OpenFile,
    *,
    objects: ObjectStore | None,
    known: Mapping[str, str],
    folder: Path | None,
    now: datetime,
) -> Imported:
    """Import one job, unless it was before.

    Args:
        of: The format.
        job: Its files.
        origin: Source, licence, and what the files do not say.
        open_file: Opens a file of the job.
        objects: The bucket; None: nothing is written.
        known: Imports that are there already, as `known_imports` gives them.
        folder: Where temporary files lie; None: the system's folder for them.
        now: The time of the import.

    Returns:
        What came of it; where the file was refused, with the reason.

    Raises:
        StoreUnavailable: The store does not answer.
        InsufficientStorage: There is no room for temporary files.
    """
    sha256 = ""
    try:
        name, sha256 = import_name(of, job, origin, open_file)
        if name in known:
            return Imported(job.name, sha256, known[name])
        with tempfile.TemporaryDirectory(prefix="import-", dir=folder) as made:
            staged = stage(of, job, origin, open_file, folder=Path(made), recorded_at=now)
            if objects is None:
                return Imported(job.name, sha256, summary=staged.summary)
            refused = None
            if staged.quarantine is not None:
                refused = publish_refused(objects, name, staged.quarantine, recorded_at=now)
            if not staged.summary.runs:
                return Imported(job.name, sha256, quarantine_key=refused, summary=staged.summary)
            key, is_new = publish(objects, name, staged.lines, recorded_at=now)
            return Imported(job.name, sha256, key, is_new, staged.lines_sha256, refused, staged.summary)
    except (BadInput, TooLarge) as error:
        return Imported(job.name, sha256, error=error.detail)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise InsufficientStorage(
            f"the disk is full; {job.name} was not imported: make room where temporary files lie, and import it again"
        ) from None


def import_plan(
    of: Format,
    plan: Plan,
    origin: Origin,
    open_file: OpenFile,
    *,
    objects: ObjectStore | None,
    folder: Path | None,
    now: datetime,
) -> Iterator[Imported]:
    """Import every job of a plan; files that the format does not know are errors of their own."""
    for name in plan.unknown:
        yield Imported(name, error=f"{name} is not a file of {of.name}, by its name; see docs/guides/trajectories.md")
    known = {} if objects is None else known_imports(objects)
    for job in plan.jobs:
        yield import_job(of, job, origin, open_file, objects=objects, known=known, folder=folder, now=now)
