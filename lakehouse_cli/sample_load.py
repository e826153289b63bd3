"""The sample that `up` loads, through the pipeline that users' files take: landing/, Dagster run, catalog.

Only the sensor is not waited for: it takes a file when it has seen it twice, and the sample is known to be whole.

Belongs here: dropping the files, waiting for the catalog, what the summary says. Not here: generators (see
lakehouse/sample/).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lakehouse.errors import TimedOut
from lakehouse.sample.client_blocks import write_client_blocks
from lakehouse.sample.workers import write_workers
from lakehouse.settings import Settings
from lakehouse_cli.client import ApiClient, connect_api
from lakehouse_cli.dagster_client import DagsterClient

WORKERS_PER_BLOCK = 50
LOAD_TIMEOUT_S = 120.0
SHOW_TIMEOUT_S = 10.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Loaded:
    """One dataset of the sample; `seconds` is None when it was there already."""

    name: str
    row_count: int
    size_bytes: int
    seconds: float | None


def load_sample(settings: Settings, rows: int, console: Console) -> list[Loaded]:
    """Load the datasets of the sample that the catalog does not list; those it lists stay as they are.

    Raises:
        TimedOut: A dataset did not appear in the catalog.
    """
    makers: dict[str, Callable[[Path], int]] = {
        "workers": lambda path: write_workers(path, rows),
        "client_blocks": lambda path: write_client_blocks(path, max(1, rows // WORKERS_PER_BLOCK), workers=rows),
    }
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        connect_api(settings) as api,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        before = {name: api.find(f"/v1/catalog/{name}") for name in makers}
        missing = {name: make for name, make in makers.items() if before[name] is None}
        begun = time.monotonic()
        if missing and not console.is_terminal:  # a terminal gets a progress bar
            console.print(f"  loading the sample: {' and '.join(missing)}")
        for name, make in missing.items():
            _drop(api, name, make, progress)
        loaded = {name: _loaded(name, manifest, None) for name, manifest in before.items() if manifest is not None}
        if missing:
            _materialize(settings, list(missing), progress)
        for name in missing:
            manifest = _await_dataset(api, name)
            loaded[name] = _loaded(name, manifest, time.monotonic() - begun)
    return [loaded[name] for name in makers]


def _drop(api: ApiClient, name: str, make: Callable[[Path], int], progress: Progress) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.csv"
        task = progress.add_task(f"writing {name}.csv", total=None)
        size_bytes = make(path)
        progress.update(task, description=f"dropping it into landing/{name}/", total=size_bytes)
        api.put(f"/v1/storage/landing/{name}/sample.csv", path, on_bytes=lambda n: progress.advance(task, n))
        progress.remove_task(task)


def _materialize(settings: Settings, names: list[str], progress: Progress) -> None:
    dagster = DagsterClient(settings)
    task = progress.add_task(f"Dagster materializes {' and '.join(names)}", total=len(names))
    running = dagster.materialize(names)
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while running:
        left = [run_id for run_id in running if not dagster.is_finished(run_id)]
        progress.advance(task, len(running) - len(left))
        running = left
        if running and time.monotonic() > deadline:
            raise TimedOut(f"the sample's run takes longer than {LOAD_TIMEOUT_S:.0f} s; see {dagster.url}/runs")
        time.sleep(_POLL_S)
    progress.remove_task(task)


def _await_dataset(api: ApiClient, name: str) -> Any:
    deadline = time.monotonic() + SHOW_TIMEOUT_S
    while (manifest := api.find(f"/v1/catalog/{name}")) is None:
        if time.monotonic() > deadline:
            raise TimedOut(f"the sample {name!r} was materialized, but the API does not list it; see: lakehouse doctor")
        time.sleep(_POLL_S)
    return manifest


def _loaded(name: str, manifest: Any, seconds: float | None) -> Loaded:
    return Loaded(name, manifest["row_count"], manifest["size_bytes"], seconds)
