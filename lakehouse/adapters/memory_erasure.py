"""Memory that speaks of what was retracted: found in the tables and the log, and its bytes removed from both.

An entry is erased together with all entries about the same trace or playbook entry. The table is made anew without the
rows, and its earlier files are removed at once; in the log a line is replaced by `{"erased": <SHA-256 of the line>}`,
which readers pass over. A line that is not in the table yet stays until it is, since a running process would still fold
it.

Belongs here: finding, the table's files, the log's objects. Not here: taking it out of searches, which is an API's (see
lakehouse/client/fold_back_memory.py), other places (see erasure_sweep.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import orjson

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.counted import counted
from lakehouse.errors import Conflict, NotFound
from lakehouse.lineage.answer import erased_line
from lakehouse.lineage.retracted import Place
from lakehouse.memory.keys import parse_object_key, table_prefix
from lakehouse.memory.log_object import ERASED, VOID
from lakehouse.pathway.trace import ROW_RULES as PATHWAY_ROWS
from lakehouse.pathway.trace import TABLE as PATHWAYS
from lakehouse.retrieval.playbook import ROW_RULES as PLAYBOOK_ROWS
from lakehouse.retrieval.playbook import TABLE as PLAYBOOKS
from lakehouse.storage.objects import list_all

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.adapters.lance_table import LanceTable
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.words import Words

_SUBJECT_FIELDS = {PATHWAYS: PATHWAY_ROWS.subject_field, PLAYBOOKS: PLAYBOOK_ROWS.subject_field}
_TRIES = 5
_REST_S = 0.5


Spoken: TypeAlias = Mapping[str, Sequence[str]]
"""By memory (`pathways`, `playbooks`) the traces or entries that speak of it, in order."""


class MemoryErasure:
    """Finds and erases in the memory of one bucket.

    Args:
        store: The bucket.
    """

    def __init__(self, store: S3ObjectStore) -> None:
        self._store = store
        self._tables = LanceTables(store.location, store)

    def find(self, words: Words) -> Spoken:
        """Look for words in each memory, what is not in its table yet included.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        found = {name: {*self._in_table(name, words), *self._in_log(name, words)} for name in _SUBJECT_FIELDS}
        return {name: sorted(ids) for name, ids in found.items() if ids}

    def erase(self, spoken: Spoken, words: Words) -> Iterator[Place]:
        """Remove the bytes of what was found by these words.

        Raises:
            Conflict: Others kept writing to the table; nothing of it was changed.
            StoreUnavailable: The store does not answer; doing it again goes on from here.
        """
        for name, ids in spoken.items():
            table = self._tables.open(name)
            if table is not None:
                yield from self._without(table, frozenset(ids))
            folded = {} if table is None else table.folded_through
            yield from self._blank(name, frozenset(ids), folded, words)
        if spoken:
            yield Place("memory of running APIs", "holds what was erased until each is started again", is_open=True)

    def _in_table(self, name: str, words: Words) -> Iterator[str]:
        table = self._tables.open(name)
        if table is not None:
            for batch in table.scan(["subject_id", "payload"]):
                said = words.are_in(batch.column("payload").to_pylist())
                ids = batch.column("subject_id").to_pylist()
                yield from (subject_id for subject_id, is_meant in zip(ids, said, strict=True) if is_meant)

    def _in_log(self, name: str, words: Words) -> Iterator[str]:
        for key in self._log_objects(name):
            lines = [line for line in self._lines(key) if line and not line.startswith(ERASED)]
            for line, is_meant in zip(lines, words.are_in(lines), strict=True):
                if is_meant and (subject_id := _subject_of(name, line)) is not None:
                    yield subject_id

    def _log_objects(self, name: str) -> list[str]:
        return [info.key for info in list_all(self._store, table_prefix(name)) if parse_object_key(info.key)]

    def _lines(self, key: str) -> list[bytes]:
        try:
            return self._store.get(key).body.split(b"\n")
        except NotFound:
            return []  # retention has removed it

    def _without(self, table: LanceTable, ids: frozenset[str]) -> Iterator[Place]:
        """Make a table anew without rows; what its files were is removed, and no moment of before can be read."""
        for tries_left in range(_TRIES - 1, -1, -1):
            table.refresh()
            before = [table.live.uri, *(former.uri for former in table.live.former)]
            rows = sum(batch.num_rows for batch in _rows(table, ids, is_kept=False))
            if not rows:
                return
            try:
                table.replace(_rows(table, ids, is_kept=True))
                break
            except Conflict:
                if not tries_left:
                    raise
                time.sleep(_REST_S)
        table.swap(lambda live: replace(live, former=tuple(one for one in live.former if one.uri not in before)))
        for uri in before:
            for info in list(list_all(self._store, f"{uri}/")):
                self._store.delete(info.key)
            yield Place(f"{uri}/", f"was removed; {table.name} was made anew without {counted(rows, 'row')}")

    def _blank(self, name: str, ids: frozenset[str], folded: Mapping[str, int], words: Words) -> Iterator[Place]:
        """Blank the lines of the log."""
        for key in self._log_objects(name):
            lines = self._lines(key)
            meant = [number for number, line in enumerate(lines) if line and _subject_of(name, line) in ids]
            place = parse_object_key(key)
            if not meant or place is None:
                continue
            if folded.get(place[1], 0) < place[2]:
                if any(words.are_in([lines[number] for number in meant])):
                    yield Place(key, "is not in its table yet: erase again in a minute", is_open=True)
                continue
            told = [(number, hashlib.sha256(lines[number]).hexdigest()) for number in meant]
            for number, sha256 in told:
                lines[number] = erased_line(sha256)
            is_all = all(not line or line.startswith(ERASED) for line in lines)
            self._store.put(key, VOID if is_all else b"\n".join(lines), content_type="application/jsonl")
            yield from (Place(f"{key}:{number + 1}", "was erased", sha256) for number, sha256 in told)


def _rows(table: LanceTable, ids: frozenset[str], *, is_kept: bool) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in table.scan():
        mask = [(subject_id not in ids) == is_kept for subject_id in batch.column("subject_id").to_pylist()]
        if any(mask):
            yield batch.filter(pa.array(mask, pa.bool_()))


def _subject_of(name: str, line: bytes) -> str | None:
    try:
        document = orjson.loads(line)
        return str(document["payload"].get(_SUBJECT_FIELDS[name]) or document["op_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
