"""The Dagster home: a folder with the instance's configuration, made from the template beside this module.

Belongs here: writing `dagster.yaml`, opening the instance. Not here: starting Dagster (see processes.py).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.settings import PREFIX, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

TEMPLATE = Path(__file__).with_name("dagster.yaml")
OPEN_LOCK_FILE = "open.lock"
ONE_AT_A_TIME = ("lance",)
POSTGRES_URL_VARIABLE = f"{PREFIX}DAGSTER_POSTGRES_URL"
_POSTGRES = f"""
storage:
  postgres:
    postgres_url:
      env: {POSTGRES_URL_VARIABLE}
"""


def dagster_yaml(settings: Settings) -> str:
    """The instance's configuration: SQLite in the folder itself, or Postgres; its URL stays in the environment."""
    template = TEMPLATE.read_text(encoding="utf-8")
    return template + (_POSTGRES if settings.dagster_postgres_url is not None else "")


def make_dagster_home(settings: Settings) -> Path:
    """Make the folder when it is missing and bring its `dagster.yaml` up to date; returns its absolute path."""
    home = settings.dagster_home_path.absolute()
    home.mkdir(parents=True, exist_ok=True)
    target, text = home / "dagster.yaml", dagster_yaml(settings)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        # Replaced whole: a process that starts meanwhile reads the old or the new text, never half.
        draft = home / f".dagster.yaml.{os.getpid()}"
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    return home


def open_instance(settings: Settings) -> DagsterInstance:
    """The instance in DAGSTER_HOME; processes that start together open it one after the other.

    Two that make SQLite's tables at the same time both fail, and leave tables that no later start can read.
    """
    from dagster import DagsterInstance

    home = make_dagster_home(settings)
    with (home / OPEN_LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = DagsterInstance.from_config(str(home))
        instance.all_asset_keys()  # the event log's tables are made at their first use
        instance.get_daemon_heartbeats()
        instance.all_instigator_state()
        limit_pools(instance)
        return instance


def limit_pools(instance: DagsterInstance) -> None:
    """Give pools their limits that are not the default; those that an operator has set stay.

    Several writers of Lance tables at once are safe, but each takes the machine's cores and memory.
    """
    storage = instance.event_log_storage
    known = {limit.name for limit in storage.get_pool_limits() if not limit.from_default}
    for pool in ONE_AT_A_TIME:
        if pool not in known:
            storage.set_concurrency_slots(pool, 1)
