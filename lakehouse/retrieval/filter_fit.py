"""Whether a filter fits what the corpora hold: fields that none has, values of a kind that none has there.

Belongs here: the report of one corpus, the refusal over several. Not here: what a filter means (see filters.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lakehouse.errors import BadInput
from lakehouse.retrieval.filters import Compare, Filter, Kind, Scalar, conditions, kind_of, mask_of

_WORDS: dict[Kind, str] = {
    "text": "a text",
    "boolean": "true or false",
    "number": "a number",
    "list": "a list",
    "object": "an object",
}


@dataclass(frozen=True, slots=True)
class FilterFit:
    """What one corpus says to a filter.

    Args:
        unknown: Fields that it has in no row.
        unfit: Conditions with a value of a kind that never occurs in the field, and the kinds that do.
        is_empty: It has no rows, so it knows no field, and none is wrong.
    """

    unknown: tuple[str, ...]
    unfit: Mapping[Compare, frozenset[Kind]]
    is_empty: bool

    @property
    def is_whole(self) -> bool:
        """True when the corpus has nothing against the filter."""
        return not self.unknown and not self.unfit and not self.is_empty


def fit_of(
    filter: Filter,  # noqa: A002 - the word of the contract
    kinds_of: Callable[[str], frozenset[Kind] | None],
    *,
    is_empty: bool,
    masked: frozenset[str],
) -> FilterFit:
    """The report of a corpus.

    Args:
        filter: A parsed filter.
        kinds_of: Gives the kinds of a field's values, None where no row has it; a field with nulls alone has none.
        is_empty: It has no rows.
        masked: Columns that read as a text.
    """
    unknown: dict[str, None] = {}
    unfit: dict[Compare, frozenset[Kind]] = {}
    for condition in conditions(filter):
        mask = mask_of(condition.field, masked)
        kinds = frozenset[Kind]({"text"}) if mask == "constant" else kinds_of(condition.field)
        if kinds is None or mask == "gone":
            unknown[condition.field] = None
        elif kinds and any(not kinds & fitting for fitting in _fitting_kinds(condition)):
            unfit[condition] = kinds
    return FilterFit(tuple(unknown), unfit, is_empty)


def refuse_unfit(filter: Filter, fits: Mapping[str, FilterFit], *, known: frozenset[str] = frozenset()) -> None:  # noqa: A002
    """Refuse what no corpus can answer.

    Args:
        filter: A parsed filter.
        fits: The report of each corpus that the request names, by its name.
        known: Fields that are declared though no row may have them yet.

    Raises:
        BadInput: A field that no named corpus has, or a value of a kind that occurs there in none that has it.
    """
    if any(fit.is_whole for fit in fits.values()):
        return
    filled = {name: fit for name, fit in fits.items() if not fit.is_empty}
    if not filled:
        return
    corpora = ", ".join(sorted(filled))
    for condition in conditions(filter):
        if condition.field in known:
            continue
        having = [fit for fit in filled.values() if condition.field not in fit.unknown]
        if not having:
            raise BadInput(f"no item of {corpora} has the metadata field {condition.field!r}", field=condition.field)
        if all(condition in fit.unfit for fit in having):
            kinds = frozenset[Kind]().union(*(fit.unfit[condition] for fit in having))
            raise BadInput(_wrong_kind(condition, kinds, corpora), field=condition.field)


def _fitting_kinds(condition: Compare) -> list[frozenset[Kind]]:
    """For each value of a condition, the kinds of field that it can match."""
    if condition.op == "exists":
        return []
    values: tuple[Scalar, ...] = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    kinds = [kind for value in values if (kind := kind_of(value)) is not None]
    if condition.op == "contains":
        return [frozenset[Kind]({"list", "text"} if kind == "text" else {"list"}) for kind in kinds]
    return [frozenset[Kind]({kind}) for kind in set(kinds)]


def _wrong_kind(condition: Compare, kinds: frozenset[Kind], corpora: str) -> str:
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    given = " or ".join(dict.fromkeys(_WORDS[kind] for value in values if (kind := kind_of(value)) is not None))
    there = " or ".join(_WORDS[kind] for kind in sorted(kinds))
    hint = '; use {"contains": …} for an element' if "list" in kinds and condition.op in ("eq", "in") else ""
    return (
        f"the filter's {condition.op!r} asks {condition.field!r} for {given}, but in {corpora} it is {there}{hint};"
        " values are compared as they are, none is converted"
    )
