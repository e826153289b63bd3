"""The answer: runs with their raw lines, each held against the bytes there are, and all that was made of each run.

It holds ids, keys, numbers, hashes and the reasons for which something was taken out, and no other text of anybody.

Belongs here: its parts, when it is sound. Not here: finding them (see lakehouse/adapters/lineage_reader.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.lineage.reference import Kind
from lakehouse.tables.reserved import MASK

Check: TypeAlias = Literal["verified", "differs", "gone", "erased"]
Status: TypeAlias = Literal["serves", "corrected", "duplicate", "retracted", "quarantined"]
Side: TypeAlias = Literal["origin", "other"]
CHECKS: dict[Check, str] = {
    "verified": "the bytes that lie there have this SHA-256",
    "differs": "other bytes lie there",
    "gone": "the object, or the line in it, is not there",
    "erased": "the line was erased on purpose; what stands in its place names this SHA-256",
}


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A raw line as it lies in the bucket: its SHA-256, and its first bytes."""

    sha256: str
    head: bytes


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line that a run was logged by.

    Attributes:
        source_key: The raw object.
        line: The line in it, from 1.
        sha256: What evidence was made of, hex.
        stream: The raw stream.
        status: Whether the record of it serves, and why not.
        check: How the bytes that lie there compare.
        found_sha256: SHA-256 of those, None where there are none.
        evidence_key: The file that has the record, None where there is none.
    """

    source_key: str
    line: int
    sha256: str
    stream: str
    status: Status
    check: Check
    found_sha256: str | None = None
    evidence_key: str | None = None


@dataclass(frozen=True, slots=True)
class RunScore:
    """A score, and the file that has it."""

    dt: date
    stream: str
    score: str
    rule: str
    rules_version: str
    record_sha256: str
    key: str


@dataclass(frozen=True, slots=True)
class PlacedSample:
    """A sample of a build that a run is in.

    Attributes:
        kind: Of the corpus.
        build_id: The build's.
        sample_id: The sample's.
        form: What it is in.
        split: Which one it is in.
        row: Where its first row is in the Parquet file of form and split, from 0.
        openai_row: The same for OpenAI's form, None where it has none.
        rows: How many rows it has.
        side: `other` where something else is preferred to this run.
        run_id: The run.
        sha256: Of the raw line that it was made of.
    """

    kind: str
    build_id: str
    sample_id: str
    form: str
    split: str
    row: int
    openai_row: int | None
    rows: int
    side: Side
    run_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ReceiptOf:
    """A receipt that tells of the making of something the run is in."""

    asset: str
    partition: str
    key: str


@dataclass(frozen=True, slots=True)
class RetractedBy:
    """An entry of the list of retractions that took a run out: by the run's id or for a subject, when, by whom, why."""

    kind: Literal["run", "subject"]
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class WithdrawnTrace:
    """A trace that was learned of a run and gives way: since when, why, or to which traces that revise it."""

    uid: str
    state: Literal["retired", "revised"]
    at: datetime | None
    reason: str | None = None
    revised_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What was remembered of a run: uids of traces, ids of playbook entries; and which of the traces serve no more."""

    pathways: tuple[str, ...] = ()
    playbooks: tuple[str, ...] = ()
    withdrawn: tuple[WithdrawnTrace, ...] = ()


@dataclass(frozen=True, slots=True)
class RunLineage:
    """Everything about one run.

    `is_truncated` says that it is in more samples than are listed, `retractions` why it serves no more where it was
    retracted.
    """

    run_id: str
    lines: tuple[RawLine, ...]
    scores: tuple[RunScore, ...] = ()
    samples: tuple[PlacedSample, ...] = ()
    receipts: tuple[ReceiptOf, ...] = ()
    memory: Memory = Memory()
    is_truncated: bool = False
    retractions: tuple[RetractedBy, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether a line of it serves and every one that is said to lie somewhere lies there as it was."""
        return any(line.status == "serves" for line in self.lines) and all(
            line.check == "verified" for line in self.lines
        )


@dataclass(frozen=True, slots=True)
class Lineage:
    """The answer.

    Attributes:
        asked: The id.
        kind: What it turned out to be.
        samples: Where it is a sample or a chunk: that sample in each build that has it, a row for each side.
        lines: Where it is a raw line of which no record was made: that line.
        runs: The runs behind it.
    """

    asked: str
    kind: Kind
    runs: tuple[RunLineage, ...]
    samples: tuple[PlacedSample, ...] = ()
    lines: tuple[RawLine, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether there are runs, and each of them is sound, and samples were made of the lines that serve."""
        return bool(self.runs) and all(run.is_sound for run in self.runs) and not list(self.outdated())

    def outdated(self) -> Iterable[PlacedSample]:
        """Samples that were asked for and were made of another line than the one that serves now."""
        serving = {(run.run_id, line.sha256) for run in self.runs for line in run.lines if line.status == "serves"}
        return (sample for sample in self.samples if (sample.run_id, sample.sha256) not in serving)

    def to_document(self, *, has_pii: bool) -> dict[str, Any]:
        """The wire form; reasons, which people wrote, are masked for who may not read personal data."""
        return {
            "id": self.asked,
            "kind": self.kind,
            "is_sound": self.is_sound,
            "samples": [asdict(sample) for sample in self.samples],
            "lines": [asdict(line) for line in self.lines],
            "runs": [_run_document(run, has_pii=has_pii) for run in self.runs],
        }


def check_line(sha256: str, found: FoundLine | None) -> Check:
    """Hold what evidence says of a line against what lies there.

    Args:
        sha256: What evidence was made of.
        found: What lies there; None: nothing.
    """
    if found is None:
        return "gone"
    if found.sha256 == sha256:
        return "verified"
    return "erased" if erased_sha256(found.head) == sha256 else "differs"


def erased_line(sha256: str) -> bytes:
    """What stands in the place of a line that was erased, without the LF."""
    return orjson.dumps({"erased": sha256})


def erased_sha256(line: bytes) -> str | None:
    """The SHA-256 of the line that was erased, where this is what stands in its place; else None."""
    if not line.startswith(b'{"erased":'):
        return None
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    value = said.get("erased")
    return value if set(said) == {"erased"} and isinstance(value, str) else None


def _run_document(run: RunLineage, *, has_pii: bool) -> dict[str, Any]:
    document = asdict(run)
    memory = document.pop("memory")
    for one in (*document["retractions"], *memory["withdrawn"]):
        one["at"] = None if one["at"] is None else format_utc(one["at"])
        if one["reason"] is not None and not has_pii:
            one["reason"] = MASK
    return {**document, **memory, "is_sound": run.is_sound}
