"""What doctor finds, as checks of an audit's set-up.

Services that were never started on this machine are no fault: an audit runs without them, and says that it did.

Belongs here: which of doctor's findings count, and as what. Not here: finding them (see doctor.py), what the audit
itself looks at (see lakehouse/adapters/audit_full_setup.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lakehouse.audit.results import Check

if TYPE_CHECKING:
    from lakehouse_cli.doctor import Finding

_SERVICES = {"api": "api", "dagster": "dagster-daemon"}
"""Doctor's checks that ask a server, each with the name of its process."""
_OWN = frozenset({"store", "disk"})
"""What the audit looks at by itself."""


def doctor_checks() -> list[Check]:
    """Run doctor."""
    from lakehouse_cli.doctor import examine
    from lakehouse_cli.reading_settings import read_settings
    from lakehouse_cli.start import Installation

    table = Installation(read_settings()).table
    return list(as_checks(examine(), started=frozenset(table.names())))


def as_checks(findings: Iterable[Finding], *, started: frozenset[str]) -> Iterator[Check]:
    """Doctor's findings as checks.

    Args:
        findings: Of doctor.
        started: Names of the processes that were started here, whether they still run or not.
    """
    for found in findings:
        name = f"doctor: {found.check}"
        if found.check in _OWN and found.verdict != "problem":
            continue
        if found.verdict == "problem" and found.check in _SERVICES and _SERVICES[found.check] not in started:
            yield Check(name, "skip", f"it was not started here: {found.message}")
        elif found.verdict == "problem":
            yield Check(name, "fail", found.message, found.remedy)
        else:
            told = f"{found.message} (a warning: {found.remedy})" if found.verdict == "warning" else found.message
            yield Check(name, "pass", told)
