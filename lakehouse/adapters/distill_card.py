"""Card, plots and manifest of a build, written behind its files.

Belongs here: which plots there are, writing. Not here: drawing (see charts.py), what they say (see
lakehouse/distillation/card.py, plots.py, manifest.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.charts import chart_png
from lakehouse.adapters.distill_files import described_file
from lakehouse.distillation.card import PLOTS, dataset_card
from lakehouse.distillation.manifest import BuildCounts, BuildFile, BuildInputs
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.plots import counts_chart, lengths_chart

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SCALE = 1.5
CARD = "README.md"


def write_plots(
    folder: Path, counts: BuildCounts, tokens: npt.NDArray[np.int32], splits: npt.NDArray[np.uint8]
) -> None:
    """Draw the plots of a build as PNG.

    Args:
        folder: The build's.
        counts: Its accounts.
        tokens: Of each sample.
        splits: Number of its split.
    """
    charts: dict[str, dict[str, Any]] = {
        "lengths": lengths_chart(tokens, splits),
        "verdicts": counts_chart("Verdicts that went in", "runs", counts.by_verdict),
        "sources": counts_chart("Sources", "samples", counts.by_source),
    }
    (folder / "plots").mkdir()
    for name in PLOTS:
        (folder / "plots" / f"{name}.png").write_bytes(chart_png(charts[name], scale=_SCALE))


def write_card(
    folder: Path,
    build_id: str,
    parameters: CorpusParameters,
    *,
    inputs: BuildInputs,
    counts: BuildCounts,
    rows: Mapping[str, int],
) -> tuple[BuildFile, ...]:
    """Write the card, and describe every file there is, by name.

    Args:
        folder: The build's.
        build_id: Its id.
        parameters: Its parameters.
        inputs: What it was made of.
        counts: Its accounts.
        rows: Rows of the files that have some.
    """
    text = dataset_card(build_id, parameters, inputs, counts, rows)
    (folder / CARD).write_text(text, encoding="utf-8")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return tuple(described_file(folder, name, rows.get(name)) for name in names)
