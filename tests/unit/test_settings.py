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
        ("HISTORY_DAYS", "inf", "finite number"),
        ("GC_MIN_AGE_HOURS", "nan", "finite number"),
        ("RECEIPT_RETENTION_DAYS", "1e12", "less than or equal to 36500"),
        ("LANDING_INTERVAL_S", "1000000000000", "less than or equal to 86400"),
        ("SQL_MEMORY_BYTES", "9223372036854775807", "less than or equal to"),
    ],
)
def test_wrong_value_is_refused_and_named(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    assert f"LAKEHOUSE_{name}" in caught.value.detail
    assert says in caught.value.detail


TIMES = [n.upper() for n in Settings.model_fields if n.endswith(("_s", "_hours", "_days"))]


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "1e300"])
@pytest.mark.parametrize("name", TIMES)
def test_time_beyond_measure_is_refused_and_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"LAKEHOUSE_{name}: "):
        load(**{name: value})


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


def test_env_file_gives_tokens_and_keys_by_the_names_that_settings_give(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("AUTH_TOKEN=one\nAUTH_SECONDARY_TOKENS=two\nMY_TOKEN=three\nMY_KEY=four\n")
    settings = load_settings({}, env_file=file)
    assert secrets_of(settings) == ("one", "two")
    renamed = load_settings({"LAKEHOUSE_AUTH_TOKEN_ENV": "MY_TOKEN"}, env_file=file)
    assert secrets_of(renamed) == ("three", "two")
    assert secrets_of(load_settings({"AUTH_TOKEN": "environment"}, env_file=file)) == ("environment", "two")
    endpoint = '{"x": {"url": "http://x/v1", "model": "m", "dimension": 3, "key_env": "MY_KEY"}}'
    key = load_settings({"LAKEHOUSE_EMBEDDING_ENDPOINTS": endpoint}, env_file=file).embedding_endpoints["x"].api_key
    assert key is not None
    assert key.get_secret_value() == "four"


def secrets_of(settings: Settings) -> tuple[str | None, ...]:
    secrets = (settings.auth_token, settings.auth_secondary_tokens)
    return tuple(secret and secret.get_secret_value() for secret in secrets)


def test_token_is_taken_without_the_space_around_it() -> None:
    settings = load_settings({"AUTH_TOKEN": " one\n", "AUTH_SECONDARY_TOKENS": "two,\tthree\n"}, env_file=None)
    assert secrets_of(settings) == ("one", "two,\tthree")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"AUTH_TOKEN": "\n"}, "AUTH_TOKEN: is blank"),
        ({"LAKEHOUSE_AUTH_TOKEN": " "}, "LAKEHOUSE_AUTH_TOKEN: is blank"),
        ({"LAKEHOUSE_AUTH_TOKEN_ENV": "MY_TOKEN", "MY_TOKEN": " \t"}, "MY_TOKEN: is blank"),
        ({"AUTH_SECONDARY_TOKENS": " , "}, "AUTH_SECONDARY_TOKENS: is blank"),
    ],
)
def test_blank_token_is_refused_and_named(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}"):
        load_settings(environ, env_file=None)


def test_longest_prefix_decides_the_cap() -> None:
    settings = load(STORAGE_PREFIX_MAX_BYTES='{"files/": 10, "files/models/": 99}', MAX_INGEST_BYTES="1000")
    assert settings.put_cap_bytes("files/x") == 10
    assert settings.put_cap_bytes("files/models/x") == 99
    assert settings.put_cap_bytes("landing/workers/x.csv") == 1000
