"""Erasure: removing the bytes of raw lines, of the evidence made from them, and of given words wherever they are.

A line is replaced by `{"erased": <SHA-256 of the line>}`, so that the other lines keep their numbers and lineage can
tell an erasure from damage. The day's evidence is made anew from what is left, and files that only earlier versions
name are removed. Places that cannot be reached from here are reported to the operator.

Belongs here: raw objects, evidence of their days, what the operator is left with. Not here: which lines (see
retraction_places.py), memory (see memory_erasure.py), all other places (see erasure_sweep.py), the order (see
retraction.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.erasure_sweep import Sweep
from lakehouse.adapters.evidence_materializer import TABLE as EVIDENCE_TABLES
from lakehouse.adapters.memory_erasure import MemoryErasure
from lakehouse.adapters.receipt_archive import each_receipt
from lakehouse.adapters.retraction_places import refused_lines
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.errors import NotFound, PreconditionFailed, StoreUnavailable
from lakehouse.evidence.days import day_of, day_prefix
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.lineage.answer import erased_line
from lakehouse.lineage.retracted import Place
from lakehouse.receipts.receipt import PREFIX as RECEIPTS
from lakehouse.storage.lines import lines_of
from lakehouse.storage.objects import list_all

if TYPE_CHECKING:
    from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.retraction_places import HeldLine
    from lakehouse.adapters.words import Words
    from lakehouse.storage.objects import ObjectReader

_TRIES = 3
_IMPORTS = f"{RECEIPTS}agent_trajectories/"
BEYOND = (
    ("backups", "hold it as it was: remove the cuts that were taken before now, or the lines in them"),
    ("earlier versions of objects", "are there where the bucket keeps versions: remove those of the keys above"),
    ("catalog/tables/evidence/", "has versions of manifests that name files which are gone: they cannot be read now"),
    (
        "lance/ of corpora",
        "keeps bytes of deleted rows until it is compacted and its versions of before are past their time",
    ),
    ("files/ and landing/", "may hold what it was imported or ingested from, in other words or without its id"),
    ("spools and logs of other hosts", "may hold lines that were not shipped yet: erase again when they are"),
    ("catalog/retractions.json", "holds what was retracted by its id or words, so that it cannot come back"),
)
"""What this cannot reach, or cannot know."""


class Eraser:
    """Erases in one bucket.

    Args:
        store: The bucket.
        materializer: Makes the days' evidence anew.
        work_dir: Local folder for temporary files.
        local: Folders of this host that are looked through, too.
        drop_removed: Has the store take the bytes of removed objects off its disks; gives whether it did.
    """

    def __init__(
        self,
        store: S3ObjectStore,
        materializer: EvidenceMaterializer,
        *,
        work_dir: Path,
        local: Sequence[Path] = (),
        drop_removed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._materializer = materializer
        self._work_dir = work_dir
        self._local = local
        self._drop_removed = drop_removed

    def erase(self, lines: Sequence[HeldLine], run: RunFacts, words: Words) -> list[Place]:
        """Erase lines, copies of them in the same days, and words wherever else they lie.

        Args:
            lines: Which ones; those that fitted no stream and have the words are found here.
            run: Who does it.
            words: What it is about.

        Returns:
            Every place, with what became of it.

        Raises:
            StoreUnavailable: The store does not answer; doing it again goes on from here.
        """
        lines = [*lines, *refused_lines(self._store, words)]
        wanted = frozenset(line.sha256 for line in lines)
        places: list[Place] = []
        days = sorted({(line.source_key.split("/")[1], line.source_key) for line in lines})
        by_stream: dict[str, set[date]] = {}
        for stream, key in days:
            day = day_of(key, stream)
            if day is not None:
                by_stream.setdefault(stream, set()).add(day)
        for stream, wanted_days in sorted(by_stream.items()):
            for day in sorted(wanted_days):
                for info in list(list_all(self._store, day_prefix(stream, day))):
                    places += self._rewrite(info.key, wanted)
            places += self._make_anew(stream, sorted(wanted_days), run)
        places += self._imported({line.source_key for line in lines})
        memory = MemoryErasure(self._store)
        places += memory.erase(memory.find(words), words)
        places += Sweep(self._store, words, work_dir=self._work_dir, local=self._local).run()
        if self._drop_removed():
            places.append(Place("volumes of the store", "were compacted: bytes of removed objects are gone"))
        else:
            what = "may keep bytes of removed objects until it compacts them: have it do so"
            places.append(Place("volumes of the store", what, is_open=True))
        return [*places, *(Place(key, what, is_open=True) for key, what in BEYOND)]

    def bring_up_to_date(self, run: RunFacts) -> None:
        """Make evidence of raw lines that came since, so that those of them that have to go are found."""
        for stream in TRANSFORMS:
            for _ in self._materializer.materialize(stream, sorted(self._materializer.behind(stream)), run):
                pass

    def _rewrite(self, key: str, wanted: frozenset[str]) -> Iterator[Place]:
        """Replace lines of an object by other bytes; an object that has none of them stays as it is."""
        for _ in range(_TRIES):
            with scratch_folder(self._work_dir, "erasing-") as folder:
                path = folder / "lines.jsonl"
                try:
                    with self._store.open(key) as reader, path.open("wb") as stream:
                        etag = reader.info.etag
                        erased = list(_written(reader, stream.write, wanted))
                except NotFound:
                    return
                if not erased:
                    return
                try:
                    self._store.put(key, path, if_match=etag, content_type="application/jsonl")
                except (PreconditionFailed, NotFound):
                    continue
            for number, sha256 in erased:
                yield Place(f"{key}:{number}", "was erased", sha256)
            return
        raise StoreUnavailable(f"{key!r} is being written by others; erase again", key=key, retry_after_s=5)

    def _make_anew(self, stream: str, days: Sequence[date], run: RunFacts) -> Iterator[Place]:
        """Make the days' evidence anew without the lines, and remove the earlier files."""
        if stream not in TRANSFORMS:
            return
        for _ in self._materializer.materialize(stream, days, run):
            pass
        yield from self._remove_unnamed(stream, days)

    def _remove_unnamed(self, stream: str, days: Sequence[date]) -> Iterator[Place]:
        """Remove files of days that no longer serve: earlier ones, and those of runs that had read the lines before."""
        places = [f"evidence/{stream}/dt={day}/" for day in days]
        places += [f"quarantine/evidence/dt={day}/{stream}-" for day in days]
        files = {info.key for prefix in places for info in list_all(self._store, prefix)}
        manifest = PartitionedTable(self._store, EVIDENCE_TABLES + stream).read()
        named = {file.key for partition in manifest.partitions.values() for file in partition.files}
        for key in sorted(files - named):
            self._store.delete(key)
            yield Place(key, "was removed; the day's evidence was made anew")

    def _imported(self, keys: Iterable[str]) -> Iterator[Place]:
        """Files that raw objects were imported from, as far as receipts tell."""
        wanted = set(keys)
        for receipt, body in each_receipt(self._store):
            if not receipt.startswith(_IMPORTS):
                continue
            try:
                said = orjson.loads(body)
                is_meant = any(item["key"] in wanted for item in said["outputs"])
                files = [(item["key"], item["sha256"]) for item in said["inputs"]] if is_meant else []
            except (ValueError, KeyError, TypeError):
                continue
            for key, sha256 in files:
                yield Place(key, "was imported with it: remove it there, too", sha256, is_open=True)


def _written(
    reader: ObjectReader, write: Callable[[bytes], object], wanted: frozenset[str]
) -> Iterator[tuple[int, str]]:
    """Write an object's lines, other bytes in the place of those that go; gives their numbers and SHA-256."""
    for number, line in enumerate(lines_of(reader.chunks()), start=1):
        raw = line.removesuffix(b"\n")
        sha256 = hashlib.sha256(raw).hexdigest()
        if sha256 not in wanted:
            write(line)
            continue
        write(erased_line(sha256) + line[len(raw) :])
        yield number, sha256
