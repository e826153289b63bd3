"""The rows of each corpus that a search may return: metadata filter, SQL filter, excluded ids; before retrieval.

Belongs here: which rows, by corpus; what a corpus cannot be asked. Not here: what a filter means (see filters.py),
running SQL (see lakehouse/adapters/sql_filter.py), selections themselves (see selection.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from lakehouse.errors import BadInput
from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.filter_fit import refuse_unfit
from lakehouse.retrieval.search_request import Plan
from lakehouse.retrieval.selection import Selection

_T = TypeVar("_T")


class SqlIds(Protocol):
    """The ids that a SQL expression leaves."""

    async def ids(self, expression: str, *, dataset: str, id_column: str, has_pii: bool) -> frozenset[str]: ...


async def ask(views: Sequence[CorpusView], function: Callable[[], _T]) -> _T:
    """Call a function over corpora: here when all are in memory, else in a thread, as it may wait for the store."""
    return function() if all(view.is_in_memory for view in views) else await asyncio.to_thread(function)


async def select_rows(plan: Plan, views: Sequence[CorpusView], sql: SqlIds, *, has_pii: bool) -> list[Selection]:
    """The rows that may come back, for each corpus.

    Args:
        plan: The search.
        views: Its corpora.
        sql: Answers the SQL filter.
        has_pii: False: personal fields and columns read as their mask.

    Raises:
        BadInput: A filter does not fit, or the SQL filter is none or does not apply to a corpus.
        Forbidden, TimedOut, Unavailable: The SQL filter says so.
    """
    masked = {view.name: frozenset() if has_pii else view.personal for view in views}
    wanted = plan.filter
    if wanted is not None:
        fits = await ask(views, lambda: {v.name: v.check(wanted, masked=masked[v.name]) for v in views})
        refuse_unfit(wanted, fits)
    if plan.sql_filter is None:
        return await ask(views, lambda: [_select(view, plan, masked[view.name]) for view in views])
    selections = []
    for view in views:
        select = partial(view.select, filter=wanted, exclude_ids=plan.exclude_ids, masked=masked[view.name])
        dataset, id_column = _dataset_of(view)
        ids = await sql.ids(plan.sql_filter, dataset=dataset, id_column=id_column, has_pii=has_pii)
        if view.info.get("chunking") is None:
            selections.append(await ask([view], partial(select, only_ids=ids, only_sources=None)))
        else:  # in a thread, as the first call reads the source of every row
            selections.append(await asyncio.to_thread(select, only_ids=None, only_sources=ids))
    return selections


def _select(view: CorpusView, plan: Plan, masked: frozenset[str]) -> Selection:
    return view.select(
        filter=plan.filter, only_ids=None, only_sources=None, exclude_ids=plan.exclude_ids, masked=masked
    )


def _dataset_of(view: CorpusView) -> tuple[str, str]:
    """The dataset behind a corpus, and its column of ids."""
    dataset, id_column = view.info.get("dataset"), view.info.get("id_column")
    if dataset and id_column:
        return dataset, id_column
    if view.info.get("chunking") is not None and "dataset" in view.info.get("source", {}):
        raise BadInput(
            f"corpus {view.name!r} was built before sql_filter reached chunks; build it again (nothing is embedded"
            f" anew): lakehouse corpus build {view.name}",
            corpus=view.name,
        )
    raise BadInput(
        f"sql_filter needs the dataset behind a corpus, and {view.name!r} was not made of one; use filter",
        corpus=view.name,
    )
