"""Under which heading of `lakehouse --help` each command stands, and in which order.

Belongs here: headings, their order. Not here: the commands (see command_modules.py).
"""

from __future__ import annotations

from collections.abc import Mapping

_PANELS: Mapping[str, tuple[str, ...]] = {
    "Run it": ("up", "down", "status", "token", "doctor"),
    "Data": ("ingest", "datasets", "sql", "sample", "corpus", "index"),
    "Search and answer": ("search", "answer", "chat", "validate", "playbook", "pathway", "models", "workflow"),
    "From runs to memory and training data": (
        "import", "materialize", "score", "export", "fold-back", "exchange", "lineage", "retract",
    ),
    "Judge and change": ("replay", "propose", "promote", "promotions", "rollback", "drift", "review", "triage"),
    "Keep and prove": ("backup", "restore", "upgrade", "gc", "audit", "parity", "load", "proof"),
}  # fmt: skip


def place_of(command: str) -> int:
    """Where a command stands among all, counted from 0; one without a heading stands behind them."""
    order = [name for commands in _PANELS.values() for name in commands]
    return order.index(command) if command in order else len(order)


def panel_of(command: str) -> str | None:
    """The heading of a command; None: it has none."""
    return next((panel for panel, commands in _PANELS.items() if command in commands), None)
