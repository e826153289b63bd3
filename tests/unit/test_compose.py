"""Settings that name what there is not stop the start, and are named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.errors import BadInput
from lakehouse.operations.backup import back_up
from lakehouse.settings import SettingsError, load_settings
from lakehouse.settings_folders import make_folders
from lakehouse_api.compose import compose_services
from tests.fakes.objects import MemoryObjects


@pytest.mark.parametrize("name", ["LAKEHOUSE_DEFAULT_EMBEDDER", "LAKEHOUSE_PLAYBOOK_EMBEDDER"])
def test_unknown_embedder_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path), name: "nope"}, env_file=None)
    with pytest.raises(SettingsError, match=f"{name}: there is no embedder 'nope'; there are minilm, static"):
        compose_services(settings)


def test_folder_of_declarations_must_be_there(tmp_path: Path) -> None:
    environ = {"LAKEHOUSE_DATA_DIR": str(tmp_path), "LAKEHOUSE_CORPORA_DIR": str(tmp_path / "gone")}
    with pytest.raises(SettingsError, match=r"LAKEHOUSE_CORPORA_DIR: .*there is no folder"):
        load_settings(environ, env_file=None)


@pytest.mark.parametrize("name", ["LAKEHOUSE_DATA_DIR", "LAKEHOUSE_SPOOL_DIR"])
def test_folder_that_cannot_be_made_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    environ = {"LAKEHOUSE_DATA_DIR": str(tmp_path / "data"), name: str(tmp_path / "a" / "b")}
    settings = load_settings(environ, env_file=None)
    (tmp_path / "a").write_text("a file by now")
    with pytest.raises(SettingsError, match=f"{name}: .*/a/b cannot be made"):
        make_folders(settings)


def test_backup_into_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(BadInput, match=r"the folder .*/a/b cannot be made"):
        back_up(MemoryObjects(), tmp_path / "a" / "b", now=datetime(2026, 1, 2, tzinfo=UTC))
