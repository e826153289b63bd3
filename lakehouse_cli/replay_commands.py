"""The commands `replay …`: past tasks are asked again, arms side by side, with a written verdict.

Belongs here: options and output. Not here: the work (see lakehouse/adapters/replay_batches.py), promotion (see
promotion_commands.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.replay_parts import ReplayParts, read_as_of, read_rules_file, read_utf8

if TYPE_CHECKING:
    from lakehouse.adapters.replay_batches import Done
    from lakehouse.replay.batch import Unit

replay = typer.Typer(help="Replay: past tasks asked again, under several arms.", no_args_is_help=True)
_OPEN = 1
BatchArgument = Annotated[str, typer.Argument(help="Id of a batch.")]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", exists=True, dir_okay=False, help="Rules of the verdict, YAML.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(replay, name="replay")


@replay.command("run")
def run(  # noqa: PLR0917 - Typer passes all by name
    tasks: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Tasks as JSON lines; by default those of evidence."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Most tasks.")] = 100,
    arms: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Arms, YAML; by default cold, playbook, pathways.")
    ] = None,
    proposal: Annotated[str | None, typer.Option(help="Try this proposal on held-out tasks instead.")] = None,
    candidate: Annotated[
        str | None, typer.Option(help="The arm that the verdict is about; by default the last.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="Read this cut: JSON, or a file; by default what is there.")] = None,
    seed: Annotated[int, typer.Option(help="Asked of models; the same seed gives the same answers.")] = 0,
    batch_id: Annotated[str | None, typer.Option("--batch", help="Id of the batch; by default a new one.")] = None,
    by: Annotated[str, typer.Option(help="Who begins it.")] = "operator",
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask tasks again under several arms; exit code 1: it stopped before its end, `resume` goes on."""
    from lakehouse.adapters.replay_batches import Asked
    from lakehouse.replay.arms import CURRENT, default_arms, read_arms
    from lakehouse.replay.task import read_tasks

    if proposal is not None and arms is not None:
        raise typer.BadParameter("a proposal brings its own arms", param_hint="--arms")
    parts = ReplayParts()
    if tasks is None:
        some = parts.past_tasks(most, is_held_out=proposal is not None)
        if not some:
            raise typer.BadParameter(
                "evidence has no task whose right answer is known; report outcomes (POST /v1/outcomes), then"
                " `lakehouse materialize` and `lakehouse score`, or name a file", param_hint="--tasks"
            )  # fmt: skip
    else:
        with tasks.open("rb") as file:
            some = read_tasks(file, name=tasks.name)[:most]
    if proposal is not None:
        chosen, baseline = parts.proposals.arms_of(parts.proposals.get(proposal)), CURRENT
    else:
        read = default_arms() if arms is None else read_arms(read_utf8(arms), name=arms.name)
        chosen, baseline = read.arms, read.baseline  # type: ignore[assignment]
    asked = Asked(
        some, chosen, baseline, candidate=candidate, as_of=read_as_of(as_of), seed=seed, batch_id=batch_id, by=by,
        proposal_id=proposal,
    )  # fmt: skip
    show = _Progress(len(some) * len(chosen), is_silent=as_json)
    _told(asyncio.run(parts.replays(read_rules_file(rules)).begin(asked, on_row=show)), as_json=as_json)


@replay.command("resume")
def resume(batch: BatchArgument, rules: RulesOption = None, as_json: JsonOption = False) -> None:
    """Go on with a batch that stopped or was killed; what was answered is not asked again."""
    replays = ReplayParts().replays(read_rules_file(rules))
    stored = replays.store.read(batch)
    left = len(stored.left(replays.store.done(batch)))
    show = _Progress(left, is_silent=as_json)
    _told(asyncio.run(replays.resume(batch, on_row=show)), as_json=as_json)


@replay.command("list")
def list_batches(as_json: JsonOption = False) -> None:
    """List batches, with their verdicts."""
    from lakehouse.adapters.replay_store import VERDICT
    from lakehouse.errors import LakehouseError

    store = ReplayParts().replays().store
    told = []
    for batch_id in store.batches():
        try:
            batch, verdict = store.read(batch_id), store.document(batch_id, VERDICT)
        except LakehouseError as error:  # one that is damaged hides no other
            typer.echo(f"{batch_id}: {error.detail}", err=True)
            continue
        row = {"batch_id": batch_id, "created_at": batch.created_at, "by": batch.by, "tasks": batch.tasks}
        told.append(row | {"arms": [arm.name for arm in batch.arms], "verdict": verdict and verdict["verdict"]})
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for one in told:
        said = str(one["verdict"] or "under way").replace("_", " ")
        tasks = counted(one["tasks"], "task")  # type: ignore[arg-type]
        typer.echo(f"{one['batch_id']}  {one['created_at']}  {tasks}  {'/'.join(one['arms'])}  {said}")  # type: ignore[arg-type]
    if not told:
        typer.echo("no replay yet; `lakehouse replay run` begins one", err=True)


@replay.command("show")
def show_batch(batch: BatchArgument, as_json: JsonOption = False) -> None:
    """Print the verdict of a batch."""
    from lakehouse.adapters.replay_store import VERDICT
    from lakehouse.errors import NotFound
    from lakehouse.replay.verdict import verdict_text

    store = ReplayParts().replays().store
    stored, verdict = store.read(batch), store.document(batch, VERDICT)
    if verdict is None:
        left = len(stored.left(store.done(batch)))
        raise NotFound(f"batch {batch!r} has {left:,} answers to go; go on with it: lakehouse replay resume {batch}")
    typer.echo(json.dumps(verdict, indent=2) if as_json else verdict_text(verdict))


@replay.command("verdict")
def decide(batch: BatchArgument, rules: RulesOption = None, as_json: JsonOption = False) -> None:
    """Decide a batch that has ended anew, under other rules; nothing is asked again."""
    from lakehouse.adapters.replay_store import VERDICT
    from lakehouse.errors import Conflict
    from lakehouse.replay.verdict import verdict_text

    replays = ReplayParts().replays(read_rules_file(rules))
    stored = replays.store.read(batch)
    has_ended = replays.store.objects.head(f"replay/{batch}/runs.parquet") is not None
    if not has_ended and replays.store.objects.head(f"replay/{batch}/{VERDICT}") is None:
        raise Conflict(f"batch {batch!r} has not ended; go on with it: lakehouse replay resume {batch}")
    verdict = replays.decide(stored, replays.store.tasks(stored))
    typer.echo(json.dumps(verdict, indent=2) if as_json else verdict_text(verdict))


@replay.command("judge")
def judge_batch(
    batch: BatchArgument,
    model: Annotated[str, typer.Option(help="The judge; best one of another maker than the arms' models.")],
    as_json: JsonOption = False,
) -> None:
    """Let a model compare the answers of both arms, blinded and in both orders; a judge alone promotes nothing."""
    from lakehouse.adapters.replay_judge import judge

    told = asyncio.run(judge(ReplayParts().replays(), batch, model=model))
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    counts = ", ".join(f"{name} {count}" for name, count in told["counts"].items())
    typer.echo(f"{counted(told['pairs'], 'pair')}: {counts}")
    if told["agreement"] is None:
        typer.echo("agreement with ground truth: no decided pair has a better answer that is known")
    else:
        typer.echo(f"agreement with ground truth: {told['agreement']:.0%} of {counted(told['known'], 'decided pair')}")
    if told["first_share"] is not None:
        typer.echo(f"it chose the first answer in {told['first_share']:.0%} of its choices")
    if told["is_same_lineage"]:
        typer.echo("the judge is of the same make as a model it judges; take another", err=True)


@replay.command("cut")
def cut(
    corpora: Annotated[list[str], typer.Argument(help="Corpora that tasks name.")],
) -> None:
    """Print what a replay would read now, for `--as-of`."""
    from datetime import timedelta

    from lakehouse.adapters.replay_memory import present_cut
    from lakehouse.catalog.service import Catalog

    parts = ReplayParts()
    catalog = Catalog(parts.objects, history=timedelta(days=parts.settings.history_days))
    present, _ = present_cut(parts.settings, parts.objects, catalog, corpora)
    typer.echo(json.dumps(present.to_document(), indent=2))


class _Progress:
    """A line on stderr for each row."""

    def __init__(self, total: int, *, is_silent: bool) -> None:
        self._total = total
        self._is_silent = is_silent
        self._count = 0

    def __call__(self, unit: Unit, row: Mapping[str, Any]) -> None:
        self._count += 1
        if self._is_silent:
            return

        from lakehouse.replay.row import outcome_text

        typer.echo(f"{self._count}/{self._total}  {row['task_id']}  {unit.arm}: {outcome_text(row)}", err=True)


def _told(done: Done, *, as_json: bool) -> None:
    from lakehouse.replay.verdict import verdict_text

    if done.verdict is None:
        stopped = "" if done.report is None else done.report.stopped_by
        batch_id = done.batch.batch_id
        typer.echo(
            f"stopped: {stopped}; what was answered is kept, go on with: lakehouse replay resume {batch_id}", err=True
        )
        raise typer.Exit(_OPEN)
    typer.echo(json.dumps(done.verdict, indent=2) if as_json else verdict_text(done.verdict))
