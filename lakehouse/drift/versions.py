"""Model versions: which names are versions of one model, and with what of the baseline each is compared.

Belongs here: reading names, pairing. Not here: numbers (see outcome.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VERSION = re.compile(
    r"(?:[-@:_.]?(?:20\d\d-\d\d-\d\d|20\d{6}|\d{6}|(?<=[-@:_])\d{4}|latest|preview|(?<=[-@:_])v\d+(?:\.\d+)*))+$"
)


def family_of(model: str) -> str:
    """The model without what looks like a version: a date, four or more digits, `latest`, `preview`, `v2`.

    Sizes and generations are part of the name: `gpt-4-0613` is of `gpt-4`, `smollm2-135m` stands for itself.
    """
    return _VERSION.sub("", model.lower()).rstrip("-@:_.") or model.lower()


def pair_versions(now: Mapping[str, int], baseline: Mapping[str, int]) -> dict[str, str | None]:
    """With which version of the baseline each version of now is compared.

    Args:
        now: Runs by version.
        baseline: The same at the baseline.

    Returns:
        The same version where the baseline has it; else the one of its family that had the most runs; None: there is
        none of its family.
    """
    families: dict[str, list[str]] = {}
    for name in sorted(baseline):
        families.setdefault(family_of(name), []).append(name)
    pairs: dict[str, str | None] = {}
    for name in sorted(now):
        kin = families.get(family_of(name), [])
        pairs[name] = name if name in baseline else max(kin, key=lambda one: baseline[one], default=None)
    return pairs
