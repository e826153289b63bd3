"""Phase 0, set-up: the store answers and keeps conditions, an engine opens on it, there is room, versions are known.

Belongs here: what every process can find out for itself. Not here: the processes of this machine (see
lakehouse_cli/doctor.py, whose findings the command adds).
"""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from lakehouse.adapters.evidence_lake import open_lake
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.adapters.store_probe import ignored_conditions
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError
from lakehouse.events.disk import disk_usage_percent
from lakehouse.scoring.rule_file import default_rules

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger

_PACKAGES = ("lakehouse", "duckdb", "pyarrow", "pylance", "rensa", "onnxruntime")
"""Those whose version may show in bytes or in answers."""


def versions() -> dict[str, str]:
    """Versions of the platform, of what its bytes depend on, and of the rules that score."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return {**found, "scoring rules": default_rules().version}


def check_setup(parts: AuditParts, ledger: PhaseLedger) -> bool:
    """Look at the store, the engine and the disk; gives whether the store can be worked with."""
    _check_versions(ledger)
    _check_disk(parts, ledger)
    try:
        begun_s = time.perf_counter()
        parts.store.list("", limit=1)
        ledger.measured("store_answers_ms", (time.perf_counter() - begun_s) * 1000)
        ignored = ignored_conditions(parts.store)
    except LakehouseError as error:
        ledger.failed(
            "the store answers", error.detail, "start it (`lakehouse up`), or mend the LAKEHOUSE_S3_ settings"
        )
        return False
    ledger.passed("the store answers", "it lists, takes and removes an object")
    ledger.judge(
        "it keeps conditions",
        [f"it takes {name} and ignores it" for name in ignored],
        looked_at="If-None-Match and If-Match are kept",
        remedy="Two writers would lose updates: use a store with conditional writes (AWS, MinIO, Ceph, SeaweedFS)",
    )
    _check_engine(parts, ledger)
    return True


def _check_versions(ledger: PhaseLedger) -> None:
    found = versions()
    ledger.judge(
        "what the platform needs is installed",
        [f"{name} is missing" for name, one in found.items() if one == "missing"],
        looked_at=f"{counted(len(found), 'version')} known",
        remedy="make setup",
    )


def _check_disk(parts: AuditParts, ledger: PhaseLedger) -> None:
    percent = disk_usage_percent(parts.settings.data_dir)
    ledger.measured("disk_used_share", round(percent) / 100)
    is_full = percent >= parts.settings.disk_refuse_percent
    ledger.judge(
        "the disk has room",
        [f"it is {percent:.0f} % full, and writes are refused from {parts.settings.disk_refuse_percent:.0f} % on"]
        if is_full
        else [],
        looked_at=f"{percent:.0f} % of the disk of {parts.settings.data_dir} is used",
        remedy="free some space; old data: lakehouse gc --dry-run",
    )


def _check_engine(parts: AuditParts, ledger: PhaseLedger) -> None:
    try:
        with scratch_folder(parts.work_dir, "audit-setup-") as folder, open_lake(parts.location, folder) as engine:
            engine.execute("SELECT 1")
    except LakehouseError as error:
        ledger.failed("an engine opens on it", error.detail, "make setup")
    else:
        ledger.passed("an engine opens on it", "DuckDB with its extension for the store")
