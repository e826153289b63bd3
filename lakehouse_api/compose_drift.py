"""The composition of drift in the API.

Belongs here: constructors. Not here: the routes (see routes/drift.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.connect import read_location
from lakehouse.adapters.drift_desk import DriftDesk
from lakehouse.adapters.lance_tables import LanceTables

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.settings import Settings


def compose_drift(settings: Settings, objects: S3ObjectStore, work_dir: Path) -> DriftDesk:
    """Where each kind stands, and who acknowledges it; nothing is asked of the store yet."""
    tables = LanceTables(objects.location, objects)
    return DriftDesk(objects, read_location(settings), tables, work_dir=work_dir / "drift")
