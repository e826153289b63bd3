"""Settings that name what there is not stop the start, and are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.settings import SettingsError, load_settings
from lakehouse_api.compose import compose_services


@pytest.mark.parametrize("name", ["LAKEHOUSE_DEFAULT_EMBEDDER", "LAKEHOUSE_PLAYBOOK_EMBEDDER"])
def test_unknown_embedder_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path), name: "nope"}, env_file=None)
    with pytest.raises(SettingsError, match=f"{name}: there is no embedder 'nope'; there are minilm, static"):
        compose_services(settings)


def test_folder_of_declarations_must_be_there(tmp_path: Path) -> None:
    environ = {"LAKEHOUSE_DATA_DIR": str(tmp_path), "LAKEHOUSE_CORPORA_DIR": str(tmp_path / "gone")}
    with pytest.raises(SettingsError, match=r"LAKEHOUSE_CORPORA_DIR: .*there is no folder"):
        load_settings(environ, env_file=None)
