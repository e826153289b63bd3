"""Code Review Bench: `evaluations.json` of one judge, with `candidates.json` and `golden_comments/*.json`.

- One run for each (pull request, tool): the tool's comments, the golden comments that people wrote, and which of them
  the judge holds for the same. The judge is a model: its judgement goes into `judgement`, with its name, and never into
  `reward`.
- The judge is `<judge>` of a path `results/<judge>/evaluations.json`, or has to be told: nothing in the files names it.
- Golden comments and candidates are looked up by pull request, so both are held, `MAX_HELD_BYTES` at the most;
  evaluations are streamed.

Belongs here: the form. Not here: what the counts add up to (see code_review_counts.py).

Source: https://github.com/withmartian/code-review-benchmark, `offline/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from lakehouse.errors import BadInput, TooLarge
from lakehouse.trajectories.elements import Element, parse, read_members, runs_of
from lakehouse.trajectories.ids import joined, quoted
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan, Run, Step, Unusable
from lakehouse.trajectories.values import a_list, a_text, an_object

EVALUATIONS = "evaluations.json"
CANDIDATES = "candidates.json"
GOLDEN = "golden_comments"
MAX_HELD_BYTES = 64 << 20
_SCHEMES = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Held:
    """What is looked up: candidates by pull request and tool, and the golden comments' entries by pull request."""

    candidates: Mapping[str, Any]
    golden: Mapping[str, Any]


def plan(names: Sequence[str]) -> Plan:
    """Each `evaluations.json` is a job, with the candidates beside it and all golden comments."""
    golden = [n for n in names if PurePosixPath(n).parent.name == GOLDEN and n.endswith(".json")]
    evaluations = [n for n in names if PurePosixPath(n).name == EVALUATIONS]
    taken = {*golden, *evaluations}
    jobs = []
    for name in evaluations:
        path = PurePosixPath(name)
        beside = [n for n in names if n == str(path.with_name(CANDIDATES))]
        taken.update(beside)
        parts = {"judge": path.parent.name} if path.parent.parent.name == "results" else {}
        jobs.append(Job(name, (name, *beside, *golden), parts))
    ignored = {"benchmark_data.json", "dedup_groups.json"}
    unknown = [n for n in names if n not in taken and PurePosixPath(n).name not in ignored]
    return Plan(tuple(jobs), unknown=tuple(unknown))


def read(job: Job, origin: Origin, open_file: OpenFile) -> Iterator[Step]:
    """The runs of one judge's evaluations.

    Raises:
        BadInput: Nothing names the judge.
        TooLarge: Candidates and golden comments are more than can be held.
    """
    judge = origin.judge or job.parts.get("judge")
    if judge is None:
        raise BadInput(
            f"{job.name}: nothing names the model that judged; say it, such as"
            " --judge anthropic/claude-sonnet-4-5-20250929"
        )
    held, told = hold(job, open_file), replace(origin, judge=judge)
    with open_file(job.name) as stream:
        for element in read_members(stream):
            name = element.name if isinstance(element, Element) else ""
            yield from runs_of(element, partial(_runs, pull_request=name, held=held, origin=told))


def hold(job: Job, open_file: OpenFile) -> Held:
    """Read what is looked up.

    Raises:
        TooLarge: It is more than `MAX_HELD_BYTES`.
        BadInput: A file is no JSON of its form.
    """
    left = MAX_HELD_BYTES
    candidates: dict[str, Any] = {}
    golden: dict[str, Any] = {}
    for name in job.files[1:]:
        with open_file(name) as stream:
            raw = stream.read(left + 1)
        left -= len(raw)
        if left < 0:
            raise TooLarge(f"{name}: candidates and golden comments have more than {MAX_HELD_BYTES >> 20} MiB together")
        try:
            if PurePosixPath(name).parent.name == GOLDEN:
                golden |= {e["url"]: e for e in a_list(parse(raw), name) if isinstance(e, dict) and "url" in e}
            else:
                candidates |= an_object(parse(raw), name)
        except Unusable as error:
            raise BadInput(f"{name} {error}") from None
    return Held(candidates, golden)


def _runs(value: Any, *, pull_request: str, held: Held, origin: Origin) -> Iterator[Run]:
    a_text(pull_request, "the pull request")
    for tool, given in an_object(value, "the pull request").items():
        evaluation = an_object(given, tool)
        if not all(isinstance(evaluation.get(k), list) for k in ("true_positives", "false_positives")):
            raise Unusable(f"{tool} has no true_positives and false_positives")
        yield _run(evaluation, pull_request, tool, held, origin)


def _run(evaluation: Mapping[str, Any], pull_request: str, tool: str, held: Held, origin: Origin) -> Run:
    entry = held.golden.get(pull_request, {})
    of_tools = held.candidates.get(pull_request)
    bare = pull_request
    for scheme in _SCHEMES:
        bare = bare.removeprefix(scheme)
    source = f"{origin.source}/{quoted(origin.judge or '')}"
    return Run(
        where=f"{pull_request}, {tool}",
        run_id=joined(source, bare, tool),
        task_id=joined(origin.source, bare),
        source=source,
        fields={
            "trial": 0,
            "reward": None,
            "messages": None,
            "tools": None,
            "model": tool,
            "provider": None,
            "role": "reviewer",
            "timestamp": None,
            "judgement": {"by": origin.judge, **_judgement(evaluation)},
            "pull_request": pull_request,
            "pr_title": entry.get("pr_title"),
            "golden_comments": entry.get("comments"),
            "candidates": of_tools.get(tool) if isinstance(of_tools, dict) else None,
            "repo_name": evaluation.get("repo_name"),
            "pr_url": evaluation.get("pr_url"),
        },
    )


def _judgement(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What the judge says, as it was published."""
    names = (
        "precision", "recall", "tp", "fp", "fn", "total_candidates", "total_golden", "skipped", "errors",
        "true_positives", "false_positives", "false_negatives",
    )  # fmt: skip
    return {name: evaluation.get(name) for name in names}
