"""Phase 4, exports: a corpus of each kind is built, not kept, and compared byte for byte with an earlier build.

The earlier build is one of the same inputs that is in the bucket; where there is none, the corpus is built twice.

Belongs here: building and comparing. Not here: building itself (see distill_build.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.adapters.audit_manifests import sha256_of
from lakehouse.adapters.corpus_exports import MANIFEST
from lakehouse.adapters.evidence_lake import SCORED, SCORED_TABLE
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.counted import counted
from lakehouse.distillation.manifest import BuildManifest, read_manifest
from lakehouse.distillation.parameters import KINDS, Kind, read_parameters
from lakehouse.errors import BadInput

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger


def check_exports(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Build each kind and compare.

    Raises:
        StoreUnavailable: The store does not answer.
        InsufficientStorage: There is not enough memory or disk.
    """
    scored = PartitionedTable(parts.store, SCORED_TABLE).read()
    has_scores = any(partition.file(SCORED) is not None for partition in scored.partitions.values())
    for kind in KINDS:
        if has_scores:
            _check_kind(parts, kind, ledger)
        else:
            ledger.skipped(_name(kind), "no run has a score yet")


def _name(kind: Kind) -> str:
    return f"{kind}: the same inputs, the same bytes"


def _check_kind(parts: AuditParts, kind: Kind, ledger: PhaseLedger) -> None:
    params = read_parameters({"kind": kind})
    first = parts.exports.export(params, parts.run, is_dry=True)
    faults: list[str] = []
    if first.is_new:
        second = parts.exports.export(params, parts.run, is_dry=True)
        if second.manifest.inputs != first.manifest.inputs:
            ledger.skipped(_name(kind), "scores came meanwhile")
            return
        faults = _differing(first.manifest, second.manifest, "built twice")
        against = "built twice"
    else:
        faults = _against_kept(parts, first.prefix, first.manifest)
        against = f"as {first.prefix} was before"
    counts = first.manifest.counts
    ledger.measured(f"{kind}_samples", counts.samples)
    ledger.measured(f"{kind}_kept_share", counts.samples / counts.candidates if counts.candidates else 0.0)
    ledger.judge(
        _name(kind), faults,
        looked_at=f"{counted(len(first.manifest.files), 'file')} of {counted(counts.samples, 'sample')}, {against}",
        remedy="Build it anew under another id (`lakehouse export`), and do not train on what differs",
    )  # fmt: skip


def _against_kept(parts: AuditParts, prefix: str, made: BuildManifest) -> list[str]:
    """How a kept build differs from a new one of the same inputs: in its manifest, and in its files in the bucket."""
    key = f"{prefix}{MANIFEST}"
    try:
        kept = read_manifest(parts.store.get(key).body)
    except BadInput as error:
        return [f"{key} cannot be read: {error.detail}"]
    faults = _differing(made, kept, f"in {key}")
    for file in made.files:
        found = sha256_of(parts.store, prefix + file.name)
        if found != file.sha256:
            faults.append(f"{prefix}{file.name} {'is not there' if found is None else 'has other bytes'}")
    return faults


def _differing(one: BuildManifest, other: BuildManifest, what: str) -> list[str]:
    left, right = ({file.name: file.sha256 for file in manifest.files} for manifest in (one, other))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return [f"{name} is another one {what}" for name in names]
