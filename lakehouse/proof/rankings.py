"""Golden rankings: which ids searches give, in their order; compared always, made anew only on purpose.

Belongs here: comparing, what has changed. Not here: the file (see lakehouse/adapters/proof_files.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rankings:
    """Rankings by name; `seen` gathers those of this run.

    With `is_made_anew` each is taken as it comes, for the difference to be reviewed.
    """

    golden: Mapping[str, list[str]]
    is_made_anew: bool = False
    seen: dict[str, list[str]] = field(default_factory=dict)


def compare(rankings: Rankings, name: str, found: object) -> str | None:
    """What is wrong with a ranking, None when it is the golden one (or is to become it)."""
    if not isinstance(found, list) or not found:
        return "there is no ranking: the answer has no results there"
    ids = [str(one) for one in found]
    before = rankings.seen.setdefault(name, ids)
    if before != ids:
        return f"the same search gave {before} before, and {ids} now"
    if rankings.is_made_anew:
        return None
    golden = rankings.golden.get(name)
    if golden is None:
        return f"there is no golden ranking {name!r}; look at it and make it: lakehouse proof --regenerate-baseline"
    return None if golden == ids else f"{ids}, golden {golden}"


def difference(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> str:
    """What has changed, as a unified diff for a reader; empty when nothing has."""
    return "\n".join(difflib.unified_diff(_lines(before), _lines(after), "golden", "this run", lineterm="", n=1))


def _lines(rankings: Mapping[str, list[str]]) -> list[str]:
    return [f"{name} {place}: {one}" for name in sorted(rankings) for place, one in enumerate(rankings[name], start=1)]
