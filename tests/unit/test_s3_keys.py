"""Keys for engines that read S3 by themselves."""

from __future__ import annotations

import pytest

from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource, S3Keys


def test_keys_of_the_settings_are_taken() -> None:
    location = S3Location("http://127.0.0.1:1", "b", "r", "id", "secret")
    assert KeySource(location).current() == S3Keys("id", "secret")


def test_without_any_the_chain_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "SESSION_TOKEN": "c"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    keys = KeySource(S3Location(None, "b", "r", None, None)).current()
    assert keys == S3Keys("a", "b", "c")
    assert "b" not in repr(keys).removeprefix("S3Keys")
