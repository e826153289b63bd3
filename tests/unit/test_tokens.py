"""The token: made once with mode 0600, and the right one wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.client.installation import find_token, token_file
from lakehouse.errors import Forbidden
from lakehouse.settings import Settings, load_settings
from lakehouse_cli.tokens import require_token


def settings_in(folder: Path, **changes: str) -> Settings:
    return load_settings({"LAKEHOUSE_DATA_DIR": str(folder), **changes}, env_file=None)


def test_first_start_makes_a_private_token_and_the_next_finds_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data")
    assert find_token(settings, {}) is None
    made = require_token(settings, {})
    assert len(made) >= 40
    assert token_file(settings).stat().st_mode & 0o777 == 0o600
    assert require_token(settings, {}) == made == find_token(settings, {})
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["token"]


def test_setting_wins_over_environment_over_file(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, LAKEHOUSE_AUTH_TOKEN_ENV="MY_TOKEN")
    require_token(settings, {})
    assert find_token(settings, {"MY_TOKEN": "from-env", "AUTH_TOKEN": "not this"}) == "from-env"
    explicit = settings_in(tmp_path, LAKEHOUSE_AUTH_TOKEN="from-setting")
    assert find_token(explicit, {"AUTH_TOKEN": "from-env"}) == "from-setting"


@pytest.mark.parametrize(("text", "mode", "remedy"), [("secret\n", 0o644, "chmod 600"), ("", 0o600, "delete it")])
def test_token_file_that_cannot_be_trusted_is_refused_with_the_remedy(
    tmp_path: Path, text: str, mode: int, remedy: str
) -> None:
    settings = settings_in(tmp_path)
    token_file(settings).write_text(text)
    token_file(settings).chmod(mode)
    with pytest.raises(Forbidden, match=remedy):
        find_token(settings, {})
