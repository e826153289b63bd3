"""Temporary local folders: removed at the end, and those of killed processes when the next one is made.

Belongs here: their lifetime. Not here: what is made in them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import InsufficientStorage

_LOCK = ".lock"


@contextmanager
def scratch_folder(work_dir: Path, prefix: str) -> Iterator[Path]:
    """An empty folder that is removed at the end; at the beginning, folders of killed processes with that prefix are.

    Args:
        work_dir: Where it is made; made where it is missing.
        prefix: What its name begins with.

    Raises:
        InsufficientStorage: The disk is full.
    """
    with full_disk_told(work_dir):
        folder, lock = _claimed(work_dir, prefix)
    try:
        with full_disk_told(work_dir):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn what the system says of a full disk into the platform's error.

    Raises:
        InsufficientStorage: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InsufficientStorage(f"the disk of {folder} is full; make room, then try again") from None


def _claimed(work_dir: Path, prefix: str) -> tuple[Path, int]:
    """A new folder and its lock, which the system takes away with the process that holds it."""
    work_dir.mkdir(parents=True, exist_ok=True)
    gate = os.open(work_dir / f"{prefix}{_LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # One process at a time, so that no folder is seen between its creation and its lock.
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in work_dir.glob(f"{prefix}*/"):
            _remove_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=work_dir))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(gate)
    return folder, lock


def _remove_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        # Its process was killed before it locked the folder, as whoever makes one holds the gate; or it is just being
        # removed.
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # a living process has the lock
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
