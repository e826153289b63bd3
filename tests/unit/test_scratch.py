"""Local folders for files on their way: gone at the end, after a kill, never while somebody works in them."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from lakehouse.adapters.scratch import scratch_folder
from lakehouse.errors import InsufficientStorage


def _die_in(work_dir: Path) -> None:
    with scratch_folder(work_dir, "a-") as folder:
        (folder / "half").write_bytes(b"x")
        os.kill(os.getpid(), signal.SIGKILL)


def folders(work_dir: Path) -> list[str]:
    return sorted(path.name for path in work_dir.iterdir() if path.is_dir())


def test_folder_is_empty_and_goes_at_the_end(tmp_path: Path) -> None:
    work_dir = tmp_path / "deep" / "work"
    with scratch_folder(work_dir, "a-") as folder:
        assert [path.name for path in folder.iterdir()] == [".lock"]
        (folder / "x").mkdir()
    assert folders(work_dir) == []


def test_folder_of_a_killed_process_goes_with_the_next_and_others_stay(tmp_path: Path) -> None:
    victim = multiprocessing.get_context("spawn").Process(target=_die_in, args=(tmp_path,))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    [left] = folders(tmp_path)
    (tmp_path / "a-never-locked").mkdir()
    with scratch_folder(tmp_path, "b-") as other:
        assert left in folders(tmp_path)  # of another prefix
        with scratch_folder(tmp_path, "a-") as first:
            assert folders(tmp_path) == sorted([first.name, other.name])
            with scratch_folder(tmp_path, "a-") as second:
                assert first.is_dir()
                assert second != first


def test_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(InsufficientStorage, match="is full"), scratch_folder(tmp_path, "a-"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), scratch_folder(tmp_path, "a-"):
        raise PermissionError(errno.EACCES, "no")
    assert folders(tmp_path) == []
