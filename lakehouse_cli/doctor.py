"""`lakehouse doctor`: what is wrong with this set-up, each finding with how to mend it.

Belongs here: findings, the checks of this machine and installation, their order. Not here: checks that ask a server
(see doctor_services.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lakehouse.client.installation import token_file
from lakehouse.errors import Unavailable
from lakehouse.events.disk import disk_usage_percent
from lakehouse.settings import Settings, SettingsError
from lakehouse_cli.children import make_children
from lakehouse_cli.ports import explain, taken
from lakehouse_cli.reading_settings import read_settings
from lakehouse_cli.start import Installation

PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `remedy` is what to type or change, empty when all is well."""

    check: str
    verdict: Literal["ok", "warning", "problem"]
    message: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Run all checks; one that cannot run says so and the others go on."""
    from lakehouse_cli import doctor_services

    findings = [_python(), *_packages(Path(__file__).resolve().parents[1])]
    try:
        settings = read_settings()
    except SettingsError as error:
        return [*findings, Finding("settings", "problem", error.detail, "correct it in the environment or in .env")]
    findings.append(Finding("settings", "ok", f"data in {settings.data_dir}"))
    for check in (_programs, _disk, _secrets, _processes, doctor_services.check_store, doctor_services.check_api,
                  doctor_services.check_dagster):  # fmt: skip
        findings += check(settings)
    return findings


def _python() -> Finding:
    have = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == PYTHON:
        return Finding("python", "ok", have)
    return Finding("python", "problem", f"{have}, but Python 3.11 is needed", "rm -rf .venv && make setup")


def _packages(root: Path) -> Iterator[Finding]:
    """Compare what is installed with uv.lock; an installation without a lock file (a wheel) has nothing to compare."""
    import importlib.metadata
    import tomllib

    lock = root / "uv.lock"
    if not lock.is_file():
        return
    wanted = {p["name"]: p.get("version", "") for p in tomllib.loads(lock.read_text())["package"]}
    found = {d.name.lower().replace("_", "-").replace(".", "-"): d.version for d in importlib.metadata.distributions()}
    wrong = [f"{n} {found[n]} (locked {v})" for n, v in sorted(wanted.items()) if n in found and v and found[n] != v]
    if wrong:
        listed = ", ".join(wrong[:5]) + (" …" if len(wrong) > 5 else "")
        yield Finding("packages", "problem", f"not as locked: {listed}", "make setup")
    else:
        yield Finding("packages", "ok", "as in uv.lock")


def _programs(settings: Settings) -> Iterator[Finding]:
    if settings.is_store_embedded:
        from lakehouse.adapters.seaweedfs import weed_binary

        try:
            yield Finding("weed", "ok", str(weed_binary()))
        except Unavailable as error:
            yield Finding("weed", "problem", error.detail, "make setup")
    yield _httpfs()


def _httpfs() -> Finding:
    import importlib.util

    import duckdb

    package = importlib.util.find_spec("duckdb_extension_httpfs")
    folders = list(package.submodule_search_locations or ()) if package else []
    found = [p for folder in folders for p in Path(folder).glob(f"extensions/v{duckdb.__version__}/httpfs*")]
    if not found:
        remedy = "make setup (the versions of duckdb and duckdb-extension-httpfs must be equal)"
        return Finding("httpfs", "problem", f"no httpfs extension for DuckDB {duckdb.__version__}", remedy)
    try:
        duckdb.connect().execute(f"LOAD '{found[0]}'")
    except duckdb.Error as error:
        return Finding("httpfs", "problem", f"DuckDB cannot load it: {error}", "make setup")
    return Finding("httpfs", "ok", f"for DuckDB {duckdb.__version__}")


def _disk(settings: Settings) -> Iterator[Finding]:
    percent = disk_usage_percent(settings.data_dir)
    message = f"{percent:.0f} % of the disk of {settings.data_dir} is used"
    remedy = "free some space; old data: lakehouse gc --dry-run"
    if percent >= settings.disk_refuse_percent:
        yield Finding("disk", "problem", f"{message}: writes are refused", remedy)
    elif percent >= settings.disk_degraded_percent:
        yield Finding("disk", "warning", message, remedy)
    else:
        yield Finding("disk", "ok", message)


def _secrets(settings: Settings) -> Iterator[Finding]:
    for path in (token_file(settings), settings.data_dir / "store" / "credentials.json", Path(".env")):
        if not path.is_file():
            continue
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            message = f"{path} can be read by others (mode {mode:04o})"
            # .env may hold nothing secret; the other two always do.
            verdict: Literal["warning", "problem"] = "warning" if path.name == ".env" else "problem"
            yield Finding("secrets", verdict, message, f"chmod 600 {path}")
        else:
            yield Finding("secrets", "ok", f"{path} is private")
    if not settings.is_store_embedded and settings.s3_read_access_key_id is None:
        yield Finding(
            "secrets",
            "warning",
            "the SQL workers use the full S3 keys",
            "set LAKEHOUSE_S3_READ_ACCESS_KEY_ID and LAKEHOUSE_S3_READ_SECRET_ACCESS_KEY to keys that can only read",
        )


def _processes(settings: Settings) -> Iterator[Finding]:
    table = Installation(settings).table
    for name in table.names():
        if table.alive(name) is None:
            yield Finding("processes", "problem", f"the pid file of {name} is stale: it died", "lakehouse up")
    children = [child for child in make_children(settings) if table.alive(child.name) is None]
    held = taken(need for child in children for need in child.ports)
    for need in held:
        yield Finding("ports", "problem", explain(need), "lakehouse up, after that")
    if not held:
        yield Finding("ports", "ok", "ours are free, or held by our own processes")
