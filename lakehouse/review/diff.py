"""A unified diff, read strictly: files, hunks, and the number of every line on both sides.

What git, `diff -u` and `git format-patch` write is taken; what does not add up is refused with its line, since a place
in a diff that was read wrongly is no place. A path is the one behind `b/` (of a deleted file that behind `a/`).

Belongs here: the parser and its values. Not here: places in it (see places.py), parts to be shown (see bundles.py).

Source: the unified format of POSIX `diff -u`, and "Generating patch text with -p" of git-diff(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from lakehouse.errors import BadInput

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_NOTHING = "/dev/null"
_SIGNATURE = "-- "
_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, '"': 34, "\\": 92}


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk; `lines` are those behind its header, each with its sign, without its line end."""

    header: str
    old_start: int
    old_length: int
    new_start: int
    new_length: int
    lines: tuple[str, ...]

    def numbered(self) -> Iterator[tuple[str, int | None, int | None]]:
        """Each line with its number on the old side and on the new one; None where it is not on that side."""
        old, new = self.old_start, self.new_start
        for line in self.lines:
            if line.startswith("\\"):
                yield line, None, None
            elif line.startswith("+"):
                yield line, None, new
                new += 1
            elif line.startswith("-"):
                yield line, old, None
                old += 1
            else:
                yield line, old, new
                old, new = old + 1, new + 1


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a diff says of one file; `header` are the lines before its first hunk."""

    path: str
    header: tuple[str, ...]
    hunks: tuple[Hunk, ...]

    @property
    def text(self) -> str:
        """Its part of the diff."""
        lines = [*self.header, *(line for hunk in self.hunks for line in (hunk.header, *hunk.lines))]
        return "\n".join(lines) + "\n"


def parse_diff(text: str) -> tuple[FileChange, ...]:
    """Read a diff.

    Args:
        text: All of it; what stands before its first file (a commit's message) is left out.

    Returns:
        Its files, in order.

    Raises:
        BadInput: It has no file, is a merge's combined diff, or does not add up; `line` says where.
    """
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    files = list(_Reader(lines).files())
    if not files:
        raise BadInput(
            "this is not a unified diff: no file of it begins with 'diff --git' or '---'; give git diff's output"
        )
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise BadInput(f"the diff changes {file.path!r} twice; give one diff against one state", path=file.path)
        seen.add(file.path)
    return tuple(files)


@dataclass(slots=True)
class _Reader:
    """Walks over the lines."""

    lines: list[str]
    at: int = 0
    header: list[str] = field(default_factory=list)

    def files(self) -> Iterator[FileChange]:
        while self.at < len(self.lines):
            if self._begins_file():
                yield self._file()
            else:
                self._pass_over()

    def _pass_over(self) -> None:
        """A line between files: a message, never one that belongs to a hunk."""
        line = self._control()
        if line.startswith(("@@ ", "@@@")):
            combined = line.startswith("@@@")
            self._refuse("is of a merge's combined diff; give one against one parent" if combined else "is of no file")
        self.at += 1

    def _begins_file(self) -> bool:
        line = self._control()
        if line.startswith(("diff --cc ", "diff --combined ")):
            self._refuse("is of a merge's combined diff; give one against one parent")
        return line.startswith("diff --git ") or self._is_pair(self.at)

    def _is_pair(self, at: int) -> bool:
        pair = self.lines[at : at + 2]
        return len(pair) == 2 and pair[0].startswith("--- ") and pair[1].startswith("+++ ")

    def _file(self) -> FileChange:
        begin = self.at
        named = _Names()
        if self._control().startswith("diff --git "):
            named.take_git(self._control().removeprefix("diff --git "))
            self.at += 1
        while self.at < len(self.lines):
            line = self._control()
            if line.startswith(("@@ ", "diff --")) or (named.is_paired and self._is_pair(self.at)):
                break
            if self._is_pair(self.at):
                named.take_pair(
                    line.removeprefix("--- "), self.lines[self.at + 1].removesuffix("\r").removeprefix("+++ ")
                )
                self.at += 2
                continue
            if not named.take_extended(line) and not named.is_git:
                break
            self.at += 1
        header = tuple(self.lines[begin : self.at])
        hunks = tuple(self._hunks())
        path = named.path()
        if not path:
            self._refuse("ends a file whose path nothing says", at=begin)
        return FileChange(path, header, hunks)

    def _hunks(self) -> Iterator[Hunk]:
        while self.at < len(self.lines) and self._control().startswith("@@ "):
            yield self._hunk()
        rest = self._control() if self.at < len(self.lines) else ""
        if rest.startswith(("+", "-", "\\")) and rest != _SIGNATURE and not self._begins_file():
            self._refuse("stands behind the last line of a hunk; the numbers of its header are too small")

    def _hunk(self) -> Hunk:
        header = self._control()
        found = _HUNK.match(header)
        if found is None:
            self._refuse("is not a header of a hunk; write @@ -<line>,<count> +<line>,<count> @@")
        old_start, new_start = int(found[1]), int(found[3])
        old, new = (1 if given is None else int(given) for given in (found[2], found[4]))
        begin, left_old, left_new = self.at, old, new
        self.at += 1
        lines: list[str] = []
        while left_old or left_new or (self.at < len(self.lines) and self.lines[self.at].startswith("\\")):
            if self.at >= len(self.lines):
                self._refuse("begins a hunk that is cut off", at=begin)
            line = self.lines[self.at] or " "  # some mailers strip the blank of an empty line
            sign = line[0] if line != "\r" else " "
            left_old -= sign in " -"
            left_new -= sign in " +"
            if sign not in " +-\\" or left_old < 0 or left_new < 0:
                self._refuse("does not fit the numbers of its hunk's header")
            lines.append(line)
            self.at += 1
        return Hunk(header, old_start, old, new_start, new, tuple(lines))

    def _control(self) -> str:
        """The current line as one that steers: a diff that came through Windows ends it otherwise."""
        return self.lines[self.at].removesuffix("\r")

    def _refuse(self, what: str, *, at: int | None = None) -> NoReturn:
        place = self.at if at is None else at
        raise BadInput(f"line {place + 1} of the diff {what}: {self.lines[place][:80]!r}", line=place + 1)


@dataclass(slots=True)
class _Names:
    """What the lines above the hunks say of a file's path."""

    is_git: bool = False
    is_paired: bool = False
    old: str = ""
    new: str = ""
    told: str = ""

    def take_git(self, rest: str) -> None:
        """`a/x b/x`; where both differ, further lines say which they are."""
        self.is_git = True
        if rest.startswith('"'):
            first, _, rest = rest[1:].partition('" ')
            self.old, self.new = _unquoted(f'"{first}"'), _unquoted(rest)
        elif rest.endswith('"'):
            first, _, last = rest.partition(' "')
            self.old, self.new = first, _unquoted(f'"{last}')
        else:
            half = len(rest) // 2
            self.old, self.new = rest[:half], rest[half + 1 :]

    def take_pair(self, old: str, new: str) -> None:
        """`--- a/x`, `+++ b/x`."""
        self.is_paired = True
        self.old, self.new = _unquoted(old.partition("\t")[0]), _unquoted(new.partition("\t")[0])

    def take_extended(self, line: str) -> bool:
        """`rename to x` and its like; False where it is none."""
        for begin in ("rename to ", "copy to "):
            if line.startswith(begin):
                self.told = _unquoted(line.removeprefix(begin))
                return True
        return self.is_git

    def path(self) -> str:
        """The path, without the prefixes of both sides."""
        if self.told:
            return self.told
        old, new = self.old, self.new
        if all(side in ("", _NOTHING) or side.startswith(p) for side, p in ((old, "a/"), (new, "b/"))):
            old, new = old.removeprefix("a/"), new.removeprefix("b/")
        return old if new in ("", _NOTHING) else new


def _unquoted(path: str) -> str:
    """A path as git quotes it: C's escapes, octal for bytes."""
    if len(path) < 2 or not (path.startswith('"') and path.endswith('"')):
        return path
    made, at, inner = bytearray(), 0, path[1:-1]
    while at < len(inner):
        char = inner[at]
        if char != "\\":
            made += char.encode("utf-8", "surrogateescape")
            at += 1
        elif inner[at + 1 : at + 2] in _ESCAPES and inner[at + 1 : at + 2]:
            made.append(_ESCAPES[inner[at + 1]])
            at += 2
        else:
            octal = inner[at + 1 : at + 4]
            if re.fullmatch(r"[0-3][0-7]{2}", octal) is None:
                raise BadInput(f"the path {path[:80]} of the diff is quoted in no way that git does")
            made.append(int(octal, 8))
            at += 4
    return made.decode("utf-8", "replace")
