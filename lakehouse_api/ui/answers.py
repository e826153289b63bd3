"""Queries of pages, asked as everybody's are: behind the same gate, masked by the same rules, written down alike.

Belongs here: asking, and the answer as values. Not here: SQL itself (see ../routes/sql.py), keeping answers (see
results.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request

from lakehouse.errors import StoreUnavailable
from lakehouse.query.request import SqlRequest
from lakehouse_api.answering_store import is_hanging, require_answering
from lakehouse_api.routes.sql import AskedSql, answer_json
from lakehouse_api.services import Services


async def corpus_names(services: Services) -> list[str]:
    """The corpora to search: those of the store, or while it does not answer those that are open here."""
    corpora = services.retrieval.corpora
    is_open = sorted(corpora.stats())
    if is_open and is_hanging(services):  # asking would take as long as all tries of a call
        return is_open
    await require_answering(services)
    try:
        return await corpora.names()
    except StoreUnavailable:
        if not is_open:
            raise
        return is_open


def first_corpus(names: Sequence[str]) -> str:
    """The corpus that a page begins with: the workers where there are any, else the first by name; "" of none."""
    return "workers" if "workers" in names else next(iter(names), "")


@dataclass(frozen=True, slots=True)
class SqlRows:
    """An answer: its columns with their types, its rows in the order of the columns."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]
    is_truncated: bool

    def records(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        names = [name for name, _ in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def asked_sql(request: Request, services: Services, query: SqlRequest) -> AskedSql:
    """A query of a page as the route takes it."""
    state = request.scope["state"]
    return AskedSql(query, services, state["principal"], state)


async def ask_sql(request: Request, services: Services, query: SqlRequest) -> SqlRows:
    """Ask, and wait for the whole answer.

    Raises:
        LakehouseError: As `/v1/sql` does.
    """
    document = orjson.loads(await answer_json(request, asked_sql(request, services, query)))
    columns = [(column["name"], column["type"]) for column in document["columns"]]
    rows = document["rows"]
    if rows and isinstance(rows[0], dict):
        rows = [[row.get(name) for name, _ in columns] for row in rows]
    return SqlRows(columns, rows, bool(document["truncated"]))
