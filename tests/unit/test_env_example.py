"""`.env.example` is what `Settings` says, and its defaults are settings."""

from __future__ import annotations

from pathlib import Path

from lakehouse.settings import PREFIX, Settings, load_settings
from lakehouse_cli.env_example import render_env_example

ROOT = Path(__file__).resolve().parents[2]


def test_committed_file_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == render_env_example(), "run: make docs"


def test_every_setting_is_there_with_its_meaning() -> None:
    text = render_env_example()
    for name, field in Settings.model_fields.items():
        assert f"\n# {field.description}\n#{PREFIX}{name.upper()}=" in text


def test_uncommented_defaults_load_as_the_defaults(tmp_path: Path) -> None:
    lines = render_env_example().replace(f"#{PREFIX}", PREFIX)
    (tmp_path / ".env").write_text(lines)
    assert load_settings({}, env_file=tmp_path / ".env") == load_settings({}, env_file=None)
