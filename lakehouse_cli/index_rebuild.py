"""`lakehouse index rebuild`: a damaged table made anew from what is left.

`playbooks` and `pathways` are made of their rows that can still be read and of the memory log; a declared corpus is
built again from its source; an index keeps the rows that can still be read. Only this command may take the table's
place: writers that come in between must try again.

Belongs here: which way for which table. Not here: the ways themselves (see lakehouse/adapters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lakehouse.counted import counted
from lakehouse.errors import BadInput, NotFound
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.memory.rows import RowRules
    from lakehouse.retrieval.corpus import CorpusDeclaration


Told = tuple[str, dict[str, Any]]
"""What was done: a line for the terminal, and the same as a document."""


def rebuild(settings: Settings, name: str) -> Iterator[Told]:
    """Mend a table; yields what was done, part by part.

    Raises:
        NotFound: There is no such table, and nothing to make it of.
        Unavailable: The store does not answer, or somebody else is at it.
    """
    if (rules := _memory_tables().get(name)) is not None:
        yield from _rebuild_memory(settings, name, rules)
    elif (declaration := _declaration(settings, name)) is not None:
        yield from _rebuild_corpus(settings, declaration)
    else:
        yield from _rebuild_index(settings, name)


def _memory_tables() -> dict[str, RowRules]:
    """The tables of memory logs, by name."""
    from lakehouse.pathway import trace
    from lakehouse.retrieval import playbook

    return {playbook.TABLE: playbook.ROW_RULES, trace.TABLE: trace.ROW_RULES}


def _rebuild_memory(settings: Settings, table: str, rules: RowRules) -> Iterator[Told]:
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.folded_rows import LanceFoldedRows
    from lakehouse.adapters.lance_tables import LanceTables
    from lakehouse.adapters.memory_log import MemoryLog

    objects = connect_store(settings)
    tables = LanceTables(objects.location, objects)
    log = MemoryLog(objects, table, _Unread(), LanceFoldedRows(tables, objects, table, rules))
    log.start()
    try:
        report = log.rebuild()
    finally:
        log.stop()
    line = (
        f"{table}: {counted(report['rows'], 'row')}, {report['from_table']} from the table,"
        f" {report['from_log']} from the log"
    )
    yield line, {"name": table, **report}


def _declaration(settings: Settings, name: str) -> CorpusDeclaration | None:
    from lakehouse.adapters.corpus_files import find_declaration

    try:
        return find_declaration(settings.corpora_dir, name)
    except NotFound:
        return None


def _rebuild_corpus(settings: Settings, declaration: CorpusDeclaration) -> Iterator[Told]:
    """New files, every row embedded again: nothing of the old ones is needed."""
    from rich.console import Console

    from lakehouse_cli.corpus_commands import build_corpus, told

    for report in build_corpus(settings, declaration, Console(stderr=True), is_full=True):
        yield told(report), report.to_document()


class _Unread:
    """A memory state that keeps nothing, for a log whose entries are only moved into the table."""

    def apply(self, entries: object) -> None:
        """Keep nothing."""


def _rebuild_index(settings: Settings, name: str) -> Iterator[Told]:
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.index_salvage import salvage_index
    from lakehouse.adapters.lance_tables import LanceTables

    objects = connect_store(settings)
    table = LanceTables(objects.location, objects).open(name)
    if table is None:
        raise NotFound(f"there is no index {name!r}; lakehouse index list shows those there are", name=name)
    if table.info.get("kind") == "corpus":
        raise BadInput(f"{name!r} was made of a source that {settings.corpora_dir} no longer declares", name=name)
    report = salvage_index(table)
    lost = f"{report.lost_rows} lost in {counted(report.unreadable, 'unreadable file')}"
    yield f"{name}: {counted(report.rows, 'row')} kept, {lost}", {"name": name, **asdict(report)}
