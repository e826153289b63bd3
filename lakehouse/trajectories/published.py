"""Published figures held against what their own rows give.

Belongs here: one comparison, its verdict. Not here: which figures a format has (see openhands_scores.py,
code_review_counts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["holds", "holds otherwise", "contradicted", "cannot be recomputed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One published figure: whose (`model`), of what (`benchmark`), which (`field`), and what the rows give.

    Attributes:
        verdict: `holds otherwise`: not over the rows as they are, but in the way that `note` says.
    """

    model: str
    benchmark: str
    field: str
    published: float | None
    recomputed: float | None
    verdict: Verdict
    note: str = ""


def decimals_of(figure: float, least: int) -> int:
    """Decimals that a figure is given with, and not fewer than is usual for it: JSON drops zeros at the end."""
    _, _, behind = repr(figure).partition(".")
    return max(least, len(behind.rstrip("0"))) if "e" not in behind else least


def is_rounded(published: float, exact: float, *, least_decimals: int) -> bool:
    """Whether a figure is what rounding gives, up or down where it lies in the middle."""
    half = 0.5 * 10.0 ** -decimals_of(published, least_decimals)
    return abs(published - exact) <= half * (1 + 1e-9)


def judge(
    of: tuple[str, str, str],
    published: float,
    recomputed: float | None,
    *,
    least_decimals: int,
    otherwise: Sequence[tuple[float, str]] = (),
) -> Finding:
    """Compare one figure.

    Args:
        of: Model, benchmark and field.
        published: The figure.
        recomputed: What the rows give; None where they cannot.
        least_decimals: Decimals that such figures are rounded to at the least.
        otherwise: Other ways to count, each with what it gives and how it is said.
    """
    if recomputed is None:
        return Finding(*of, published, None, "cannot be recomputed", "no row says it")
    if is_rounded(published, recomputed, least_decimals=least_decimals):
        return Finding(*of, published, recomputed, "holds")
    for value, note in otherwise:
        if is_rounded(published, value, least_decimals=least_decimals):
            return Finding(*of, published, recomputed, "holds otherwise", note)
    return Finding(*of, published, recomputed, "contradicted")
