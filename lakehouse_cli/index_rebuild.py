"""`lakehouse index rebuild`: a damaged table made anew from what is left.

`playbooks` is made of its rows that can still be read and of the memory log; a declared corpus is built again from its
source; an index keeps the rows that can still be read. Only this command may take the table's place: writers that come
in between are told to try again.

Belongs here: which way for which table. Not here: the ways themselves (see lakehouse/adapters).
"""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.errors import BadInput, NotFound
from lakehouse.settings import Settings


def rebuild(settings: Settings, name: str) -> Iterator[str]:
    """Mend a table; yields lines for the terminal.

    Raises:
        NotFound: There is no such table, and nothing to make it of.
        Unavailable: The store does not answer, or somebody else is at it.
    """
    from lakehouse.retrieval.playbook import TABLE

    if name == TABLE:
        yield from _rebuild_playbooks(settings)
    else:
        yield from _rebuild_index(settings, name)


def _rebuild_playbooks(settings: Settings) -> Iterator[str]:
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.folded_rows import LanceFoldedRows
    from lakehouse.adapters.lance_tables import LanceTables
    from lakehouse.adapters.memory_log import MemoryLog
    from lakehouse.retrieval.playbook import ROW_RULES, TABLE

    objects = connect_store(settings)
    tables = LanceTables(objects.location, objects)
    log = MemoryLog(objects, TABLE, _Unread(), LanceFoldedRows(tables, objects, TABLE, ROW_RULES))
    log.start()
    try:
        report = log.rebuild()
    finally:
        log.stop()
    yield f"{TABLE}: {report['rows']} rows, {report['from_table']} from the table, {report['from_log']} from the log"


class _Unread:
    """A state for a log that is only moved."""

    def apply(self, entries: object) -> None:
        """Keep nothing."""


def _rebuild_index(settings: Settings, name: str) -> Iterator[str]:
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.index_salvage import salvage_index
    from lakehouse.adapters.lance_tables import LanceTables

    objects = connect_store(settings)
    table = LanceTables(objects.location, objects).open(name)
    if table is None:
        raise NotFound(f"there is no index {name!r}; lakehouse index list shows those there are", name=name)
    if table.info.get("kind") == "corpus":
        raise BadInput(f"{name!r} is made of its source: run lakehouse corpus build {name} --rebuild", name=name)
    report = salvage_index(table)
    yield f"{name}: {report.rows} rows kept, {report.lost_rows} lost in {report.unreadable} unreadable files"
