"""Each test begins with the logs of a fresh process, whatever tests and their modules' fixtures set up before it."""

from __future__ import annotations

import sys

import pytest
import structlog


@pytest.fixture(scope="module")
def _command_of_a_module() -> None:
    """As a fixture that runs a command in this process: it comes before everything that each test begins with."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@pytest.mark.usefixtures("_command_of_a_module")
def test_logs_that_a_fixture_of_the_module_set_up_are_not_those_of_the_test(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.get_logger().warning("said here")
    out, err = capsys.readouterr()
    assert ("said here" in out, err) == (True, "")
