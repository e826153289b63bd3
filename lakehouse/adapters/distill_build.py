"""Building a corpus: from scored evidence in DuckDB to a folder of files, the same bytes for the same inputs.

Candidates are read once, in order; what passes the gates that look at one sample is staged on the disk, the others
compare arrays, and the files are written while the staged samples are read again.

Belongs here: the order of the steps, the accounts. Not here: each step (see the other distill_ modules and
lakehouse/distillation), uploading.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from lakehouse.adapters.distill_card import write_card, write_plots
from lakehouse.adapters.distill_held_out import held_out_sha256, read_held_out
from lakehouse.adapters.distill_judge import Judgement, judge
from lakehouse.adapters.distill_sources import Inputs, read_candidates, read_inputs
from lakehouse.adapters.distill_stage import Stage
from lakehouse.adapters.distill_writer import CorpusWriter
from lakehouse.adapters.spare_memory import give_back
from lakehouse.distillation.chunks import corpus_declaration
from lakehouse.distillation.known_names import KnownNames
from lakehouse.distillation.manifest import CODE_VERSION, BuildCounts, BuildInputs, BuildManifest, build_id_of
from lakehouse.distillation.parameters import SPLITS, CorpusParameters
from lakehouse.distillation.refusal import GATES, Refused, RefusedSample
from lakehouse.distillation.sample import Candidate, make_sample
from lakehouse.distillation.scrub import SampleScrub

if TYPE_CHECKING:
    import duckdb

MANIFEST, DECLARATION = "manifest.json", "corpus.yaml"
_GIVE_BACK_EVERY = 20_000


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build: its manifest, and the folder that holds it and every file it names."""

    manifest: BuildManifest
    folder: Path


@dataclass(slots=True)
class Tally:
    """Counts as they grow, for the manifest."""

    candidates: int = 0
    by_gate: Counter[str] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)
    by_form: Counter[str] = field(default_factory=Counter)
    by_source: Counter[str] = field(default_factory=Counter)
    by_licence: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    personal_samples: int = 0

    def counts(self, inputs: Inputs) -> BuildCounts:
        """The accounts in the end."""
        return BuildCounts(
            candidates=self.candidates,
            samples=self.by_split.total(),
            by_gate={gate: self.by_gate[gate] for gate in GATES},
            by_split={split: self.by_split[split] for split in SPLITS},
            by_form=_sorted(self.by_form),
            by_source=_sorted(self.by_source),
            by_licence=_sorted(self.by_licence),
            by_reason=_sorted(self.by_reason),
            by_verdict=inputs.verdicts,
            personal=_sorted(self.personal),
            personal_samples=self.personal_samples,
        )


def build_corpus(
    connection: duckdb.DuckDBPyConnection,
    params: CorpusParameters,
    target: Path,
    *,
    held_out: Path | None = None,
    names: Iterable[str] | None = None,
) -> Build:
    """Build a corpus.

    Args:
        connection: Holds the relations `evidence` and `scored`; its memory limit and folder for spilled data count.
        params: The parameters.
        target: Where the folder of the build is made, named by its id; one of that name is replaced.
        held_out: JSON lines that nothing may be trained on, or None.
        names: Full names of people to be scrubbed, as of a roster, or None.

    Returns:
        The manifest and the folder.

    Raises:
        NotFound: There is no file `held_out`.
        BadInput: A line of it has no text.
    """
    known = KnownNames(names) if names is not None else None
    seen = read_inputs(connection, params)
    inputs = BuildInputs(
        fingerprint=seen.fingerprint,
        runs=seen.runs,
        rules_versions=seen.rules_versions,
        held_out_sha256=None if held_out is None else held_out_sha256(held_out),
        names_fingerprint=None if known is None else known.fingerprint,
    )
    code_version = f"{CODE_VERSION} rensa/{version('rensa')}"
    build_id = build_id_of(params, code_version, inputs)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=f".{build_id}-") as work:
        made, staged = Path(work) / build_id, Path(work) / "staged"
        made.mkdir()
        staged.mkdir()
        tally = Tally()
        with CorpusWriter(made, params) as writer, Stage(staged) as stage:
            candidates = read_candidates(connection, params)
            _stage_samples(candidates, params, names=known, stage=stage, writer=writer, tally=tally)
            _stage_held_out(held_out, params, names=known, stage=stage)
            give_back()
            judgement = judge(stage, params)
            give_back()
            _write_samples(stage, judgement, writer, tally)
            tokens = stage.arrays().tokens
        counts = tally.counts(seen)
        rows = writer.rows()
        if params.kind == "rag":
            _write_declaration(made, build_id, rows)
        is_kept = judgement.gates == 0
        write_plots(made, counts, tokens[is_kept], judgement.splits[is_kept])
        files = write_card(made, build_id, params, inputs=inputs, counts=counts, rows=rows)
        manifest = BuildManifest(build_id, params, code_version, inputs, counts, files)
        (made / MANIFEST).write_bytes(manifest.to_bytes())
        folder = target / build_id
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    return Build(manifest, folder)


def _stage_samples(
    candidates: Iterable[Candidate],
    params: CorpusParameters,
    *,
    names: KnownNames | None,
    stage: Stage,
    writer: CorpusWriter,
    tally: Tally,
) -> None:
    """The gates that look at one sample."""
    for candidate in candidates:
        tally.candidates += 1
        if tally.candidates % _GIVE_BACK_EVERY == 0:
            give_back()
        try:
            sample = make_sample(candidate, params, names)
        except Refused as refused:
            tally.by_gate[refused.gate] += 1
            writer.refuse(RefusedSample(candidate.sample_id, candidate.origin.run_id, refused.gate, refused.reason))
            continue
        stage.add(sample)
    stage.flush()


def _stage_held_out(held_out: Path | None, params: CorpusParameters, *, names: KnownNames | None, stage: Stage) -> None:
    if held_out is None:
        return
    for texts in read_held_out(held_out, params.kind):
        scrub = SampleScrub(names, texts)
        stage.add_held_out([scrub.text(text) for text in texts] if params.is_scrubbed else texts)


def _write_samples(stage: Stage, judgement: Judgement, writer: CorpusWriter, tally: Tally) -> None:
    """Everything that passed goes into its files, the rest into the quarantine."""
    for place, sample in enumerate(stage.bodies()):
        gate = judgement.gate_of(place)
        if gate is not None:
            tally.by_gate[gate] += 1
            reason = _reason(place, gate, judgement, stage)
            writer.refuse(RefusedSample(sample["sample_id"], sample["origins"][0]["run_id"], gate, reason))
            continue
        split = SPLITS[judgement.splits[place]]
        writer.write(sample, split, stage.sample_id(int(judgement.clusters[place])))
        tally.by_split[split] += 1
        tally.by_form[sample["form"]] += 1
        tally.by_source[sample["source"]] += 1
        tally.by_licence[sample["licence"]] += 1
        tally.personal.update(sample["personal"])
        tally.personal_samples += bool(sample["personal"])
        if sample["reason"]:
            tally.by_reason[sample["reason"]] += 1


def _reason(place: int, gate: str, judgement: Judgement, stage: Stage) -> str:
    twin = int(judgement.twins[place])
    if gate == "task_limit":
        return "its task has as many samples as are allowed"
    if twin < 0:
        return "the same answer is labelled both ways"
    if twin >= len(stage):
        return f"likeness {judgement.likeness[place]:.2f} to text {twin - len(stage) + 1} of the file that is held out"
    other = f"likeness {judgement.likeness[place]:.2f} to sample {stage.sample_id(twin)}"
    return f"{other}, which is held out in {SPLITS[judgement.splits[twin]]}" if gate == "leakage" else other


def _write_declaration(folder: Path, build_id: str, rows: dict[str, int]) -> None:
    files = [name for name in sorted(rows) if name.startswith("chunks/") and name.endswith(".parquet")]
    declaration = corpus_declaration(build_id, files)
    (folder / DECLARATION).write_text(yaml.safe_dump(declaration, sort_keys=False, allow_unicode=True))


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
