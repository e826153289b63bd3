"""Receipts against manifests, keys and bytes.

Belongs here: which receipts there are, which one belongs to which partition, raw objects that they name as inputs. Not
here: what a receipt may say (see lakehouse/lineage/receipt_rules.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.audit_manifests import Named, sha256_of
from lakehouse.adapters.receipt_archive import each_receipt
from lakehouse.evidence.days import RAW
from lakehouse.lineage.findings import Finding, Ledger
from lakehouse.lineage.receipt_rules import faults_against, faults_of, read_receipt

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore

_DISTRUST = (
    "It was changed after it was written, or written by somebody else: trust the manifest, find out who wrote it"
)


def check_receipts(store: ObjectStore, named: Named, ledger: Ledger, *, is_full: bool) -> None:
    """Look at every receipt; those that partitions name are held against them, in full against bytes, too."""
    hashes: dict[str, str | None] = {}
    for key, body in each_receipt(store):
        ledger.looked("receipts")
        document = read_receipt(body)
        if isinstance(document, str):
            ledger.find(Finding("receipts", key, document, _DISTRUST))
            continue
        faults = list(faults_of(document, key))
        partition = named.receipts.get(key)
        if partition is not None:
            faults += faults_against(document, partition)
            _check_inputs(store, document, key, ledger, hashes if is_full else None)
        faults += _against_files(document, named)
        for fault in dict.fromkeys(faults):
            ledger.find(Finding("receipts", key, fault, _DISTRUST))


def _against_files(document: Mapping[str, Any], named: Named) -> list[str]:
    """Outputs that are still named, with other hashes."""
    return [
        f"says SHA-256 {item['sha256'][:12]} of {item['key']}; {said.by} says {said.sha256[:12]}"
        for item in document["outputs"]
        if (said := named.files.get(item["key"])) is not None and said.sha256 not in ("", item["sha256"])
    ]


def _check_inputs(
    store: ObjectStore, document: Mapping[str, Any], key: str, ledger: Ledger, hashes: dict[str, str | None] | None
) -> None:
    """Raw objects that evidence was made of; without `hashes` only whether they are there, which chains tell."""
    if hashes is None:
        return
    for item in document["inputs"]:
        raw = item["key"]
        if not raw.startswith(RAW):
            continue
        if raw not in hashes:
            hashes[raw] = sha256_of(store, raw)
            ledger.looked("bytes")
        found = hashes[raw]
        if found is not None and found != item["sha256"]:
            what = f"has SHA-256 {found[:12]}; its evidence was made of {item['sha256'][:12]}, says {key}"
            remedy = "Raw objects never change: restore it from a backup; the check `lines` says which lines differ"
            ledger.find(Finding("bytes", raw, what, remedy))
