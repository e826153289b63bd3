"""The child that builds one part of a corpus: `python -m lakehouse_assets.corpus_child FILE PART [--full]`.

Its memory goes with it, and its death is one failed step. What it did, or the error it met, goes to the parent as a
message; the exit code tells only of faults.

Belongs here: the process. Not here: the build (see lakehouse/adapters/corpus_builder.py), the asset (see corpora.py).
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.corpus_context import open_builder
from lakehouse.adapters.corpus_files import read_file
from lakehouse.adapters.corpus_report import BuildProgress
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError
from lakehouse.receipts.receipt import write_receipt
from lakehouse.settings import load_settings
from lakehouse_assets.source_version import source_version

CODE_VERSION = "1"
TELL_EVERY_S = 10.0


def main(arguments: list[str]) -> None:
    """Build, and tell the parent."""
    file, part, *flags = arguments
    with open_dagster_pipes() as pipes:
        try:
            pipes.report_custom_message({"report": build(pipes, Path(file), int(part), is_full="--full" in flags)})
        except LakehouseError as error:
            pipes.report_custom_message(
                {"error": {"type": type(error).__name__, "detail": error.detail, "fields": _plain(error.fields)}}
            )


def build(pipes: PipesContext, file: Path, part: int, *, is_full: bool) -> dict[str, Any]:
    """Build one part of the corpus that a file declares, and write its receipt; gives its report as a document."""
    declaration, settings = read_file(file), load_settings()
    started_at, told_at = utc_now(), time.monotonic()

    def tell(progress: BuildProgress) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            total = "" if progress.total is None else f" of {progress.total:,}"
            pipes.log.info(
                f"{progress.seen:,}{total} rows read, {progress.embedded:,} embedded, {progress.rows_per_s:,.0f} rows/s"
            )

    builder = open_builder(settings)
    report = builder.build_or_await(
        declaration, part=part, is_full=is_full, on_progress=tell, on_waiting=pipes.log.info
    )
    receipt = report.receipt(
        run_id=pipes.run_id,
        code_version=CODE_VERSION,
        git_commit=source_version(),
        started_at=started_at,
        now=utc_now(),
    )
    write_receipt(connect_store(settings), receipt)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**report.to_document(), "peak_rss_mib": peak_kib >> 10}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in fields.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
