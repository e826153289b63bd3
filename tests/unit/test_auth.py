"""Tokens, scopes and addresses, as pure rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import Forbidden, Unauthorized
from lakehouse.settings import Settings, SettingsError, load_settings
from lakehouse_api.auth import (
    SCOPES,
    Authenticator,
    check_bind,
    is_loopback,
    is_within,
    make_authenticator,
    parse_networks,
    read_tokens_file,
    with_implied,
)
from tests.tokens import write_tokens_file


def _settings(tmp_path: Path, environ: dict[str, str] | None = None, **settings: object) -> Settings:
    given = {f"LAKEHOUSE_{name.upper()}": str(value) for name, value in settings.items()}
    return load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path), **given, **(environ or {})}, env_file=None)


def _bearer(text: str) -> str:
    return f"Bearer {text}"


def test_primary_and_each_secondary_alone_are_enough(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path, auth_token="new", auth_secondary_tokens="old, older"))
    for text, name in (("new", "primary"), ("old", "secondary-1"), ("older", "secondary-2")):
        principal = auth.authenticate(_bearer(text), "10.0.0.1")
        assert (principal.name, principal.scopes, principal.has_pii) == (name, SCOPES, True)


def test_tokens_come_from_the_named_environment_variables(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path, {"AUTH_TOKEN": "a", "AUTH_SECONDARY_TOKENS": "b"}))
    assert auth.authenticate(_bearer("a"), "::1").name == "primary"
    assert auth.authenticate(_bearer("b"), "::1").name == "secondary-1"
    renamed = make_authenticator(_settings(tmp_path, {"AUTH_TOKEN": "a", "MY_TOKEN": "c"}, auth_token_env="MY_TOKEN"))
    assert renamed.authenticate(_bearer("c"), "::1").name == "primary"
    with pytest.raises(Unauthorized):
        renamed.authenticate(_bearer("a"), "::1")


def test_token_with_a_line_end_is_the_token(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path, {"AUTH_TOKEN": "a\n", "AUTH_SECONDARY_TOKENS": "b\r\n"}))
    assert auth.authenticate(_bearer("a"), "::1").name == "primary"
    assert auth.authenticate(_bearer("b"), "::1").name == "secondary-1"


def test_explicit_setting_wins_over_the_environment_variable(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path, {"AUTH_TOKEN": "environment"}, auth_token="setting"))
    assert auth.authenticate(_bearer("setting"), "::1").name == "primary"
    with pytest.raises(Unauthorized, match="the token is not known"):
        auth.authenticate(_bearer("environment"), "::1")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "a token is needed: send the header 'Authorization: Bearer <token>'"),
        ("", "a token is needed: send the header 'Authorization: Bearer <token>'"),
        ("Basic dXNlcjpwYXNz", "the Authorization header must be 'Bearer <token>'"),
        ("Bearer", "the Authorization header must be 'Bearer <token>'"),
        ("Bearer ", "the Authorization header must be 'Bearer <token>'"),
        ("Bearer wrong", "the token is not known"),
        ("Bearer secreT", "the token is not known"),
        ("Bearer secret2", "the token is not known"),
    ],
)
def test_header_without_a_known_token_is_unauthorized(tmp_path: Path, header: str | None, message: str) -> None:
    auth = make_authenticator(_settings(tmp_path, auth_token="secret"))
    with pytest.raises(Unauthorized) as refusal:
        auth.authenticate(header, "127.0.0.1")
    assert refusal.value.detail == message


@given(st.text().filter(lambda text: text.strip() != "secret"))
def test_any_other_text_is_unauthorized(text: str) -> None:
    auth = make_authenticator(load_settings({"LAKEHOUSE_AUTH_TOKEN": "secret"}, env_file=None))
    with pytest.raises(Unauthorized):
        auth.authenticate(_bearer(text), "127.0.0.1")


def test_token_and_address_must_both_pass(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path, auth_token="secret", allowed_cidrs="10.1.0.0/16, 192.0.2.7"))
    for address in ("10.1.2.3", "192.0.2.7", "::ffff:10.1.2.3"):
        assert auth.authenticate("Bearer secret", address).address == address
    for address in ("10.2.0.1", "192.0.2.8", "::1", "", "unknown"):
        with pytest.raises(Forbidden, match="is not in LAKEHOUSE_ALLOWED_CIDRS"):
            auth.authenticate("Bearer secret", address)
    with pytest.raises(Unauthorized):
        auth.authenticate("Bearer wrong", "10.1.2.3")


def test_no_token_is_open_to_loopback_alone(tmp_path: Path) -> None:
    auth = make_authenticator(_settings(tmp_path))
    assert auth.is_open
    assert auth.authenticate(None, "127.0.0.1").scopes == SCOPES
    with pytest.raises(Forbidden, match="without a token the API answers to this machine alone"):
        auth.authenticate(None, "10.0.0.1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org"])
def test_bind_beyond_loopback_without_a_token_is_refused(tmp_path: Path, host: str) -> None:
    settings = _settings(tmp_path, api_host=host)
    with pytest.raises(SettingsError, match=f"LAKEHOUSE_API_HOST is '{host}'.*no token is set"):
        check_bind(settings, make_authenticator(settings))


@pytest.mark.parametrize("kind", ["auth_token", "auth_secondary_tokens", "tokens_file"])
def test_any_token_opens_the_bind_gate(tmp_path: Path, kind: str) -> None:
    value = write_tokens_file(tmp_path / "t.json", a=["read"]) if kind == "tokens_file" else "secret"
    settings = _settings(tmp_path, api_host="0.0.0.0", **{kind: value})
    check_bind(settings, make_authenticator(settings))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_binds_without_a_token(tmp_path: Path, host: str) -> None:
    check_bind(_settings(tmp_path, api_host=host), Authenticator(()))


def test_admin_includes_read_and_write_and_nothing_includes_pii() -> None:
    assert with_implied(["admin"]) == {"admin", "read", "write"}
    assert with_implied(["write"]) == {"write"}
    assert with_implied(["read", "pii"]) == {"read", "pii"}


def test_tokens_file_gives_names_and_scopes(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "t.json", dashboard=["read"], loader=["write", "read"])
    auth = make_authenticator(_settings(tmp_path, tokens_file=path))
    principal = auth.authenticate(_bearer("dashboard"), "10.0.0.1")
    assert (principal.name, principal.scopes, principal.has_pii) == ("dashboard", {"read"}, False)
    with pytest.raises(Forbidden, match="token 'dashboard' lacks the scope 'write'"):
        principal.require("write")
    auth.authenticate(_bearer("loader"), "10.0.0.1").require("write")


_GOOD = {"name": "a", "token_sha256": "0" * 64, "scopes": ["read"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not readable JSON"),
        ("[]", "must hold a list of"),
        ('{"name": "a"}', "must hold a list of"),
        (json.dumps([{**_GOOD, "token": "x"}]), "entry 1 must be an object of name, token_sha256 and scopes"),
        (json.dumps([_GOOD, {**_GOOD, "name": " "}]), "entry 2 has no name"),
        (json.dumps([{**_GOOD, "token_sha256": "abc"}]), "token_sha256 must be 64 lower-case hex digits"),
        (json.dumps([{**_GOOD, "scopes": []}]), "scopes must be a list of admin, pii, read, write"),
        (json.dumps([{**_GOOD, "scopes": ["root"]}]), "unknown scope root"),
        (json.dumps([_GOOD, {**_GOOD, "token_sha256": "1" * 64}]), "two entries share a name or a token"),
    ],
)
def test_damaged_tokens_file_stops_the_start(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(SettingsError) as refusal:
        read_tokens_file(path)
    assert refusal.value.detail.startswith("LAKEHOUSE_TOKENS_FILE: ")
    assert message in refusal.value.detail


def test_tokens_file_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "t.json", a=["read"])
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="can be read by others; chmod 600 it"):
        _settings(tmp_path, tokens_file=path)


def test_loopback_and_networks_know_mapped_addresses() -> None:
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("128.0.0.1")
    assert is_within("::ffff:10.0.0.1", parse_networks(["10.0.0.0/8"]))
    assert not is_within("nonsense", parse_networks(["0.0.0.0/0"]))
