"""Names in a landing folder that are no data: hidden files, markers of other engines, files still being written.

Belongs here: the rule. Not here: the files that are read (see landing.py), folders that can be no dataset (see
lakehouse_assets/landing_plan.py).
"""

from __future__ import annotations

# As Spark and Hive leave them out: `.DS_Store`, `._x.csv`, `_SUCCESS`, `_committed_1`, `_temporary/`.
_PREFIXES = (".", "_", "~$")
# What browsers, sync and copy tools call a file until it is whole, and editors what they keep beside it.
_SUFFIXES = (
    ".part", ".partial", ".filepart", ".crdownload", ".opdownload", ".download", ".tmp", ".temp", ".swp",
    "._copying_", "~",
)  # fmt: skip
_OF_FILE_MANAGERS = frozenset({"thumbs.db", "desktop.ini"})


def is_left_alone(path: str) -> bool:
    """Whether a file under `landing/` is no data by its name, or by that of a folder that it lies in.

    Args:
        path: Its key behind `landing/` or behind `landing/<dataset>/`.
    """
    *folders, name = path.split("/")
    lower = name.lower()
    return (
        any(part.startswith(_PREFIXES) for part in (*folders, name))
        or lower.endswith(_SUFFIXES)
        or lower in _OF_FILE_MANAGERS
    )
