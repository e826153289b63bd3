"""The verdict of a batch: its arms side by side, the rule that decided, as a document and to be read.

Belongs here: from rows to `verdict.json` and `verdict.md`. Not here: the rules (see lakehouse/promotion), writing the
files (see lakehouse/adapters/replay_store.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from lakehouse.counted import counted
from lakehouse.promotion.comparison import ArmSummary, Comparison, Run, compare, summarize
from lakehouse.promotion.rules import PromotionRules, decide
from lakehouse.replay.batch import Batch, compared
from lakehouse.replay.row import is_done
from lakehouse.retrieval.evaluation import Interval

FORMAT_VERSION = 1
Runs = dict[str, dict[str, Run]]
"""By arm, the runs by task."""


def runs_of(rows: Iterable[Mapping[str, Any]]) -> Runs:
    """What a verdict needs of rows."""
    runs: Runs = {}
    for row in rows:
        match, validation = row.get("match"), row.get("validation")
        runs.setdefault(row["arm"], {})[row["task_id"]] = Run(
            exact=None if match is None else bool(match["exact"]),
            score=None if match is None else float(match["score"]),
            has_failed=row.get("error") is not None,
            is_unaskable=row.get("error") is not None and is_done(row),
            is_refused=validation is not None and not validation["passed"],
            cost_usd=row.get("cost_usd"),
            latency_ms=row.get("latency_ms"),
            error=_error(row.get("error")),
        )
    return runs


def decide_batch(
    batch: Batch,
    runs: Runs,
    rules: PromotionRules,
    *,
    shared_tasks: int = 0,
    proposals: int = 1,
    not_as_asked: int = 0,
    judged: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """The document of a verdict.

    Args:
        batch: Of which it is.
        runs: Of all its arms.
        rules: Those that decide.
        shared_tasks: How many of its tasks the proposal was made of.
        proposals: How many proposals are tried on its tasks, the one that it tries among them.
        not_as_asked: How many of its tasks are asked without what their runs may have been asked with.
        judged: Facts of a judge, where one was asked.

    Returns:
        `verdict, rule, rules_version, measure, reasons, candidate, baseline, interval, facts, arms, comparisons`, and
        what of the batch it is about.
    """
    measure = rules.measure
    base = (batch.baseline, runs.get(batch.baseline, {}))
    comparisons = {
        name: compare((name, runs.get(name, {})), base, measure=measure, shared_tasks=shared_tasks, proposals=proposals)
        for name in compared(batch)
    }
    mine = comparisons[batch.candidate]
    decision = decide(rules.replay, {**mine.facts, **(judged or {})}, version=rules.version)
    return {
        "format_version": FORMAT_VERSION,
        "batch_id": batch.batch_id,
        "verdict": decision.verdict,
        "rule": decision.rule,
        "rules_version": decision.rules_version,
        "reasons": list(decision.reasons),
        "measure": measure,
        "candidate": batch.candidate,
        "baseline": batch.baseline,
        "interval": None if mine.interval is None else asdict(mine.interval),
        "facts": dict(decision.facts),
        "arms": [_arm(summarize(arm.name, runs.get(arm.name, {}), measure=measure)) for arm in batch.arms],
        "configs": {arm.name: arm.config_version for arm in batch.arms},
        "comparisons": [_comparison(one) for one in comparisons.values()],
        "as_of": batch.cut.to_document(),
        "seed": batch.seed,
        "proposal_id": batch.proposal_id,
        "not_as_asked": not_as_asked,
    }


def verdict_json(document: Mapping[str, Any]) -> bytes:
    """The stored bytes."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def verdict_text(document: Mapping[str, Any]) -> str:
    """The verdict in Markdown."""
    verdict = str(document["verdict"]).replace("_", " ")
    share = "right answers" if document["measure"] == "exact" else "score"
    lines = [
        f"# Replay {document['batch_id']}: {verdict}",
        "",
        (
            f"**{document['candidate']}** against **{document['baseline']}**: {_difference(document, document)}"
            f" ({share}; 95 % interval, paired bootstrap over {counted(int(document['facts']['tasks']), 'task')})."
        ),
        "",
        f"Rule `{document['rule']}` of version {document['rules_version']}:",
        "",
        *(f"- {reason}" for reason in document["reasons"]),
        "",
        f"| arm | config | tasks | {share} | refused | failed | ms | USD |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
        *(_arm_line(arm, document["configs"][arm["arm"]]) for arm in document["arms"]),
        "",
        "| against the baseline | tasks | difference |",
        "| --- | ---: | --- |",
        *(
            f"| {one['candidate']} | {one['facts']['tasks']:g} | {_difference(document, one)} |"
            for one in document["comparisons"]
        ),
        "",
        *_error_lines(document["arms"]),
        *_judge_lines(document["facts"]),
        *_asked_lines(document, batch_tasks=max((arm["runs"] for arm in document["arms"]), default=0)),
        "Read as of:",
        "",
        "```json",
        orjson.dumps(document["as_of"], option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode(),
        "```",
        "",
    ]
    return "\n".join(lines)


def arm_interval(document: Mapping[str, Any], arm: str) -> tuple[Interval | None, int]:
    """An arm's own interval, and of how many tasks it is."""
    for one in document["arms"]:
        if one["arm"] == arm:
            held = one["interval"]
            return (None if held is None else Interval(**held)), int(one["measured"])
    return None, 0


def _arm(summary: ArmSummary) -> dict[str, Any]:
    return asdict(summary)


def _comparison(one: Comparison) -> dict[str, Any]:
    return asdict(one) | {"facts": dict(one.facts)}


def _arm_line(arm: Mapping[str, Any], config: str) -> str:
    cost = "unknown" if arm["cost_usd"] is None else f"{arm['cost_usd']:.6f}"
    took = "–" if arm["latency_ms"] is None else f"{arm['latency_ms']:,.0f}"
    return (
        f"| {arm['arm']} | {config} | {arm['measured']} of {arm['runs']} |"
        f" {_interval(arm['interval'], sign='') if not _is_silent(arm) else 'answered nothing'} |"
        f" {arm['refused']} | {arm['failed']} | {took} | {cost} |"
    )


def _interval(interval: Mapping[str, float] | None, *, sign: str = "+") -> str:
    if interval is None:
        return "no task with a known answer"
    mean, low, high = (100 * interval[name] for name in ("mean", "low", "high"))
    return f"{mean:{sign}.1f} % ({low:{sign}.1f} to {high:{sign}.1f})"


def _is_silent(arm: Mapping[str, Any]) -> bool:
    """Whether nobody answered any task of an arm."""
    return bool(arm["runs"]) and arm["failed"] == arm["runs"]


def _difference(document: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """The difference of a comparison, or which of its arms leaves nothing to compare."""
    sides = (one["candidate"], one["baseline"])
    silent = [arm["arm"] for arm in document["arms"] if arm["arm"] in sides and _is_silent(arm)]
    return f"nothing to compare, {' and '.join(silent)} answered nothing" if silent else _interval(one["interval"])


def _error(error: Mapping[str, Any] | None) -> str:
    return "" if error is None else f"{error.get('status', '')} {error.get('detail', '')}".strip()


def _error_lines(arms: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why tasks were not answered; a stored verdict of an earlier version does not know."""
    lines = [
        f"- {arm['arm']}, {counted(times, 'task')}: {' '.join(said.split())}"
        for arm in arms
        for said, times in arm.get("errors", ())
    ]
    return ["What was not answered, and why (the most frequent reasons of each arm):", "", *lines, ""] if lines else []


def _judge_lines(facts: Mapping[str, float | None]) -> list[str]:
    judged = facts.get("judged_tasks")
    if not judged:
        return []
    share, agreement = facts.get("judge_share"), facts.get("judge_agreement")
    known = (
        "no task of these has a known answer" if agreement is None else f"agrees with what is known in {agreement:.0%}"
    )
    told = "" if share is None else f", {share:.0%} for the candidate"
    return [
        (f"A judge decided {counted(int(judged), 'pair')}{told}; it {known}. A judge alone promotes nothing."),
        "",
    ]


def _asked_lines(document: Mapping[str, Any], *, batch_tasks: int) -> list[str]:
    """What of the tasks is not as it was; a stored verdict of an earlier version does not know."""
    lines = []
    if document.get("not_as_asked"):
        told = f"{document['not_as_asked']:,} of {counted(batch_tasks, 'task', 'repeats')} runs whose lines do not hold"
        without = "what they were asked with: they were asked without a filter, exclusions or validation"
        lines += [f"{told} {without}, which those runs may have had.", ""]
    if document["facts"].get("unaskable"):
        lines += [
            f"{counted(int(document['facts']['unaskable']), 'task')} could be asked of no arm; their rows say why.",
            "",
        ]
    return lines
