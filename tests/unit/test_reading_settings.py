"""What holds once a command has read the settings: a way to this machine past any proxy, warnings beside the output."""

import pytest
import structlog

from lakehouse_cli.reading_settings import keep_loopback_direct, read_settings


def test_without_a_proxy_nothing_changes() -> None:
    environ = {"PATH": "/bin"}
    keep_loopback_direct(environ)
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("given", [{}, {"no_proxy": ".corp, localhost"}, {"NO_PROXY": ".corp"}])
def test_with_a_proxy_this_machine_is_reached_without_it(proxy: str, given: dict[str, str]) -> None:
    environ = {proxy: "http://proxy.corp:3128", **given}
    keep_loopback_direct(environ)
    for name in ("no_proxy", "NO_PROXY"):
        hosts = environ[name].split(",")
        assert {"localhost", "127.0.0.1", "::1"} <= set(hosts)
        assert len(hosts) == len(set(hosts))
        assert (".corp" in hosts) == bool(given)
    assert environ[proxy] == "http://proxy.corp:3128"


def test_that_no_host_is_asked_by_proxy_stays() -> None:
    environ = {"http_proxy": "http://proxy.corp:3128", "no_proxy": "*"}
    keep_loopback_direct(environ)
    assert environ["no_proxy"] == environ["NO_PROXY"] == "*"


def test_warnings_of_a_command_go_beside_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    try:
        read_settings()
        structlog.get_logger("test").info("not of interest")
        structlog.get_logger("test").warning("a warning", file="x")
    finally:
        structlog.reset_defaults()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a warning" in shown.err
    assert "not of interest" not in shown.err
