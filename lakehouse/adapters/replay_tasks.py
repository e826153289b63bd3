"""Tasks of the past, from evidence: what was asked, where, and what is known of the right answer.

Questions are those of answers (chat calls with a task) and of searches. What is known, in this order:

- records that outcomes name and that were shown: the mean of what each judge said last must be above 0;
- records that an accepted answer names by their id;
- else, what an accepted answer said, as text.

Of several runs of one question the latest counts. It is asked as it was then, with its filter, its exclusions and its
validation, where its line keeps them all (see lakehouse/retrieval/asked.py); else without, and the task says so.

Belongs here: the statement. Not here: the form of a task (see lakehouse/replay/task.py), tasks from a file.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import orjson

from lakehouse.adapters.evidence_lake import INDEX_TABLE, SCORED_TABLE, add_relations, open_lake
from lakehouse.adapters.outcome_words import WORDS, names_record
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.catalog.service import Catalog
from lakehouse.errors import BadInput
from lakehouse.promotion.split import is_held_out
from lakehouse.replay.task import MOST_TASKS, ReplayTask, parse_task
from lakehouse.retrieval.asked import read_asked
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import is_table_name
from lakehouse.validation.roster import WORKERS

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3Location
    from lakehouse.storage.objects import ObjectStore

Side = Literal["held_out", "seen", "all"]
_AT_ONCE = 1000
_TASKS = f"""
WITH asked AS (
  SELECT run_id, stream, timestamp, (metadata ->> '$.task') AS question, output_text,
    retrieved_context.corpora AS corpora, (metadata -> '$.asked')::VARCHAR AS asked,
    from_json(
      coalesce((metadata -> '$.retrieved_context.shown'), '[]'), '[{{"corpus":"VARCHAR","id":"VARCHAR"}}]') AS shown
  FROM evidence WHERE stream = 'chat_calls' AND (metadata ->> '$.task') IS NOT NULL
  UNION ALL
  SELECT run_id, stream, timestamp, input_text, NULL::VARCHAR, retrieved_context.corpora,
    CASE WHEN (metadata ->> '$.is_filtered') = 'false' AND (metadata ->> '$.excluded') = '0' THEN '{{"is_whole": true}}'
      ELSE (metadata -> '$.asked')::VARCHAR END,
    from_json(coalesce(output_text, '[]'), '[{{"corpus":"VARCHAR","id":"VARCHAR"}}]')
  FROM evidence WHERE stream = 'searches' AND input_text IS NOT NULL
),
accepted AS (SELECT run_id, stream FROM scored WHERE score = 'accepted'),
{WORDS},
named AS (
  SELECT run_id, answer_id FROM words WHERE answer_id IS NOT NULL GROUP BY ALL HAVING avg(reward) > 0
),
places AS (SELECT run_id, stream, output_text, unnest(shown) AS item FROM asked),
endorsed AS (
  SELECT p.run_id, p.stream, list(DISTINCT p.item.id ORDER BY p.item.id) AS ids
  FROM places p JOIN named n ON n.run_id = p.run_id AND n.answer_id = p.item.id
  WHERE p.item.corpus <> 'pathways' GROUP BY ALL
),
told AS (
  SELECT p.run_id, p.stream, list(DISTINCT p.item.id ORDER BY p.item.id) AS ids
  FROM places p SEMI JOIN accepted USING (run_id, stream)
  WHERE p.item.corpus <> 'pathways'
    AND {names_record("p.output_text", "p.item.id")}
  GROUP BY ALL
),
known AS (
  SELECT a.run_id, a.question, a.corpora, coalesce(e.ids, t.ids) AS ids,
    CASE WHEN c.run_id IS NOT NULL THEN a.output_text END AS text, a.asked, a.timestamp
  FROM asked a
  LEFT JOIN endorsed e USING (run_id, stream)
  LEFT JOIN told t USING (run_id, stream)
  LEFT JOIN accepted c USING (run_id, stream)
  WHERE len(coalesce(a.corpora, [])) > 0 AND trim(a.question) <> ''
    AND (coalesce(e.ids, t.ids) IS NOT NULL OR (c.run_id IS NOT NULL AND trim(coalesce(a.output_text, '')) <> ''))
)
SELECT run_id, question, corpora, ids, text, asked FROM known
QUALIFY row_number() OVER (PARTITION BY question ORDER BY timestamp DESC, run_id DESC) = 1
ORDER BY timestamp DESC, run_id DESC"""


def past_tasks(
    store: ObjectStore,
    location: S3Location,
    *,
    work_dir: Path,
    most: int,
    side: Side = "all",
    is_gone_told: bool = False,
) -> list[ReplayTask]:
    """Tasks whose right answer is known, the latest first.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
        most: Most tasks.
        side: Which of the split: `seen` may lead to proposals, `held_out` tries them.
        is_gone_told: Whether tasks are given that nobody can answer any more (see `askable`).

    Raises:
        StoreUnavailable: The store does not answer.
    """
    if most < 1:
        return []
    work_dir.mkdir(parents=True, exist_ok=True)
    tasks: list[ReplayTask] = []
    can_be_asked = askable(store)
    index, scored = PartitionedTable(store, INDEX_TABLE).read(), PartitionedTable(store, SCORED_TABLE).read()
    with (
        tempfile.TemporaryDirectory(prefix="replay-", dir=work_dir) as folder,
        open_lake(location, Path(folder)) as engine,
    ):
        add_relations(engine, location.bucket, index, scored)
        found = engine.execute(_TASKS)
        while rows := found.fetchmany(_AT_ONCE):
            for run_id, question, corpora, ids, text, asked in rows:
                if side != "all" and is_held_out(question) is not (side == "held_out"):
                    continue
                expected = {"ids": list(ids)} if ids else {"text": text}
                bare = ReplayTask(task_id(question), question, tuple(corpora), expected, replay_of=run_id)
                task = as_asked(bare, asked)
                if not is_gone_told and not can_be_asked(task):
                    continue
                tasks.append(task)
                if len(tasks) >= min(most, MOST_TASKS):
                    return tasks
    return tasks


def as_asked(task: ReplayTask, kept: str | None) -> ReplayTask:
    """A task as its run was asked.

    Args:
        task: The question, the corpora and what is known of the answer.
        kept: `asked` of the run's line as JSON; None: the line is of before it was kept.
    """
    with_ = read_asked(None if kept is None else orjson.loads(kept))
    if with_ is None:
        return replace(task, as_asked=False)
    try:
        return parse_task({**task.to_document(), **with_, "as_asked": True}, where=f"run {task.replay_of}")
    except BadInput:  # a line that this platform did not write
        return replace(task, as_asked=False)


def askable(store: ObjectStore) -> Callable[[ReplayTask], bool]:
    """Tells whether a task can be asked now: its corpora are there, and what its validation reads."""
    is_there = cache(lambda name: is_table_name(name) and LivePointer(store, name).read() is not None)
    has_workers = cache(lambda: WORKERS in Catalog(store).list().manifests)

    def can_be_asked(task: ReplayTask) -> bool:
        return all(map(is_there, task.corpora)) and (task.validate_kind != "fill" or has_workers())

    return can_be_asked


def task_id(question: str) -> str:
    """The id of a question, the same in every batch."""
    return f"q-{hashlib.sha256(question.encode('utf-8', 'replace')).hexdigest()[:16]}"
