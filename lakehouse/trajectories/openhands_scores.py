"""Published scores of the OpenHands index held against the rows that they are of.

`accuracy` is the share of rows that were resolved. It is also looked at over as many instances as the fullest file of
the benchmark has, those without a row counted as not resolved. `cost_per_instance` is the mean of the costs that are
there; also looked at over all rows. The rows do not say which instances are solvable: of `solveable_accuracy` the
published parts are held against each other and their sums against the rows.

Belongs here: what is counted, and how each figure is compared. Not here: verdicts (see published.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.trajectories.elements import Element, parse, read_members
from lakehouse.trajectories.openhands_index import outcome_of
from lakehouse.trajectories.published import Finding, judge
from lakehouse.trajectories.run import OpenFile, Plan, Unusable
from lakehouse.trajectories.values import a_list, an_object

_MOST_BYTES = 4 << 20
_SCORE_DECIMALS, _COST_DECIMALS = 1, 2


@dataclass(slots=True)
class Tally:
    """What the rows of one model on one benchmark add up to."""

    rows: int = 0
    resolved: int = 0
    unknown: int = 0
    costs: int = 0
    cost_usd: float = 0.0

    def take(self, resolved: bool | None, cost: float | None) -> None:
        """Add a row."""
        self.rows += 1
        self.resolved += resolved is True
        self.unknown += resolved is None
        if cost is not None:
            self.costs += 1
            self.cost_usd += cost


def check(plan: Plan, open_file: OpenFile) -> Iterator[Finding]:
    """Hold every `scores.json` of a plan against its rows, benchmark by benchmark.

    Raises:
        BadInput: A `scores.json` is no list of scores.
    """
    if not plan.references:
        return
    tallies = {(str(PurePosixPath(job.name).parent.parent), job.parts["benchmark"]): job.name for job in plan.jobs}
    counted = {place: _tally(name, open_file) for place, name in tallies.items()}
    fullest: dict[str, int] = {}
    for (_, benchmark), tally in counted.items():
        fullest[benchmark] = max(fullest.get(benchmark, 0), tally.rows)
    for name in plan.references:
        folder = PurePosixPath(name).parent
        for score in _scores(name, open_file):
            benchmark = str(score.get("benchmark"))
            tally = counted.get((str(folder), benchmark), Tally())
            yield from compare(score, tally, model=folder.name, instances=fullest.get(benchmark, 0))


def compare(score: Mapping[str, Any], tally: Tally, *, model: str, instances: int) -> Iterator[Finding]:
    """The findings of one entry of `scores.json`.

    Args:
        score: The entry.
        tally: What its rows add up to.
        model: Whose rows.
        instances: Rows of the fullest file of the benchmark.
    """
    of = model, str(score.get("benchmark"))
    published = score.get("score")
    if _is_number(published) and score.get("metric") == "accuracy":
        yield judge(
            (*of, "score"),
            published,
            100 * tally.resolved / tally.rows if tally.rows else None,
            least_decimals=_SCORE_DECIMALS,
            otherwise=list(_over(instances, tally)),
        )
    elif _is_number(published):
        yield from _components(of, published, score.get("component_scores"), tally)
    cost = score.get("cost_per_instance")
    if _is_number(cost):
        over_all = (
            [(tally.cost_usd / tally.rows, f"over all {counted(tally.rows, 'row')}, no cost being 0")]
            if tally.rows
            else []
        )
        yield judge(
            (*of, "cost_per_instance"),
            cost,
            tally.cost_usd / tally.costs if tally.costs else None,
            least_decimals=_COST_DECIMALS,
            otherwise=over_all,
        )


def _over(instances: int, tally: Tally) -> Iterator[tuple[float, str]]:
    if instances > tally.rows:
        missing = instances - tally.rows
        yield 100 * tally.resolved / instances, f"over {instances} instances; {missing} have no row and count as failed"
    if 0 < tally.unknown < tally.rows:
        known = tally.rows - tally.unknown
        yield 100 * tally.resolved / known, f"over the {counted(known, 'row')} saying whether they were resolved"


def _components(of: tuple[str, str], published: float, parts: Any, tally: Tally) -> Iterator[Finding]:
    names = ("solveable_resolved", "solveable_total", "unsolveable_resolved", "unsolveable_total")
    given = [parts.get(name) for name in names] if isinstance(parts, dict) else []
    counts = [float(count) for count in given if _is_number(count)]
    if len(counts) != len(names) or not counts[1]:
        note = "the rows do not say which instances are solvable, and the parts are not published"
        yield Finding(*of, "score", published, None, "cannot be recomputed", note)
        return
    resolved, total, other_resolved, other_total = counts
    yield judge((*of, "score"), published, 100 * resolved / total, least_decimals=_SCORE_DECIMALS)
    yield judge((*of, "resolved, both parts"), resolved + other_resolved, float(tally.resolved), least_decimals=0)
    yield judge((*of, "instances, both parts"), total + other_total, float(tally.rows), least_decimals=0)


def _tally(name: str, open_file: OpenFile) -> Tally:
    tally = Tally()
    with open_file(name) as stream:
        for element in read_members(stream):
            if isinstance(element, Element):
                try:
                    tally.take(*outcome_of(parse(element.raw)))
                except Unusable:
                    continue  # the import has refused it
    return tally


def _scores(name: str, open_file: OpenFile) -> list[dict[str, Any]]:
    with open_file(name) as stream:
        raw = stream.read(_MOST_BYTES)
    try:
        return [an_object(score, "a score") for score in a_list(parse(raw), "the document")]
    except Unusable as error:
        raise BadInput(f"{name}: {error}") from None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
