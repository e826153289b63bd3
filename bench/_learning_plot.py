"""The learning curve as a picture: quality on titles never seen, after more and more outcomes, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lakehouse.retrieval.evaluation import Interval

COLORS = ("#6b7280", "#1d4ed8", "#d97706")


def plot(curves: Mapping[str, Sequence[tuple[float, Interval]]], path: Path) -> None:
    """Draw one line with its band for each arm; shares on the x axis, nDCG@10 on the y axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.8), dpi=144)
    for color, (label, points) in zip(COLORS, curves.items(), strict=False):
        shares = [100 * share for share, _ in points]
        axes.plot(shares, [i.mean for _, i in points], color=color, marker="o", markersize=4, label=label)
        axes.fill_between(shares, [i.low for _, i in points], [i.high for _, i in points], color=color, alpha=0.15)
    axes.set_xlabel("reported titles whose outcome is recorded, % of each occupation's (one run each)")
    axes.set_ylabel("nDCG@10 on titles never seen")
    axes.set_title("O*NET: reported title to occupation, run after run, with 95 % intervals")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
