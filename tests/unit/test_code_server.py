"""The code server's process: what Dagster would read again at each tick is read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster import DagsterInstance

from lakehouse_assets.code_server import read_migrations_once


def test_migrations_are_read_once_whichever_storage_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    read = ScriptDirectory.from_config

    def counting(config: Config) -> ScriptDirectory:
        asked.append(config.get_main_option("script_location"))
        return read(config)

    monkeypatch.setattr(ScriptDirectory, "from_config", counting)
    read_migrations_once()
    for _ in range(2):
        with DagsterInstance.local_temp(str(tmp_path)) as instance:
            assert instance.get_runs_count() == 0
    assert asked
    assert len(asked) == len(set(asked))
