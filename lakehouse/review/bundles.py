"""Bundles: the parts of a diff that are shown to a reviewer at once.

A bundle holds whole files in the order of the diff, as many as fit; a file that does not fit is a bundle of its own,
or, where that is asked for, several, cut between its hunks. A bundle over `WARN_BYTES` is warned of, one over
`MOST_BYTES` is refused: no model reads that much with care.

Belongs here: cutting, sizes, how a bundle is shown. Not here: what is asked about it (see prompt.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lakehouse.errors import TooLarge
from lakehouse.review.diff import FileChange

WARN_BYTES = 60_000
MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files, or a part of one, that are shown at once; numbered from 1."""

    number: int
    files: tuple[FileChange, ...]

    @property
    def size(self) -> int:
        """Bytes of its part of the diff."""
        return sum(_size(file) for file in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths it shows."""
        return tuple(file.path for file in self.files)

    @property
    def warning(self) -> str | None:
        """What is to be said of its size; None where it is no concern."""
        if self.size <= WARN_BYTES:
            return None
        return (
            f"bundle {self.number} ({', '.join(self.paths[:3])}) has {self.size:,} bytes, more than {WARN_BYTES:,}:"
            f" reviewers read so much with less care; {self._way_out}"
        )

    @property
    def _way_out(self) -> str:
        if sum(len(file.hunks) for file in self.files) > 1:
            return "review a smaller change, or cut files with --split"
        return "review a smaller change: this is one hunk, which is not cut (less context, `git diff -U1`, may part it)"

    def text(self) -> str:
        """The part of the diff with a number before each line: that of the new side, `-` and the old one if deleted."""
        return "\n".join(line for file in self.files for line in _shown(file)) + "\n"


def make_bundles(
    files: Sequence[FileChange], *, most_bytes: int = WARN_BYTES, is_split: bool = False, is_forced: bool = False
) -> tuple[Bundle, ...]:
    """Cut a diff into bundles.

    Args:
        files: The diff; files without a hunk (renamed, binary) are left out, as there is no line to speak of.
        most_bytes: A bundle of several files has no more.
        is_split: Whether a file that has more is cut between its hunks.
        is_forced: Whether a bundle may have more than `MOST_BYTES`.

    Raises:
        TooLarge: A bundle has more than `MOST_BYTES`.
    """
    bundles: list[Bundle] = []
    for part in _packed(_parts(files, most_bytes if is_split else None), most_bytes):
        bundles.append(Bundle(len(bundles) + 1, tuple(part)))
    for bundle in bundles:
        if bundle.size > MOST_BYTES and not is_forced:
            raise TooLarge(
                f"bundle {bundle.number} ({', '.join(bundle.paths[:3])}) has {bundle.size:,} bytes; reviewers take"
                f" {MOST_BYTES:,} at most: {bundle._way_out}; --force-oversize sends it as it is",
                bundle=bundle.number,
            )
    return tuple(bundles)


def _parts(files: Sequence[FileChange], most_bytes: int | None) -> Iterator[FileChange]:
    for file in files:
        if not file.hunks:
            continue
        if most_bytes is None or _size(file) <= most_bytes:
            yield file
            continue
        part = replace(file, hunks=())
        for hunk in file.hunks:
            longer = replace(file, hunks=(*part.hunks, hunk))
            if part.hunks and _size(longer) > most_bytes:
                yield part
                longer = replace(file, hunks=(hunk,))
            part = longer
        yield part


def _packed(parts: Iterator[FileChange], most_bytes: int) -> Iterator[list[FileChange]]:
    held: list[FileChange] = []
    size = 0
    for part in parts:
        if held and size + _size(part) > most_bytes:
            yield held
            held, size = [], 0
        held.append(part)
        size += _size(part)
    if held:
        yield held


def _size(file: FileChange) -> int:
    return len(file.text.encode("utf-8", "replace"))


def _shown(file: FileChange) -> Iterator[str]:
    yield f"=== {file.path}"
    for hunk in file.hunks:
        yield hunk.header
        for line, old, new in hunk.numbered():
            number = new if new is not None else "" if old is None else -old
            yield f"{number:>6} {line}"
