"""The commit of a checkout, read from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse_assets.source_version import read_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": COMMIT},
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": f"{COMMIT}\n"},
        {"HEAD": "ref: refs/heads/main\n", "packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n"},
    ],
)
def test_commit_is_read_from_every_form_of_head(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_commit(tmp_path) == COMMIT


def test_folder_that_is_no_repository_has_no_commit(tmp_path: Path) -> None:
    assert read_commit(tmp_path / "none") is None
