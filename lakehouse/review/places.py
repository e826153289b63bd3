"""Places in a diff: a path with lines, as `WHERE: path:line` of a finding says them.

A number is one of the new side and must stand in a hunk there. A line that was deleted is on no new side: it is named
by its old number, `path:-12`, or `path:12` where no new line of that number is in the diff. A range (`path:10-14`)
lies in one hunk.

Belongs here: reading a place, whether it is in the diff, what overlaps. Not here: findings (see findings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lakehouse.review.diff import FileChange

Side = Literal["new", "old"]
_WRITTEN = re.compile(r"(?P<path>.+?):(?P<old>-?)L?(?P<first>\d{1,9})(?:\s*(?:-|–|\.\.)\s*L?(?P<last>\d{1,9}))?")
_MARKS = "`*_\"'()<>[]"
"""What may stand around a path, which may begin and end with them itself."""
_MOST_MARKS = 4


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Lines of a path from the first to the last, both included."""

    path: str
    first: int
    last: int
    side: Side = "new"

    def __str__(self) -> str:
        sign = "-" if self.side == "old" else ""
        lines = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.path}:{sign}{lines}"

    def overlaps(self, other: Place) -> bool:
        """Whether it is the same place: the same path and side, with a line in both."""
        is_alike = self.path == other.path and self.side == other.side
        return is_alike and self.first <= other.last and other.first <= self.last

    def around(self, other: Place) -> Place:
        """Both as one."""
        return Place(self.path, min(self.first, other.first), max(self.last, other.last), self.side)


class PlacesOf:
    """Which places a diff has.

    Args:
        files: The diff.
    """

    def __init__(self, files: Sequence[FileChange]) -> None:
        self._new: dict[str, list[range]] = {}
        self._deleted: dict[str, list[range]] = {}
        for file in files:
            self._new[file.path] = [
                range(hunk.new_start, hunk.new_start + hunk.new_length) for hunk in file.hunks if hunk.new_length
            ]
            numbers = [
                [old for _, old, new in hunk.numbered() if old is not None and new is None] for hunk in file.hunks
            ]
            self._deleted[file.path] = [run for of_hunk in numbers for run in _runs(of_hunk)]

    def read(self, written: str) -> Place | None:
        """The place that a text says, or begins with; None where it says none, or one that is not in the diff."""
        words = written.split()
        return self._read(written) or (self._read(words[0]) if len(words) > 1 else None)

    def _read(self, written: str) -> Place | None:
        found = _WRITTEN.fullmatch(written.strip().rstrip(_MARKS + ".,;"))
        path = None if found is None else self._path(found["path"].strip())
        return None if found is None or path is None else self._in_diff(path, found)

    def _in_diff(self, path: str, found: re.Match[str]) -> Place | None:
        first = int(found["first"])
        last = first if found["last"] is None else int(found["last"])
        if last < first:
            return None
        sides: tuple[Side, ...] = ("old",) if found["old"] else ("new", "old")
        known: Mapping[Side, Mapping[str, list[range]]] = {"new": self._new, "old": self._deleted}
        for side in sides:
            if any(first in lines and last in lines for lines in known[side][path]):
                return Place(path, first, last, side)
        return None

    def _path(self, written: str) -> str | None:
        """The path of the diff; `a/` and `b/` may stand before it, as they do in the diff."""
        for path in _bare(written):
            for one in (path, path[2:] if path.startswith(("a/", "b/")) else path):
                if one in self._new:
                    return one
        return None


def _bare(written: str) -> Iterator[str]:
    """A path as it was written, then with fewer and fewer marks around it."""
    before = len(written) - len(written.lstrip(_MARKS))
    behind = len(written) - len(written.rstrip(_MARKS))
    for begin in range(min(before, _MOST_MARKS) + 1):
        for end in range(min(behind, _MOST_MARKS) + 1):
            yield written[begin : len(written) - end]


def _runs(numbers: Sequence[int]) -> list[range]:
    """Numbers in order as runs without a gap: what stands between deleted lines is on the new side."""
    runs: list[range] = []
    for number in numbers:
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
