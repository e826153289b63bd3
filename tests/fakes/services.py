"""The API's real services, but for an event log that keeps its lines and a disk that is as full as a test says.

Belongs here: fakes that a test looks into or turns.
Not here: fakes that stand for a whole adapter in contract tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lakehouse.errors import InsufficientStorage, LakehouseError
from lakehouse.settings import Settings
from lakehouse_api.compose import compose_services
from lakehouse_api.services import Services


@dataclass
class FakeEventLog:
    """Keeps what was appended; `failure` is raised instead."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failure: LakehouseError | None = None
    has_failed: bool = False

    def start(self) -> None: ...

    def stop(self) -> None: ...

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        if self.failure is not None:
            raise self.failure
        self.lines.append((stream, dict(line)))
        return "run"

    def require_room(self) -> None:
        if self.failure is not None:
            raise self.failure

    def stats(self) -> dict[str, Any]:
        return {"depth_lines": len(self.lines), "depth_bytes": 0, "has_failed": self.has_failed, "last_error": None}


@dataclass
class FakeDisk:
    """A disk in the state that the test gives it."""

    current: Literal["ok", "degraded", "full"] = "ok"

    def state(self) -> tuple[str, float]:
        return self.current, {"ok": 40.0, "degraded": 90.0, "full": 96.0}[self.current]

    def require_space(self) -> None:
        if self.current == "full":
            raise InsufficientStorage("the disk is 96 % full; writes are refused from 95 % on")


def services_with_fakes(settings: Settings) -> Services:
    """A composition for `create_app(compose=…)`: everything real but the event log and the disk."""
    services = compose_services(settings)
    services.events = FakeEventLog()  # type: ignore[assignment]
    services.disk = FakeDisk()  # type: ignore[assignment]
    services.chat.calls.events, services.chat.calls.disk = services.events, services.disk
    services.answers.validator.events = services.events
    services.observer.events = services.workflows.lines.events = services.events
    return services
