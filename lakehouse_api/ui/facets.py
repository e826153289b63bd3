"""What a corpus's metadata offers to filter by: each field with its commonest values and how often they occur.

Belongs here: counting over a corpus in memory, forms to filters. Not here: what a filter means (see
lakehouse/retrieval/filters.py).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lakehouse.errors import BadInput
from lakehouse.retrieval.masking import personal_fields

if TYPE_CHECKING:
    from lakehouse.adapters.corpus_reader import CorpusReader

_MOST_ROWS = 100_000
_PORTION = 4096
_MOST_VALUES = 12
# A field of more values than this is a name or a text: nobody ticks those off.
_MOST_DISTINCT = 400
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Facet:
    """A field of metadata.

    Attributes:
        name: Of the field.
        is_list: Its values are elements of lists.
        values: The commonest, each with its count, as JSON scalars.
        others: How many more values there are.
        least: Of numbers.
        most: Of numbers.
    """

    name: str
    is_list: bool
    values: tuple[tuple[Any, int], ...] = ()
    others: int = 0
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Facets:
    """The fields of a corpus; `counted` rows of `rows` were looked at."""

    corpus: str
    facets: tuple[Facet, ...]
    rows: int
    counted: int


@dataclass(slots=True)
class _Field:
    counts: Counter[Any] = field(default_factory=Counter)
    is_list: bool = False
    is_open: bool = True
    least: float | None = None
    most: float | None = None

    def take(self, value: Any) -> None:
        if isinstance(value, list):
            self.is_list = True
            for one in value:
                self._count(one)
        else:
            self._count(value)

    def _count(self, value: Any) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.least = value if self.least is None else min(self.least, value)
            self.most = value if self.most is None else max(self.most, value)
        elif isinstance(value, str | bool) and self.is_open:
            self.counts[value] += 1
            if len(self.counts) > _MOST_DISTINCT:
                self.is_open = False
                self.counts.clear()


class FacetCounter:
    """Counts, and keeps what it counted until the corpus changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], Facets] = OrderedDict()

    def of(self, reader: CorpusReader, *, has_pii: bool) -> Facets:
        """The facets of a corpus; blocking work for a corpus that changed.

        Args:
            reader: The corpus.
            has_pii: Whether personal fields may be counted.
        """
        key = reader.name, reader.revision, has_pii
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = _count(reader, has_pii=has_pii)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return known


def _count(reader: CorpusReader, *, has_pii: bool) -> Facets:
    total = len(reader.index)
    if not reader.is_in_memory:
        return Facets(reader.name, (), total, 0)
    hidden = frozenset[str]() if has_pii else personal_fields(reader.info)
    selection = reader.select(masked=hidden)
    rows = selection.rows()[:_MOST_ROWS] + selection.first
    fields: dict[str, _Field] = {}
    for start in range(0, len(rows), _PORTION):
        for document in reader.metadata_of(np.asarray(rows[start : start + _PORTION], np.int64)):
            for name, value in orjson.loads(document).items():
                if name not in hidden:
                    fields.setdefault(name, _Field()).take(value)
    made = [_facet(name, one) for name, one in sorted(fields.items())]
    return Facets(reader.name, tuple(facet for facet in made if facet is not None), total, len(rows))


def _facet(name: str, found: _Field) -> Facet | None:
    if found.least is not None:
        return Facet(name, found.is_list, least=found.least, most=found.most) if found.least != found.most else None
    shown = sorted(found.counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[:_MOST_VALUES]
    if len(found.counts) < 2:
        return None
    return Facet(name, found.is_list, tuple(shown), len(found.counts) - len(shown))


def filter_of(fields: Iterable[tuple[str, str]]) -> dict[str, Any] | None:
    """A form's filter as the search takes it; values of one field are alternatives, fields hold together.

    Args:
        fields: The form's. `f.<field>` is a value as JSON, `l.<field>` an element of a list, `min.<field>` and
            `max.<field>` are bounds.

    Raises:
        BadInput: A bound is no number, or a value is no JSON.
    """
    values: dict[str, list[Any]] = {}
    elements: dict[str, list[Any]] = {}
    bounds: dict[str, dict[str, float]] = {}
    for key, text in fields:
        kind, _, name = key.partition(".")
        if not name or not text.strip():
            continue
        if kind in ("f", "l"):
            (values if kind == "f" else elements).setdefault(name, []).append(_json(text, name))
        elif kind in ("min", "max"):
            bounds.setdefault(name, {})["gte" if kind == "min" else "lte"] = _bound(text, name)
    parts: list[dict[str, Any]] = [{name: {"in": given}} for name, given in values.items()]
    parts += [_any_of(name, given) for name, given in elements.items()]
    parts += [{name: limits} for name, limits in bounds.items()]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"and": parts}


def chosen_of(fields: Sequence[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """What is ticked in a form, by the name of the box, so that a page loaded again shows it ticked."""
    chosen: dict[str, set[str]] = {}
    for key, text in fields:
        if key.partition(".")[0] in ("f", "l", "min", "max") and text.strip():
            chosen.setdefault(key, set()).add(text)
    return {key: frozenset(texts) for key, texts in chosen.items()}


def _any_of(name: str, given: Sequence[Any]) -> dict[str, Any]:
    parts = [{name: {"contains": value}} for value in given]
    return parts[0] if len(parts) == 1 else {"or": parts}


def _json(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadInput(f"the filter of {name!r} is no JSON value: {text[:40]!r}", field=name) from None


def _bound(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"the bound of {name!r} must be a number, not {text[:40]!r}", field=name) from None
