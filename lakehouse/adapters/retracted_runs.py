"""The runs that serve no more: those on the list of retractions, and those that a subject on it occurs in.

Each file of evidence is searched for each subject once, and the result is kept in the table `retracted_runs`: new files
are searched for all subjects, and known files for new subjects.

Belongs here: from the list to run ids. Not here: the list (see lakehouse/catalog/retractions.py), when a text speaks of
a subject (see lakehouse/lineage/subject.py), the index that leaves runs out (see evidence_index.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.evidence_lake import CURRENT, EVIDENCE, make_list, open_lake, root_of
from lakehouse.adapters.evidence_materializer import TABLE as EVIDENCE_TABLES
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile
from lakehouse.catalog.retractions import RetractionList
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.lineage.subject import subject_pattern
from lakehouse.query.quoting import quote_text
from lakehouse.storage.publish import publish

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.objects import S3Location
    from lakehouse.storage.objects import ObjectStore

TABLE = "retracted_runs"
RUNS = "runs"
_SUBJECT = "subject"
_FOLDER = "evidence/retracted/"
_CODE_VERSION = 1
_PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1"


_FOUND = "CREATE TABLE found (subject VARCHAR, evidence_key VARCHAR, run_id VARCHAR)"


@dataclass(frozen=True, slots=True)
class _Known:
    """What was looked at before: keys of files, digests of subjects."""

    files: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()


class RetractedRuns:
    """Gives the runs of one bucket that serve no more, as `EvidenceIndex` asks for them.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for temporary files.
    """

    def __init__(self, store: ObjectStore, location: S3Location, *, work_dir: Path) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._list = RetractionList(store)
        self._table = PartitionedTable(store, TABLE)

    def __call__(self) -> list[str]:
        """Their ids.

        Raises:
            BrokenManifest: The list is damaged.
            StoreUnavailable: The store does not answer.
        """
        entries = self._list.read()
        runs = {one.value for one in entries if one.kind == "run"}
        subjects = sorted({one.value for one in entries if one.kind == "subject"})
        return sorted(runs.union(self._of_subjects(subjects) if subjects else ()))

    def of(self, subject: str) -> list[str]:
        """The runs that a subject occurs in, whether or not it is on the list; nothing is kept."""
        with scratch_folder(self._work_dir, "subject-") as folder, open_lake(self._location, folder) as engine:
            engine.execute(_FOUND)
            self._look(engine, [file.key for file in self._evidence()], [subject])
            return _runs(engine)

    def _of_subjects(self, subjects: Sequence[str]) -> list[str]:
        files = list(self._evidence())
        before = self._table.read().partitions.get(CURRENT)
        fingerprint = _fingerprint(subjects, files)
        with scratch_folder(self._work_dir, "retracted-") as folder, open_lake(self._location, folder) as engine:
            engine.execute(_FOUND)
            known = self._take_before(engine, before, files, subjects)
            if before is not None and before.fingerprint == fingerprint:
                return _runs(engine)
            new = [file.key for file in files if file.key not in known.files]
            self._look(engine, new, subjects)
            self._look(
                engine,
                [file.key for file in files if file.key in known.files],
                [one for one in subjects if digest_of(one) not in known.subjects],
            )
            path = folder / "runs.parquet"
            engine.execute(f"COPY (SELECT DISTINCT * FROM found ORDER BY ALL) TO {quote_text(str(path))} ({_PARQUET})")
            rows = engine.execute("SELECT count(*) FROM (SELECT DISTINCT * FROM found)").fetchone()
            one = publish(self._store, path, lambda sha256: f"{_FOLDER}{sha256}.parquet")
            made = Partition(
                fingerprint,
                (
                    PartitionFile(RUNS, one.key, one.size, one.sha256, int(rows[0]) if rows else 0),
                    *(PartitionFile(_SUBJECT, digest_of(subject), 0, "", 0) for subject in subjects),
                    *files,
                ),
            )
            runs = _runs(engine)
        # Of two searches at once the later result stays; what it lacks is searched again by the next.
        self._table.commit(lambda _: {CURRENT: made})
        return runs

    def _take_before(
        self,
        engine: duckdb.DuckDBPyConnection,
        before: Partition | None,
        files: Sequence[PartitionFile],
        subjects: Sequence[str],
    ) -> _Known:
        """Put what was found before into the relation, as far as it is still asked for."""
        runs = None if before is None else before.file(RUNS)
        if before is None or runs is None or self._store.head(runs.key) is None:
            return _Known()
        make_list(engine, "wanted_files", "evidence_key", [file.key for file in files])
        make_list(engine, "wanted", "subject", [digest_of(subject) for subject in subjects])
        engine.execute(
            f"INSERT INTO found SELECT subject, evidence_key, run_id FROM read_parquet(["
            f"{quote_text(root_of(self._location) + runs.key)}]) SEMI JOIN wanted USING (subject)"
            " SEMI JOIN wanted_files USING (evidence_key)"
        )
        return _Known(
            frozenset(file.key for file in before.files if file.role == EVIDENCE),
            frozenset(file.key for file in before.files if file.role == _SUBJECT),
        )

    def _look(self, engine: duckdb.DuckDBPyConnection, keys: Sequence[str], subjects: Sequence[str]) -> None:
        if not keys:
            return
        root = root_of(self._location)
        files = ", ".join(quote_text(root + key) for key in keys)
        for subject in subjects:
            text, digest, pattern = map(quote_text, (subject, digest_of(subject), subject_pattern(subject)))
            spoken = " OR ".join(
                f"regexp_matches({column}, {pattern}, 'i')" for column in ("input_text", "output_text", "metadata")
            )
            engine.execute(f"""
              INSERT INTO found SELECT DISTINCT {digest}, substr(filename, {len(root) + 1}), run_id
              FROM read_parquet([{files}], filename = true, hive_partitioning = false)
              WHERE task_id = {text} OR (metadata ->> '$.actor') = {text} OR {spoken}""")

    def _evidence(self) -> Iterator[PartitionFile]:
        """Every file of evidence, of all streams."""
        for stream in TRANSFORMS:
            for partition in PartitionedTable(self._store, EVIDENCE_TABLES + stream).read().partitions.values():
                file = partition.file(EVIDENCE)
                if file is not None:
                    yield file


def _runs(engine: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in engine.execute("SELECT DISTINCT run_id FROM found ORDER BY 1").fetchall()]


def digest_of(subject: str) -> str:
    """The hash of a subject, for places where its text must not be stored."""
    return hashlib.sha256(subject.encode()).hexdigest()


def _fingerprint(subjects: Sequence[str], files: Sequence[PartitionFile]) -> str:
    said = [_CODE_VERSION, [digest_of(subject) for subject in subjects], sorted(file.key for file in files)]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()
