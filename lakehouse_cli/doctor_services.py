"""Doctor's checks that ask a server: the object store, the API, Dagster.

Belongs here: probes with a deadline each. Not here: checks of this machine (see doctor.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings
from lakehouse_cli.client import connect_api

if TYPE_CHECKING:
    from lakehouse.catalog.manifest import Manifest
    from lakehouse.storage.objects import ObjectStore
    from lakehouse_cli.doctor import Finding

_START = "lakehouse up"
_DAGSTER_QUERY = """{
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError { __typename ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } }
}"""


def check_store(settings: Settings) -> Iterator[Finding]:
    """Check that it answers, that conditional writes hold, and that manifests can be read and their files exist."""
    from lakehouse.adapters.connect import connect_store
    from lakehouse.catalog.gc import DATA
    from lakehouse.catalog.snapshot import read_snapshot
    from lakehouse.storage.objects import list_all
    from lakehouse_cli.doctor import Finding

    try:
        store = connect_store(settings)
        store.ping()
    except LakehouseError as error:
        remedy = _START if settings.is_store_embedded else "check LAKEHOUSE_S3_ENDPOINT, the bucket and the keys"
        yield Finding("store", "problem", error.detail, remedy)
        return
    try:
        yield check_conditional_writes(store)
        snapshot = read_snapshot(store)
        sizes = {info.key: info.size for info in list_all(store, DATA)}
    except LakehouseError as error:
        yield Finding("store", "problem", error.detail, "check the keys' rights on the bucket, and the store's disk")
        return
    for name, reason in snapshot.broken.items():
        remedy = f"copy its newest good version from catalog/versions/{name}/ to catalog/manifests/{name}.json"
        yield Finding("catalog", "problem", f"{name}: {reason}", remedy)
    for name, keys in _damaged(snapshot.manifests.values(), sizes).items():
        message = f"{name}: {len(keys)} of its files are missing or have another size, such as {keys[0]}"
        yield Finding("catalog", "problem", message, f"DELETE /v1/catalog/{name}, then ingest it again")
    if not snapshot.broken:
        yield Finding("catalog", "ok", "every manifest can be read")


def _damaged(manifests: Iterable[Manifest], sizes: Mapping[str, int]) -> dict[str, list[str]]:
    found = {m.name: [o.key for o in m.objects if sizes.get(o.key) != o.size] for m in manifests}
    return {name: keys for name, keys in found.items() if keys}


def check_conditional_writes(store: ObjectStore) -> Finding:
    """Try conditional writes, which the catalog relies on: a store that ignores them loses updates silently."""
    from lakehouse.adapters.store_probe import ignored_conditions
    from lakehouse_cli.doctor import Finding

    ignored = ignored_conditions(store)
    if ignored:
        message = f"the store ignores {' and '.join(ignored)}: two writers would lose updates"
        return Finding("store", "problem", message, "use a store with conditional writes (AWS, MinIO, Ceph, SeaweedFS)")
    return Finding("store", "ok", "it answers, and conditional writes hold")


def check_api(settings: Settings) -> Iterator[Finding]:
    """Check that it answers, accepts our token, and says that it is healthy."""
    from lakehouse_cli.doctor import Finding

    try:
        with connect_api(settings) as api:
            health = api.json("GET", "/health", timeout=5.0)
            api.json("GET", "/v1/catalog", timeout=5.0)  # /health asks for no token
    except LakehouseError as error:
        yield Finding("api", "problem", error.detail, _START)
        return
    if health["status"] == "ok":
        yield Finding("api", "ok", "healthy, and it accepts our token")
    for name, part in health["parts"].items():
        if part["state"] != "ok":
            yield Finding("api", "warning", f"{name} is {part['state']}", str(part.get("detail") or "see its log"))


def check_dagster(settings: Settings) -> Iterator[Finding]:
    """Check that the webserver answers, the code is loaded, and the daemons send heartbeats."""
    import httpx

    from lakehouse_assets.processes import dagster_url
    from lakehouse_cli.doctor import Finding

    url = f"{dagster_url(settings)}/graphql"
    log = settings.data_dir / "logs" / "dagster-daemon.log"
    try:
        answer = httpx.post(url, json={"query": _DAGSTER_QUERY}, timeout=10.0, trust_env=False)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        yield Finding("dagster", "problem", f"no answer from {url} ({type(error).__name__})", _START)
        return
    failures = [
        f"code location {entry['name']}: {(entry['locationOrLoadError'] or {}).get('message') or entry['loadStatus']}"
        for entry in data["workspaceOrError"].get("locationEntries", ())
        if (entry["locationOrLoadError"] or {}).get("__typename") != "RepositoryLocation"
    ]
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    failures += [f"daemon {d['daemonType']} has no heartbeat" for d in daemons if d["required"] and not d["healthy"]]
    for failure in failures:
        yield Finding("dagster", "problem", failure.strip()[:500], f"see {log}; then: lakehouse down && lakehouse up")
    if not failures:
        yield Finding("dagster", "ok", "code loaded, daemons alive")
