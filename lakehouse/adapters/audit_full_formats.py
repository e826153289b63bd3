"""Phase 1, contracts, in the store: every document is read, in a version that this program knows.

Belongs here: reading them, what cannot be read. Not here: versions of formats (see lakehouse/operations/formats.py), a
live API (see audit_full_contracts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lakehouse.answer.config import ANSWER
from lakehouse.catalog.partitioned import PREFIX, PartitionedTable
from lakehouse.catalog.snapshot import read_snapshot
from lakehouse.counted import counted
from lakehouse.errors import Conflict, LakehouseError, StoreUnavailable
from lakehouse.events.envelope import RAW_PREFIX
from lakehouse.operations.upgrade import upgrade
from lakehouse.retrieval.config_store import ConfigKind, ConfigStore
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import TABLES
from lakehouse.retrieval.search_config import SEARCH
from lakehouse.storage.objects import list_all

if TYPE_CHECKING:
    from lakehouse.audit.results import PhaseLedger
    from lakehouse.storage.objects import ObjectStore

_KINDS: tuple[ConfigKind[Any], ...] = (SEARCH, ANSWER)
_RESTORE = "Put the newest version that is kept in its place, or restore it from a backup"


def check_formats(store: ObjectStore, ledger: PhaseLedger) -> None:
    """Read every document of the store, and look at its version.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    _check_versions(store, ledger)
    snapshot = read_snapshot(store)
    ledger.measured("datasets", len(snapshot.manifests))
    broken = [f"{name}: {reason}" for name, reason in snapshot.broken.items()]
    _judge(ledger, "manifests of datasets", len(snapshot.manifests) + len(broken), broken)
    _read_all(ledger, "manifests of tables", {name: PartitionedTable(store, name).read for name in _tables(store)})
    _read_all(ledger, "pointers of Lance tables", {name: LivePointer(store, name).read for name in _pointers(store)})
    configs = {
        kind.name: partial(_read_config, store, kind)
        for kind in _KINDS
        if store.head(f"config/{kind.name}/live.json") is not None
    }
    _read_all(ledger, "live configs", configs)


def _check_versions(store: ObjectStore, ledger: PhaseLedger) -> None:
    name = "versions of stored formats"
    try:
        found = upgrade(store, dry_run=True)
    except Conflict as error:
        ledger.failed(name, error.detail, "Use the program that wrote them, or a later one")
        return
    documents = found.found.total()
    ledger.measured("stored_documents", documents)
    ledger.measured("older_documents", len(found.rewrites))
    older = (
        f", {len(found.rewrites):,} of a version before (`lakehouse upgrade` rewrites them)" if found.rewrites else ""
    )
    # Only the first line of a run log is read; lines that do not fit are quarantined when evidence is made.
    unread = [f"{key} cannot be read" for key in found.unreadable if not key.startswith(RAW_PREFIX)]
    _judge(ledger, name, documents + len(unread), unread, looked_at=f"{counted(documents, 'document')}{older}")


def _tables(store: ObjectStore) -> list[str]:
    names = (info.key.removeprefix(PREFIX).removesuffix(".json") for info in list_all(store, PREFIX))
    return [
        name for name in names if not name.rpartition("/")[2].isdecimal()
    ]  # a number is a version that was replaced


def _pointers(store: ObjectStore) -> list[str]:
    return [name for name in store.folders(TABLES) if store.head(f"{TABLES}{name}/live.json") is not None]


def _read_config(store: ObjectStore, kind: ConfigKind[Any]) -> None:
    kind.read(ConfigStore(store).live(kind.name).document)


def _read_all(ledger: PhaseLedger, name: str, reads: Mapping[str, Callable[[], object]]) -> None:
    faults = []
    for one, read in reads.items():
        try:
            read()
        except StoreUnavailable:
            raise
        except LakehouseError as error:
            faults.append(f"{one}: {error.detail}")
    _judge(ledger, name, len(reads), faults)


def _judge(ledger: PhaseLedger, name: str, count: int, faults: list[str], *, looked_at: str = "") -> None:
    if count:
        ledger.judge(name, faults, looked_at=looked_at or f"{count:,} of them", remedy=_RESTORE)
    else:
        ledger.skipped(name, "there are none yet")
