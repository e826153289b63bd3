"""SQL filters of searches: the ids of a dataset's rows for which an expression holds, gated and masked like all SQL.

Belongs here: checking, asking the pool, remembering answers. Not here: the statements (see
lakehouse/query/expression.py).
"""

from __future__ import annotations

from collections import OrderedDict

from lakehouse.adapters.sql_pool import SqlPool
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import BadInput
from lakehouse.query.expression import bare_expression, bracketed_expression, matching_ids, typed_expression
from lakehouse.query.request import SqlRequest

_REMEMBERED = 64
_MAX_REMEMBERED_IDS = 2_000_000


class SqlFilter:
    """Answers of one process; an answer is remembered until any dataset changes.

    Args:
        pool: Who runs SQL.
    """

    def __init__(self, pool: SqlPool) -> None:
        self._pool = pool
        self._answers: OrderedDict[tuple[object, ...], frozenset[str]] = OrderedDict()

    async def ids(
        self, expression: str, *, dataset: str, id_column: str, snapshot: CatalogSnapshot, has_pii: bool
    ) -> frozenset[str]:
        """The ids of the rows that pass.

        Args:
            expression: A boolean SQL expression over the columns of the dataset.
            dataset: Its name.
            id_column: Its column that holds the corpus's ids.
            snapshot: The catalog it sees.
            has_pii: False: personal columns read as their mask.

        Raises:
            BadInput: It is no single boolean expression, or does not bind.
            Forbidden: It calls or names what SQL may not.
            TimedOut, InsufficientStorage, Unavailable: As every query.
        """
        # A subquery may name other datasets, so answers are remembered for one state of the whole catalog.
        key = (expression, dataset, id_column, has_pii, snapshot.generation)
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        found = await self._ask(expression, dataset, id_column, snapshot, has_pii=has_pii)
        self._answers[key] = found
        while len(self._answers) > _REMEMBERED or sum(map(len, self._answers.values())) > _MAX_REMEMBERED_IDS:
            self._answers.popitem(last=False)
        return found

    async def _ask(
        self, expression: str, dataset: str, id_column: str, snapshot: CatalogSnapshot, *, has_pii: bool
    ) -> frozenset[str]:
        import pyarrow as pa

        forms = (bare_expression(expression), bracketed_expression(expression))
        if not all([(await self._pool.prepare(form)).is_expression for form in forms]):
            raise BadInput("sql_filter must be one boolean expression, such as hourly_rate < 30 AND city = 'Toledo'")
        typed = SqlRequest(typed_expression(dataset, expression), max_rows=1)
        answer = await self._pool.run(typed, snapshot=snapshot, has_pii=has_pii)
        kind = answer.columns[0]["type"]
        if kind != "BOOLEAN":
            raise BadInput(f"sql_filter must be true or false for each row, but it is of type {kind}")
        request = SqlRequest(matching_ids(dataset, id_column, expression), "arrow")
        async with self._pool.stream(request, snapshot=snapshot, has_pii=has_pii) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        column = pa.ipc.open_stream(data).read_all().column("id")
        return frozenset(i for i in column.to_pylist() if i is not None)
