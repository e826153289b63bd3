"""Fold-back over one bucket: scored evidence gives entries for memory, and what was put there is recorded beside it.

Rules, by run:

- An answer (a chat call with a task and what was shown for it) that was accepted becomes a pathway: its task and what
  was answered; where the prompt and the task's shape are known, also the records that it was answered from.
- A record that an outcome names (`answer_id`) becomes a playbook entry of the task, or of the search, that it was shown
  for; its score is the mean of what each judge said last. Names that were not shown are left out.
- Where nobody named a record, an accepted answer endorses those that it names by their id.

Belongs here: the statement, the order of writes, receipts. Not here: entries and the comparison (see
lakehouse/distillation/fold_back.py), the memory (see lakehouse/client/fold_back_memory.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.adapters.evidence_lake import INDEX_TABLE, SCORED_TABLE, add_relations, open_lake
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.outcome_words import WORDS, names_record
from lakehouse.answer.prompt import records_in
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.distillation.fold_back import WITHDRAWN, Folded, FoldEntry, FoldPlan, Memory, plan
from lakehouse.query.quoting import quote_text
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import publish

TABLE = "fold_back"
_CURRENT, _DONE = "current", "done"
_BEGUN = "begun_us"
"""Account of a fold-back that has begun and not said yet what it put: since when."""
_AT_ONCE = 500
_FIRST_COLUMNS = ("kind", "run_id", "task", "score", "answer_id", "answer_corpus", "answer")
_LATER_COLUMNS = ("records", "shape")  # files of earlier versions lack them
_WANTED = f"""
WITH answers AS (
  SELECT run_id, stream, (metadata ->> '$.task') AS task, output_text,
    coalesce(input_text ->> '$[#-1].content', '') AS question,
    coalesce(metadata ->> '$.retrieved_context.shape', '') AS shape,
    from_json(
      coalesce((metadata -> '$.retrieved_context.shown'), '[]'), '[{{"corpus":"VARCHAR","id":"VARCHAR"}}]') AS shown
  FROM evidence WHERE stream = 'chat_calls' AND (metadata ->> '$.task') IS NOT NULL
), searches AS (
  SELECT run_id, stream, input_text AS task, NULL::VARCHAR AS output_text, '' AS question, '' AS shape,
    from_json(coalesce(output_text, '[]'), '[{{"corpus":"VARCHAR","id":"VARCHAR"}}]') AS shown
  FROM evidence WHERE stream = 'searches' AND input_text IS NOT NULL
), asked AS (FROM answers UNION ALL FROM searches),
accepted AS (SELECT run_id, stream FROM scored WHERE score = 'accepted'),
{WORDS}, named AS (SELECT run_id, answer_id, avg(reward) AS score FROM words WHERE answer_id IS NOT NULL GROUP BY ALL),
places AS (SELECT run_id, stream, task, output_text, unnest(shown) AS item FROM asked)
SELECT DISTINCT 'playbook' AS kind, p.run_id, p.task, n.score, p.item.id AS answer_id, p.item.corpus AS answer_corpus,
  '' AS answer, '' AS question, '' AS shape
FROM places p JOIN named n ON n.run_id = p.run_id AND n.answer_id = p.item.id
WHERE p.item.corpus <> 'pathways' AND n.score <> 0
UNION ALL
SELECT DISTINCT 'playbook', p.run_id, p.task, 1.0, p.item.id, p.item.corpus, '', '', ''
FROM places p SEMI JOIN accepted USING (run_id, stream) ANTI JOIN named n ON n.run_id = p.run_id
WHERE p.item.corpus <> 'pathways'
  AND {names_record("p.output_text", "p.item.id")}
UNION ALL
SELECT 'pathway', a.run_id, a.task, 1.0, '', '', a.output_text, a.question, a.shape
FROM answers a SEMI JOIN accepted USING (run_id, stream) WHERE trim(coalesce(a.output_text, '')) <> ''
ORDER BY ALL"""


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What was done, or would be: entries put, refused by the memory, withdrawn, and how many it holds."""

    put: int
    refused: int
    withdrawn: int
    holds: int
    is_dry: bool = False


class FoldBack:
    """Folds the accepted runs and the outcomes of one bucket back into memory.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for temporary files.
        clock: The time now, for receipts.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._table = PartitionedTable(store, TABLE, clock=clock)
        self._clock = clock

    def run(
        self,
        memory: Memory,
        run: RunFacts,
        *,
        is_dry: bool = False,
        unspoken: Callable[[str], bool] = lambda _: False,
    ) -> FoldReport:
        """Make memory hold what the scored evidence says it should.

        Killed in between, the next run puts the same again: an entry counts once however often it is put.

        Args:
            memory: Where entries go.
            run: Who does it.
            is_dry: Only say what would be done.
            unspoken: Of a task whether it must not be said once more: whoever calls takes its entries out of memory.

        Raises:
            Unavailable: The memory cannot be reached; what was put so far is put again by the next run.
            StoreUnavailable: The store does not answer.
        """
        started_at = self._clock()
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fold-back-", dir=self._work_dir) as name:
            folder = Path(name)
            done = self._done(folder)
            asked = plan(self._wanted(folder), done)
            if is_dry or not (asked.put or asked.withdraw):
                return FoldReport(len(asked.put), 0, len(asked.withdraw), len(done), is_dry=is_dry)
            since = self._begin(started_at)
            put, refused = self._put(memory, asked.put, done, since)
            self._withdraw(memory, asked.withdraw, unspoken)
            gone = {folded.entry.entry_id for folded in asked.withdraw}
            again = {entry.entry_id for entry in asked.again}
            stays = {key: one for key, one in done.items() if key not in gone}
            # Their trace was withdrawn together with another entry, so they are added once more.
            put_again, _ = self._put(memory, asked.again, {key: stays[key] for key in stays if key not in again}, since)
            holds = {**stays, **put, **put_again}
            file = self._keep(folder, holds)
        receipt = self._receipt(file, asked, refused, run, started_at)
        write_receipt(self._store, receipt)
        partition = Partition(file.sha256, (file,), {"out": file.rows}, receipt.key)
        self._table.commit(lambda _: {_CURRENT: partition})
        return FoldReport(len(put), refused, len(gone), len(holds))

    def _begin(self, started_at: datetime) -> datetime:
        """Mark that entries are about to be put; returns the time of the oldest mark that no run has completed.

        A run that is killed has put traces that no file names. By this mark the next run knows them as its own.
        """

        def mark(live: TableManifest) -> dict[str, Partition]:
            there = live.partitions.get(_CURRENT) or Partition("")
            if _BEGUN in there.counts:
                return {}
            begun_us = int(started_at.timestamp() * 1_000_000)
            return {_CURRENT: replace(there, counts={**there.counts, _BEGUN: begun_us})}

        begun_us = self._table.commit(mark).partitions[_CURRENT].counts[_BEGUN]
        return datetime.fromtimestamp(begun_us / 1_000_000, UTC)

    def _put(
        self, memory: Memory, entries: Sequence[FoldEntry], done: Mapping[str, Folded], since: datetime
    ) -> tuple[dict[str, Folded], int]:
        put: dict[str, Folded] = {}
        playbooks = [entry for entry in entries if entry.kind == "playbook"]
        for first in range(0, len(playbooks), _AT_ONCE):
            portion = playbooks[first : first + _AT_ONCE]
            for entry, memory_id in zip(portion, memory.record(portion), strict=True):
                if memory_id is not None:
                    put[entry.entry_id] = Folded(entry, memory_id, is_own=False)
        owned = {one.memory_id for one in done.values() if one.is_own and one.entry.kind == "pathway"}
        for entry in (entry for entry in entries if entry.kind == "pathway"):
            before = done.get(entry.entry_id)
            if before is not None and before.is_own:
                memory.retire(before.memory_id, WITHDRAWN)
                owned.discard(before.memory_id)
            if (added := memory.add(entry, since=since)) is not None:
                uid, is_own = added
                put[entry.entry_id] = Folded(entry, uid, is_own=is_own and uid not in owned)  # a trace has one owner
                owned |= {uid} if is_own else set()
        return put, len(entries) - len(put)

    def _withdraw(self, memory: Memory, withdrawn: Sequence[Folded], unspoken: Callable[[str], bool]) -> None:
        """Withdraw entries: records get a score without weight, and traces that fold-back made are retired."""
        entries = (folded.entry for folded in withdrawn if folded.entry.kind == "playbook")
        playbooks = [_neutral(entry) for entry in entries if not unspoken(entry.task)]
        for first in range(0, len(playbooks), _AT_ONCE):
            memory.record(playbooks[first : first + _AT_ONCE])
        for folded in withdrawn:
            if folded.entry.kind == "pathway" and folded.is_own:
                memory.retire(folded.memory_id, WITHDRAWN)

    def _wanted(self, folder: Path) -> Iterator[FoldEntry]:
        index = PartitionedTable(self._store, INDEX_TABLE).read()
        scored = PartitionedTable(self._store, SCORED_TABLE).read()
        with open_lake(self._location, folder) as engine:
            add_relations(engine, self._location.bucket, index, scored)
            found = engine.execute(_WANTED)
            while rows := found.fetchmany(1000):
                yield from (_wanted_entry(*row) for row in rows)

    def _done(self, folder: Path) -> dict[str, Folded]:
        current = self._table.read().partitions.get(_CURRENT)
        file = None if current is None else current.file(_DONE)
        if file is None or not file.rows:
            return {}
        with open_lake(self._location, folder) as engine:
            source = f"read_parquet([{quote_text(f's3://{self._location.bucket}/{file.key}')}])"
            there = {row[0] for row in engine.execute(f"DESCRIBE FROM {source}").fetchall()}
            later = [name if name in there else f"'' AS {name}" for name in _LATER_COLUMNS]
            columns = ", ".join([*_FIRST_COLUMNS, *later, "memory_id", "is_own"])
            rows = engine.execute(f"SELECT {columns} FROM {source}").fetchall()
        folded = (Folded(FoldEntry(*row[:-2]), row[-2], is_own=bool(row[-1])) for row in rows)
        return {one.entry.entry_id: one for one in folded}

    def _keep(self, folder: Path, holds: Mapping[str, Folded]) -> PartitionFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        ordered = [holds[key] for key in sorted(holds)]
        entries = [one.entry for one in ordered]
        columns = {
            name: pa.array(
                [getattr(entry, name) for entry in entries], pa.float64() if name == "score" else pa.string()
            )
            for name in (*_FIRST_COLUMNS, *_LATER_COLUMNS)
        }
        columns["memory_id"] = pa.array([one.memory_id for one in ordered], pa.string())
        columns["is_own"] = pa.array([one.is_own for one in ordered], pa.bool_())
        path = folder / "done.parquet"
        pq.write_table(pa.table(columns), path, compression="zstd")
        one = publish(self._store, path, lambda sha256: f"scored/fold_back/{sha256}.parquet", clock=self._clock)
        return PartitionFile(_DONE, one.key, one.size, one.sha256, len(ordered))

    def _receipt(
        self, file: PartitionFile, asked: FoldPlan, refused: int, run: RunFacts, started_at: datetime
    ) -> Receipt:
        put = len(asked.put) - refused
        return Receipt(
            asset=TABLE,
            partition=_CURRENT,
            run_id=run.run_id,
            code_version="1",
            git_commit=run.git_commit,
            started_at=started_at,
            ended_at=self._clock(),
            inputs=(),
            outputs=(ReceiptItem(file.key, file.sha256, file.rows),),
            counts=ReceiptCounts(
                taken=len(asked.put) + len(asked.withdraw),
                new=put,
                corrected=len(asked.withdraw),
                quarantined=refused,
                out=file.rows,
            ),
        )


def _wanted_entry(*row: Any) -> FoldEntry:
    """An entry of a row; of the last turn of its prompt, what the records were."""
    *said, question, shape = row
    entry = FoldEntry(*said)
    return replace(entry, records=records_in(question, entry.task), shape=shape)


def _neutral(entry: FoldEntry) -> FoldEntry:
    return FoldEntry(entry.kind, entry.run_id, entry.task, 0.0, entry.answer_id, entry.answer_corpus)
