"""Verdicts: what was measured against its limit, as lines that `_run.py` reads (see _ratios.py)."""

from __future__ import annotations

_WHOLE_FROM = 1000


def judge(what: str, measured: float, limit: float, unit: str = "", *, at_least: bool = False) -> bool:
    """Print a measurement beside its limit; whether it is kept.

    Args:
        what: What was measured; the same in every run.
        measured: The value.
        limit: The most it may be, or the least.
        unit: Of both, with a space before it where it has one; `x` for what was measured against something else.
        at_least: Whether more is better.
    """
    is_met = measured >= limit if at_least else measured <= limit
    sign = ">=" if at_least else "<="
    print(f"{'PASS' if is_met else 'FAIL'}  {what}: {_shown(measured)}{unit} (limit {sign} {limit:g}{unit})")
    return is_met


def tell_ratio(what: str, measured: float, *, more_is_better: bool) -> None:
    """Print what was measured against something else in the same run, where nobody has set a limit for it."""
    print(f"RATIO  {what}: {_shown(measured)}x ({'more' if more_is_better else 'less'} is better)")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.4g}"
