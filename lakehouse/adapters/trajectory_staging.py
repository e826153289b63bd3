"""An import on its way: a file's runs as raw lines in a local file, what could not be used in another, the accounts.

Belongs here: local files, hashes, counting. Not here: what a run is (see lakehouse/trajectories), the bucket (see
trajectory_writer.py).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self

import orjson

from lakehouse.errors import Unprocessable
from lakehouse.trajectories.formats import Format
from lakehouse.trajectories.run import Job, OpenFile, Origin, PassedOver, Refusal, Run, Unusable, line_of, refusal
from lakehouse.trajectories.seen import SeenRuns

_HASH_CHARACTERS = 32
_READ_BYTES = 1 << 20
# After so many refusals without a single run the file must be of another format, and is not read further.
_GIVE_UP = 1_000
_SHOWN = 5


@dataclass(slots=True)
class Summary:
    """The accounts of one job: elements that became runs, that a run of the same file had already, that were refused.

    Attributes:
        passed_over: Elements that are in order and no run of their own.
        first_refusals: The first few, for people.
    """

    runs: int = 0
    duplicates: int = 0
    refused: int = 0
    passed_over: int = 0
    first_refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Staged:
    """A job that is ready to be written.

    Attributes:
        lines: The raw lines; empty where the file has no run.
        lines_sha256: SHA-256 of them.
        quarantine: What was refused, or None.
    """

    lines: Path
    lines_sha256: str
    quarantine: Path | None
    summary: Summary


def import_name(of: Format, job: Job, origin: Origin, open_file: OpenFile) -> tuple[str, str]:
    """The name of a job's raw object, and SHA-256 of its first file; the same bytes and options give the same name.

    Args:
        of: The format.
        job: Its files and what their names say.
        origin: What the user or the format says.
        open_file: Opens a file of the job.
    """
    hashes = [_sha256(name, open_file) for name in job.files]
    options = {"format": of.name, "version": of.version, "files": hashes, "parts": dict(job.parts), **asdict(origin)}
    digest = hashlib.sha256(orjson.dumps(options, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"import-{of.name}-{digest[:_HASH_CHARACTERS]}", hashes[0]


def stage(of: Format, job: Job, origin: Origin, open_file: OpenFile, *, folder: Path, recorded_at: datetime) -> Staged:
    """Write a job's runs as lines.

    Args:
        of: The format.
        job: What is read.
        origin: Source, licence, and what the files do not say.
        open_file: Opens a file of the job.
        folder: Where the files are made.
        recorded_at: The time of the import; the same for all lines.

    Raises:
        Unprocessable: The file is empty, or nothing in it is a run of this format.
        LakehouseError: As the format says.
    """
    summary = Summary()
    lines, digest = folder / "lines.jsonl", hashlib.sha256()
    with lines.open("wb") as writer, _Quarantine(folder / "quarantine.jsonl", job.name) as quarantine:
        for step in _told_apart(of.read(job, origin, open_file), origin, summary, recorded_at):
            if isinstance(step, bytes):
                writer.write(step)
                digest.update(step)
            else:
                quarantine.take(step)
                _note(summary, step)
                if not summary.runs and summary.refused >= _GIVE_UP:
                    break
    _check_format(of, job, summary, open_file)
    return Staged(lines, digest.hexdigest(), quarantine.path if summary.refused else None, summary)


def _told_apart(
    steps: Iterator[Run | Refusal | PassedOver], origin: Origin, summary: Summary, recorded_at: datetime
) -> Iterator[bytes | Refusal]:
    """Lines of runs that are new, and refusals; what else there is is counted."""
    seen = SeenRuns()
    for step in steps:
        if isinstance(step, PassedOver):
            summary.passed_over += 1
        elif isinstance(step, Refusal):
            yield step
        else:
            try:
                line = line_of(step, licence=origin.licence, recorded_at=recorded_at)
            except Unusable as error:
                yield refusal(step.where, str(error))
                continue
            is_same = seen.add(step.run_id, line)
            if is_same is None:
                summary.runs += 1
                yield line
            elif is_same:
                summary.duplicates += 1
            else:
                reason = f"run {step.run_id!r} stands in this file twice, with different content; the first was taken"
                yield refusal(step.where, reason, line)


def _note(summary: Summary, refused: Refusal) -> None:
    summary.refused += 1
    if len(summary.first_refusals) < _SHOWN:
        summary.first_refusals.append(f"{refused.where}: {refused.reason}")


def _check_format(of: Format, job: Job, summary: Summary, open_file: OpenFile) -> None:
    with open_file(job.name) as stream:
        is_empty = not stream.read(1)
    if is_empty:
        raise Unprocessable(f"{job.name} is empty; nothing was imported", name=job.name)
    if summary.refused and not summary.runs and not summary.passed_over:
        raise Unprocessable(
            f"{job.name} is not a file of {of.name}: none of what was read is a run of it"
            f" ({summary.first_refusals[0]}); name another format, see lakehouse import --help. Nothing was imported",
            name=job.name,
        )


def _sha256(name: str, open_file: OpenFile) -> str:
    digest = hashlib.sha256()
    with open_file(name) as stream:
        while data := stream.read(_READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


class _Quarantine:
    """Writes refusals as JSON lines `{format_version, source, where, reason, raw, encoding, is_cut}` as they come."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self._source = source
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, refused: Refusal) -> None:
        """Keep one."""
        try:
            text, encoding = refused.raw.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(refused.raw).decode(), "base64"
        row = {
            "format_version": 1, "source": self._source, "where": refused.where, "reason": refused.reason, "raw": text,
            "encoding": encoding, "is_cut": refused.is_cut,
        }  # fmt: skip
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
