"""Lists of people's names: those that the package `mimesis` carries, some more, and the workers' own.

Belongs here: reading them. Not here: what they are for (see lakehouse/answer/names.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import orjson

from lakehouse.adapters.package_files import package_file
from lakehouse.answer.names import NameLists
from lakehouse.validation.plain_text import plain

# Languages whose names are met in one country and written in Latin letters.
_LANGUAGES = ("en", "en-ca", "es", "es-mx", "fr", "de", "de-ch", "it", "pl", "pt-br", "tr")
_MIN_LETTERS = 3


class NamesOfWorkers(Protocol):
    """First and last words of the workers' names, in lower case and without accents."""

    @property
    def given(self) -> Collection[str]: ...

    @property
    def family(self) -> Collection[str]: ...


@cache
def common_names() -> NameLists:
    """Some 12,000 given and 10,000 family names."""
    given = set(files("lakehouse.answer").joinpath("given_names.txt").read_text("utf-8").split())
    family: set[str] = set()
    for language in _LANGUAGES:
        person = orjson.loads(package_file("mimesis", "datasets", language, "person.json").read_bytes())
        given.update(_folded(_all(person["names"])))
        family.update(_folded(_all(person["surnames"])))
    return NameLists(frozenset(given), frozenset(family))


def names_with(workers: NamesOfWorkers) -> NameLists:
    """The same with the workers' own."""
    common = common_names()
    return NameLists(_Either(common.given, workers.given), _Either(common.family, workers.family))


class _Either(Collection[str]):
    """Two collections as one, without copying them."""

    def __init__(self, one: Collection[str], other: Collection[str]) -> None:
        self._one, self._other = one, other

    def __contains__(self, word: object) -> bool:
        return word in self._one or word in self._other

    def __iter__(self) -> Any:
        return iter({*self._one, *self._other})

    def __len__(self) -> int:
        return len({*self._one, *self._other})


def _all(names: Any) -> Iterable[str]:
    return [name for group in names.values() for name in group] if isinstance(names, dict) else names


def _folded(names: Iterable[str]) -> Iterable[str]:
    return (word for name in names for word in plain(name).casefold().split() if len(word) >= _MIN_LETTERS)
