"""Diffs to review: a file, or what a revision of the git repository changed.

Belongs here: reading them. Not here: their form (see lakehouse/review/diff.py).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from lakehouse.errors import BadInput, TimedOut, TooLarge

_GIT_TIMEOUT_S = 60
_MOST_BYTES = 64 << 20
# Options that keep the user's configuration and the repository's attributes from changing the output or running
# programs.
_GIT = ("git", "-c", "core.quotePath=true", "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false")
_OPTIONS = ("--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--unified=3", "--src-prefix=a/",
            "--dst-prefix=b/")  # fmt: skip


def read_diff(source: str, *, folder: Path | None = None) -> str:
    """The text of a diff.

    Args:
        source: A file with a unified diff; else a revision (`HEAD`: what this commit changed) or a range of revisions
            (`main..topic`, `main...topic`).
        folder: A folder of the repository; None: the current one.

    Raises:
        BadInput: It is neither, is empty, or is no text.
        TooLarge: It is larger than any review.
        TimedOut: git did not answer.
    """
    path = Path(source)
    body = _of_file(path) if path.is_file() else _of_git(source, folder or Path.cwd())
    if len(body) > _MOST_BYTES:
        raise TooLarge(f"the diff of {source} has {len(body):,} bytes; {_MOST_BYTES:,} are the most that is looked at")
    if not body.strip():
        raise BadInput(f"{source} changes nothing: there is nothing to review")
    return body.decode("utf-8", "replace")


def _of_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def _of_git(revision: str, folder: Path) -> bytes:
    if revision.startswith("-") or not revision.strip():
        raise BadInput(f"{revision!r} is neither a file nor a revision")
    is_range = ".." in revision
    command = ["diff", *_OPTIONS] if is_range else ["show", "--format=", "--first-parent", "-m", *_OPTIONS]
    try:
        done = subprocess.run(
            [*_GIT, *command, "--end-of-options", revision, "--"],
            cwd=folder, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise BadInput(f"{revision} is not a file, and git is not installed to ask for it as a revision") from None
    except subprocess.TimeoutExpired:
        raise TimedOut(f"git did not say within {_GIT_TIMEOUT_S} s what {revision} changes") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BadInput(
            f"{revision} is not a file, and git knows no such revision here: {said[0][:200] if said else ''}"
        )
    return done.stdout
