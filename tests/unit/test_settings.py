"""Settings: defaults stand, and every wrong value stops the start and is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.settings import Settings, SettingsError, load_settings


def load(**environ: str) -> Settings:
    return load_settings({f"LAKEHOUSE_{k}": v for k, v in environ.items()}, env_file=None)


def test_empty_environment_gives_the_embedded_defaults() -> None:
    settings = load()
    assert settings.is_store_embedded
    assert settings.api_host == "127.0.0.1"
    assert settings.data_dir.is_absolute()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("API_PORT", "0", "greater than or equal to 1"),
        ("API_PORT", "http", "valid integer"),
        ("S3_ENDPOINT", "localhost:8333", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "ftp://host", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "http://key:secret@host", "must not carry credentials"),
        ("S3_BUCKET", "Not A Bucket", "match pattern"),
        ("SQL_TIMEOUT_S", "-1", "greater than 0"),
        ("CATALOG_POLL_S", "10", "less than or equal to 1.5"),
        ("ALLOWED_CIDRS", "10.0.0.0/99", "10.0.0.0/99"),
        ("LOG_LEVEL", "loud", "match pattern"),
        ("ROOT_PATH", "no-slash", "match pattern"),
        ("STORAGE_PREFIX_MAX_BYTES", "{not json", "dictionary"),
        ("TOKENS_FILE", "/does/not/exist", "is not a file"),
        ("DATA_DIR", "/dev/null/x", "is not a folder"),
        ("DISK_REFUSE_PERCENT", "120", "less than or equal to 100"),
        ("FAILURE_WEBHOOK_URL", "hook", "must be an http:// or https:// URL"),
    ],
)
def test_wrong_value_is_refused_and_named(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    assert f"LAKEHOUSE_{name}" in caught.value.detail
    assert says in caught.value.detail


def test_unknown_setting_is_refused_and_named() -> None:
    with pytest.raises(SettingsError, match="unknown setting LAKEHOUSE_API_PROT"):
        load(API_PROT="8000")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(API_PORT="x", SQL_WORKERS="0")
    assert "LAKEHOUSE_API_PORT" in caught.value.detail
    assert "LAKEHOUSE_SQL_WORKERS" in caught.value.detail


def test_half_a_key_pair_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="LAKEHOUSE_S3_ACCESS_KEY_ID and LAKEHOUSE_S3_SECRET_ACCESS_KEY go together"
    ):
        load(S3_ACCESS_KEY_ID="only-one")


def test_secret_never_shows() -> None:
    settings = load(S3_ACCESS_KEY_ID="id", S3_SECRET_ACCESS_KEY="hunter2", AUTH_TOKEN="hunter3")
    assert "hunter" not in repr(settings)
    assert "hunter" not in str(settings.model_dump())


def test_tokens_file_readable_by_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_text("[]")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(TOKENS_FILE=str(file))
    file.chmod(0o600)
    assert load(TOKENS_FILE=str(file)).tokens_file == file


def test_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("LAKEHOUSE_API_PORT=1111\nLAKEHOUSE_DAGSTER_PORT=2222\nOTHER=1\n")
    settings = load_settings({"LAKEHOUSE_API_PORT": "3333"}, env_file=file)
    assert (settings.api_port, settings.dagster_port) == (3333, 2222)


def test_longest_prefix_decides_the_cap() -> None:
    settings = load(STORAGE_PREFIX_MAX_BYTES='{"files/": 10, "files/models/": 99}', MAX_INGEST_BYTES="1000")
    assert settings.put_cap_bytes("files/x") == 10
    assert settings.put_cap_bytes("files/models/x") == 99
    assert settings.put_cap_bytes("landing/workers/x.csv") == 1000
