"""First names, from the name lists that the package `mimesis` carries.

Belongs here: reading them. Not here: what they are for (see lakehouse/answer/grounding.py).
"""

from __future__ import annotations

import unicodedata
from functools import cache

import orjson

from lakehouse.adapters.package_files import package_file


@cache
def given_names() -> frozenset[str]:
    """Some 4,000 of them, English and Spanish, in lower case and without accents."""
    found: set[str] = set()
    for language in ("en", "es"):
        names = orjson.loads(package_file("mimesis", "datasets", language, "person.json").read_bytes())["names"]
        found.update(_folded(name) for group in names.values() for name in group)
    return frozenset(found)


def _folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()
