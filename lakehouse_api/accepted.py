"""Which of two forms of an error a client accepts (RFC 9110 section 12.5.1).

Belongs here: reading `Accept` for the flat form. Not here: the forms (see lakehouse/validation/verdict.py).
"""

from __future__ import annotations

FLAT = "application/vnd.lakehouse.flat+json"
_TAGGED = "application/json"


def wants_flat(accept: str | None) -> bool:
    """True when the flat form is named, not refused by `q=0`, and wanted no less than the tagged one."""
    if accept is None or "flat" not in accept.lower():
        return False
    wanted: dict[str, float] = {}
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        wanted[name] = max(wanted.get(name, 0.0), _quality(parameters))
    return wanted.get(FLAT, 0.0) > 0 and wanted[FLAT] >= wanted.get(_TAGGED, 0.0)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
