"""Retraction: a run, or all that speaks of a subject, serves no more, and what was made of it is made anew without it.

The list comes first: from then on nothing brings back what is on it. Then the index, the scores, the builds and memory
follow; killed in between, the same retraction again goes on from where it was.

Belongs here: the order, the receipt. Not here: the list (see lakehouse/catalog/retractions.py), where runs lie (see
retraction_places.py), removing bytes (see erasure.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.corpus_exports import MANIFEST, PREFIX
from lakehouse.adapters.distill_held_out import held_out_sha256
from lakehouse.adapters.evidence_lake import CURRENT, INDEX
from lakehouse.adapters.retraction_places import Held, builds_that_hold, find_held
from lakehouse.adapters.words import Words
from lakehouse.catalog.retractions import Retraction, RetractionList
from lakehouse.clock import utc_now
from lakehouse.counted import counted
from lakehouse.distillation.manifest import read_manifest
from lakehouse.errors import BadInput, Conflict, NotFound, Unavailable
from lakehouse.lineage.retracted import Place, RetractionReport
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt

if TYPE_CHECKING:
    from lakehouse.adapters.corpus_exports import CorpusExports
    from lakehouse.adapters.erasure import Eraser
    from lakehouse.adapters.evidence_index import EvidenceIndex
    from lakehouse.adapters.evidence_materializer import RunFacts
    from lakehouse.adapters.objects import S3Location
    from lakehouse.adapters.retracted_runs import RetractedRuns
    from lakehouse.adapters.scored_days import ScoredDays
    from lakehouse.storage.objects import ObjectStore

ASSET = "retractions"


@dataclass(frozen=True, slots=True)
class Followers:
    """What follows the list: the parts of the pipeline, and what is done about memory.

    Attributes:
        index: The index of evidence; it has to be given the retracted runs.
        scored: The scores.
        exports: The builds.
        fold_back: Brings memory up to the scores, gives how many entries were withdrawn; what speaks as it is told is
            withdrawn without its words. Raises `Unavailable`.
        forget: Takes what speaks of a subject out of memory, whoever put it there, gives how many entries; raises
            `Unavailable`.
        take_out: Deletes the chunks of runs from corpora, gives which had some.
        held_out: The file that builds held out, where one did.
    """

    index: EvidenceIndex
    scored: ScoredDays
    exports: CorpusExports
    fold_back: Callable[[Callable[[str], bool]], int]
    forget: Callable[[Words], int] = lambda _: 0
    take_out: Callable[[Sequence[str]], Iterable[Place]] = lambda _: ()
    held_out: Path | None = None


class Retractor:
    """Retracts in one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        retracted: What finds the runs of a subject.
        followers: What follows.
        work_dir: Local folder for temporary files.
        clock: The time now.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        retracted: RetractedRuns,
        followers: Followers,
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._retracted = retracted
        self._followers = followers
        self._work_dir = work_dir
        self._clock = clock

    def plan(self, retraction: Retraction) -> RetractionReport:
        """What a retraction would reach; nothing is changed.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        return self._plan(retraction)[0]

    def _plan(self, retraction: Retraction) -> tuple[RetractionReport, Held]:
        by_subject = retraction.kind == "subject"
        runs = tuple(self._retracted.of(retraction.value)) if by_subject else (retraction.value,)
        held = find_held(self._store, self._location, runs, work_dir=self._work_dir)
        report = RetractionReport(retraction.kind, retraction.value, is_dry=True, runs=runs)
        report.places += [
            Place(f"{line.source_key}:{line.line}", "stays as it is, and serves no more", line.sha256)
            for line in held.lines
        ]
        keys = dict.fromkeys(line.evidence_key for line in held.lines)
        report.places += [Place(key, "has records that are left out from now on") for key in keys]
        report.places += [Place(f"scored/dt={day}/", "is scored anew") for day in held.scores]
        report.places += [
            Place(f"{PREFIX}{entry}/", f"has {counted(sides, 'side')} of samples of it; is built anew, its files go")
            for entry, sides in held.builds.items()
        ]
        report.is_found = bool(report.places)
        return report, held

    def retract(self, retraction: Retraction, run: RunFacts, *, eraser: Eraser | None = None) -> RetractionReport:
        """Retract.

        Args:
            retraction: What, why and by whom.
            run: Who does it, for receipts.
            eraser: Removes the bytes, too; None: they stay.

        Raises:
            StoreUnavailable: The store does not answer; doing it again goes on from here.
        """
        started_at = self._clock()
        if eraser is not None:
            eraser.bring_up_to_date(run)
            self._followers.index.refresh()
        report, held = self._plan(retraction)
        report.is_dry = False
        report.is_new = RetractionList(self._store).add(retraction)
        self._follow(run)
        while held.builds:
            # A build that had begun before the list was written may have been published meanwhile, so builds are
            # searched again.
            self._rebuild(report, held.builds, run)
            left = builds_that_hold(self._store, self._location, report.runs, work_dir=self._work_dir)
            if left.keys() <= report.builds.keys():
                break
            held = Held(held.lines, held.scores, left)
        report.places += self._followers.take_out(report.runs)
        words = Words(retraction.value if retraction.kind == "subject" else None, report.runs)
        # Before bytes are erased, as withdrawing entries writes further lines to the memory log.
        report.places += self._in_memory(words, is_subject=retraction.kind == "subject")
        if eraser is not None:
            report.places += eraser.erase(held.lines, run, words)
            self._follow(run)
        receipt = self._receipt(retraction, report, run, started_at)
        write_receipt(self._store, receipt)
        report.receipt = receipt.key
        return report

    def _follow(self, run: RunFacts) -> None:
        """The index, then the scores, a day at a time so that memory stays small."""
        self._followers.index.refresh()
        for day in self._followers.scored.behind():
            self._followers.scored.score(run, [day])

    def _rebuild(self, report: RetractionReport, entries: dict[str, int], run: RunFacts) -> None:
        for entry in entries:
            if entry in report.builds:
                continue
            made: str | None = None
            try:
                made = self._build_anew(entry, run)
            except (BadInput, Conflict, NotFound) as error:
                what = f"could not be built anew, its files are gone: {error.detail}"
                report.places.append(Place(f"{PREFIX}{entry}/", what, is_open=True))
            report.builds[entry] = made
            removed = self._followers.exports.supersede(entry, by=made or "")
            report.places += [Place(key, "was removed") for key in removed]

    def _build_anew(self, entry: str, run: RunFacts) -> str:
        """The id of the build that takes the place of one."""
        before = read_manifest(self._store.get(f"{PREFIX}{entry}/{MANIFEST}").body)
        held_out = self._held_out(before.inputs.held_out_sha256)
        if before.inputs.names_fingerprint is not None:
            raise Conflict("names were scrubbed from it that are not in the bucket; export it with them")
        done = self._followers.exports.export(before.parameters, run, held_out=held_out, is_repair=True)
        if done.manifest.build_id == before.build_id:
            raise Unavailable(f"the scores behind {entry} have not followed yet; retract again", retry_after_s=5)
        return done.manifest.build_id

    def _held_out(self, sha256: str | None) -> Path | None:
        if sha256 is None:
            return None
        given = self._followers.held_out
        if given is None or held_out_sha256(given) != sha256:
            raise Conflict(
                f"it held out a file with SHA-256 {sha256[:12]}; give that as --held-out, or export it again"
            )
        return given

    def _in_memory(self, words: Words, *, is_subject: bool) -> Sequence[Place]:
        try:
            withdrawn = self._followers.fold_back(words.speak)
            forgotten = self._followers.forget(words) if is_subject else 0
        except Unavailable as error:
            what = f"was not reached ({error.detail}): retract again when it serves"
            return [Place("memory of the API", what, is_open=True)]
        what = f"was brought up to the scores: {counted(withdrawn, 'entry', 'was')} withdrawn"
        also = f", {forgotten:,} more that speak of it" if forgotten else ""
        return [Place("memory of the API", what + also)]

    def _receipt(
        self, retraction: Retraction, report: RetractionReport, run: RunFacts, started_at: datetime
    ) -> Receipt:
        """Every place: what was there as inputs, what took its place as outputs, what is left to do as errors."""
        said = hashlib.sha256(f"{retraction.kind}\n{retraction.value}".encode()).hexdigest()
        current = self._followers.index.read().partitions.get(CURRENT)
        index = None if current is None else current.file(INDEX)
        outputs = [] if index is None else [ReceiptItem(index.key, index.sha256, index.rows)]
        outputs += self._manifests(report)
        left = tuple(f"{place.key} {place.what}" for place in report.open_places)
        return Receipt(
            asset=ASSET,
            partition=f"{retraction.kind}-{said[:32]}",
            run_id=run.run_id,
            code_version="1",
            git_commit=run.git_commit,
            started_at=started_at,
            ended_at=self._clock(),
            inputs=tuple(ReceiptItem(place.key, place.sha256, None) for place in report.places if not place.is_open),
            outputs=tuple(outputs),
            counts=ReceiptCounts(taken=len(report.runs), new=len(report.runs)),
            errors=left,
            ok=not left,
        )

    def _manifests(self, report: RetractionReport) -> Sequence[ReceiptItem]:
        """The builds that took the place of others."""
        found = []
        for entry, made in report.builds.items():
            if made is not None:
                key = f"{PREFIX}{entry.partition('/')[0]}/{made}/{MANIFEST}"
                found.append(ReceiptItem(key, hashlib.sha256(self._store.get(key).body).hexdigest(), None))
        return list(dict.fromkeys(found))
