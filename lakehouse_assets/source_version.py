"""The version of the source: what a receipt names as the code that made something.

Belongs here: reading the commit of a checkout. Not here: code versions of assets (each asset states its own).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent / ".git"


@cache
def source_version() -> str:
    """The commit that is checked out; the released version where there is no checkout."""
    return read_commit(REPOSITORY) or f"lakehouse-{version('lakehouse')}"


def read_commit(repository: Path) -> str | None:
    """The commit that a `.git` folder's HEAD names, without running git; None when it cannot be told."""
    try:
        head = (repository / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head or None
        reference = head.removeprefix("ref: ")
        loose = repository / reference
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        packed = (repository / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split(" ")[0] for line in packed if line.endswith(f" {reference}")), None)
    except OSError:
        return None
