"""How the process is, part by part, from what is in memory: asking must not hang when the store does.

Belongs here: what makes a part degraded or unavailable. Not here: the route (see routes/health.py).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lakehouse_api.schemas.health import Health, Part, State, part
from lakehouse_api.services import Services

if TYPE_CHECKING:
    from lakehouse.adapters.memory_log import MemoryLog

# The catalog is polled every half second; when no poll has succeeded for this long, the store hangs.
STALE_AFTER_S = 5.0
VERSION = version("lakehouse")  # read once: it reads files
_ORDER: tuple[State, ...] = ("ok", "degraded", "unavailable")


def read_health(services: Services) -> Health:
    """Judge every part; the worst state is that of the whole. Does no I/O but ask for the disk's free space."""
    parts = {
        "store": _store(services),
        "catalog": _catalog(services),
        "sql": _sql(services),
        "embedding": _embedding(services),
        "corpora": _corpora(services),
        "memory": _log_part(services.retrieval.log, "playbooks", unplaced=services.retrieval.book.unplaced),
        "pathways": _log_part(services.pathways.log, "pathways", **services.pathways.index_numbers()),
        "event_log": _event_log(services),
        "disk": _disk(services),
    }
    status = max((p.state for p in parts.values()), key=_ORDER.index)
    return Health(status=status, version=VERSION, parts=parts)


def is_store_silent(services: Services) -> bool:
    """Whether the object store has not answered lately."""
    age_s = services.watcher.age_s
    return services.watcher.is_stale or age_s is None or age_s > STALE_AFTER_S


def _store(services: Services) -> Part:
    if is_store_silent(services):
        return part("unavailable", "the object store does not answer; see the store's log, or LAKEHOUSE_S3_ENDPOINT")
    return part("ok")


def _catalog(services: Services) -> Part:
    snapshot = services.watcher.current()
    age_s = services.watcher.age_s
    numbers: dict[str, Any] = {
        "datasets": len(snapshot.manifests),
        "broken": len(snapshot.broken),
        "age_s": None if age_s is None else round(age_s, 3),
    }
    if snapshot.broken:
        return part("degraded", "GET /v1/catalog names the broken manifests", **numbers)
    return part("ok", **numbers)


def _sql(services: Services) -> Part:
    return part("ok", **dict[str, Any](services.sql.stats()))


def _embedding(services: Services) -> Part:
    numbers = dict[str, Any](services.embedding.stats())
    failures = services.embedding.failures()
    if failures:
        return part("degraded", "; ".join(failures.values()), **numbers)
    return part("ok", **numbers)


def _corpora(services: Services) -> Part:
    stats = services.retrieval.corpora.stats()
    numbers: dict[str, Any] = {
        "open": len(stats),
        "stale": sum(one["stale"] for one in stats.values()),
        "rows": sum(one["rows"] for one in stats.values()),
        "bytes": sum(one["bytes"] for one in stats.values()),
        "by_lance": sorted(name for name, one in stats.items() if not one["in_memory"]),
    }
    if numbers["stale"]:
        return part("degraded", "the store does not answer: corpora are served as they were", **numbers)
    return part("ok", **numbers)


def _log_part(log: MemoryLog, what: str, **numbers: Any) -> Part:
    stats = {**log.stats(), **numbers}
    error = stats.pop("last_error", None)
    if not stats["is_replayed"]:
        return part("degraded", f"the memory log is being read: {what} and writes to them wait for it", **stats)
    if error is not None:
        return part("degraded", "the memory log is behind: writes may be refused until the store answers", **stats)
    return part("ok", **stats)


def _event_log(services: Services) -> Part:
    stats = dict(services.events.stats())
    error = stats.pop("last_error", None)
    if stats.pop("has_failed"):
        return part("unavailable", "the event log has failed; restart the API, its log says why", **stats)
    if error is not None:
        return part("degraded", "the event log is not being shipped; its lines wait on disk", **stats)
    return part("ok", **stats)


def _disk(services: Services) -> Part:
    state, percent = services.disk.state()
    numbers: dict[str, Any] = {"percent": round(percent, 1)}
    if state == "full":
        return part("degraded", "the disk is full: writes are refused with 507 until there is space", **numbers)
    if state == "degraded":
        return part("degraded", "the disk is filling up", **numbers)
    return part("ok", **numbers)
