"""What an audit of everything works on: the bucket, what makes evidence, scores and corpora, where a live API is asked.

Belongs here: the parts. Not here: making them of settings (see lakehouse_cli/audit_commands.py,
lakehouse_assets/audit_full.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.adapters.corpus_exports import CorpusExports
    from lakehouse.adapters.evidence_index import EvidenceIndex
    from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
    from lakehouse.adapters.objects import S3Location, S3ObjectStore
    from lakehouse.adapters.scored_days import ScoredDays
    from lakehouse.audit.contract import ApiAddress
    from lakehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class AuditParts:
    """The parts.

    Attributes:
        settings: Of the installation.
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for temporary files.
        materializer: Makes evidence.
        index: The index of evidence.
        scored: The scores.
        exports: The corpora.
        run: Who does it, for receipts.
        api: Where a live API would answer.
        openapi: The description of the API that belongs to this program; None: there is none here.
    """

    settings: Settings
    store: S3ObjectStore
    location: S3Location
    work_dir: Path
    materializer: EvidenceMaterializer
    index: EvidenceIndex
    scored: ScoredDays
    exports: CorpusExports
    run: RunFacts
    api: ApiAddress
    openapi: Path | None = None
