"""What chat calls have used: tokens and dollars by role, provider and model, and the share of frontier models.

Belongs here: the meter and its sums. Not here: the raw lines (see call_log.py), keeping it on disk (see
lakehouse/adapters/usage_file.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

FORMAT_VERSION = 1
_KEPT_DAYS = 31


@dataclass(slots=True)
class Spent:
    """Sums of some calls; `cost_usd` is of the priced ones."""

    calls: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    escalations: int = 0
    escalation_usd: float = 0.0

    def add(self, other: Spent) -> None:
        """Add sums to these."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has ended, for the meter."""

    role: str
    provider: str
    model: str
    is_frontier: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    has_failed: bool = False
    is_escalation: bool = False


_Key = tuple[str, str, str, bool]


class UsageMeter:
    """Counts calls by day; thread-safe.

    Args:
        clock: The time now, aware, in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._days: dict[str, dict[_Key, Spent]] = {}
        self._since = clock()
        self._lock = threading.Lock()
        self.changes = 0

    def count(self, call: Call) -> None:
        """Count one call."""
        spent = Spent(
            calls=1,
            failures=int(call.has_failed),
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            cost_usd=call.cost_usd or 0.0,
            unpriced_calls=int(call.cost_usd is None),
            escalations=int(call.is_escalation),
            escalation_usd=(call.cost_usd or 0.0) if call.is_escalation else 0.0,
        )
        key = (call.role, call.provider, call.model, call.is_frontier)
        with self._lock:
            today = self._days.setdefault(self._day(), {})
            today.setdefault(key, Spent()).add(spent)
            self.changes += 1
            self._forget_old_days()

    def escalated_usd(self) -> float:
        """What escalations have cost today, which the budget is held against."""
        with self._lock:
            return sum(spent.escalation_usd for spent in self._days.get(self._day(), {}).values())

    def report(self) -> dict[str, Any]:
        """The sums as `GET /v1/chat/usage` shows them."""
        with self._lock:
            days = {day: dict(spent) for day, spent in self._days.items()}
            today = self._day()
        everything: dict[_Key, Spent] = {}
        for spent in days.values():
            for key, one in spent.items():
                everything.setdefault(key, Spent()).add(one)
        return {
            "since": self._since.isoformat().replace("+00:00", "Z"),
            "today": _totals(days.get(today, {})),
            "total": _totals(everything),
            "by_role": _grouped(everything, lambda key: key[0]),
            "by_provider": _grouped(everything, lambda key: key[1]),
            "by_model": _grouped(everything, lambda key: f"{key[1]}/{key[2]}"),
        }

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON."""
        with self._lock:
            rows = [
                {"day": day, "role": k[0], "provider": k[1], "model": k[2], "is_frontier": k[3], **asdict(spent)}
                for day, of_day in self._days.items()
                for k, spent in of_day.items()
            ]
            return {"format_version": FORMAT_VERSION, "since": self._since.isoformat(), "rows": rows}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take in what `dump` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        days: dict[str, dict[_Key, Spent]] = {}
        for row in dumped["rows"]:
            rest = dict(row)
            day, key = (
                rest.pop("day"),
                (rest.pop("role"), rest.pop("provider"), rest.pop("model"), rest.pop("is_frontier")),
            )
            days.setdefault(_checked(day, str), {})[key] = Spent(**_numbers(rest))
            for text in key[:3]:
                _checked(text, str)
        since = datetime.fromisoformat(dumped["since"])
        with self._lock:
            self._days, self._since = days, since
            self._forget_old_days()

    def _day(self) -> str:
        return f"{self._clock():%Y-%m-%d}"

    def _forget_old_days(self) -> None:
        oldest = f"{self._clock() - timedelta(days=_KEPT_DAYS):%Y-%m-%d}"
        for day in [day for day in self._days if day < oldest]:
            del self._days[day]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """Sums as they were dumped.

    Raises:
        TypeError, ValueError: One is no number, or none that a sum can be.
    """
    for name, value in row.items():
        kind = (int, float) if name.endswith("_usd") else int
        if isinstance(value, bool) or not isinstance(value, kind) or not 0 <= value < float("inf"):
            raise ValueError(f"{name} is {value!r:.40}")
    return dict(row)


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is not of type {kind.__name__}")
    return value


def _totals(spent: Mapping[_Key, Spent]) -> dict[str, Any]:
    total, frontier = Spent(), Spent()
    for key, one in spent.items():
        total.add(one)
        if key[3]:
            frontier.add(one)
    return {
        **_shown(total),
        "frontier_calls": frontier.calls,
        "frontier_cost_usd": round(frontier.cost_usd, 6),
        "frontier_share_of_calls": round(frontier.calls / total.calls, 6) if total.calls else 0.0,
        "frontier_share_of_cost": round(frontier.cost_usd / total.cost_usd, 6) if total.cost_usd else 0.0,
    }


def _grouped(spent: Mapping[_Key, Spent], group: Callable[[_Key], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, Spent] = {}
    for key, one in spent.items():
        groups.setdefault(group(key), Spent()).add(one)
    return {name: _shown(groups[name]) for name in sorted(groups)}


def _shown(spent: Spent) -> dict[str, Any]:
    return {
        **asdict(spent),
        "cost_usd": round(spent.cost_usd, 6),
        "escalation_usd": round(spent.escalation_usd, 6),
    }
