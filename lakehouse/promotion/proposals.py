"""Proposals: changes of the configs that what went well, and what did not, speaks for.

Each looks at runs on the seen side of the split that users have judged, and changes one thing by one step. Whether it
is better is not decided here: it is tried on tasks of the other side.

Belongs here: from observations to proposals. Not here: observations (see lakehouse/adapters/promotion_evidence.py),
trying (see lakehouse/replay), verdicts (see rules.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

LEAST_RUNS = 20
"""Fewer judged runs speak for nothing."""
_LEAST_GAIN = 0.05
_LAST_PLACE_SHARE = 0.2
_MOST_K = 20
_FEW_USED = 0.34
_FIRST_THRESHOLD = 0.3
_LEAST_BOOST, _MOST_BOOST = 0.1, 10.0
_WELL = 0.8


@dataclass(slots=True)
class Tally:
    """Judged runs of one kind: how many, and the sum of their outcomes, each 0 (failed) to 1 (worked)."""

    runs: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.runs += 1
        self.total += value

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.runs + other.runs, self.total + other.total)

    @property
    def mean(self) -> float:
        """Their mean; 0 without any."""
        return self.total / self.runs if self.runs else 0.0


@dataclass(slots=True)
class Observed:
    """What was seen of judged runs.

    Attributes:
        ranks: Of runs that worked: by the place of the record that was endorsed (from 1), how many.
        at_end: Of those, how many had it in the last place that was shown.
        shown: Records that were shown in them, in sum.
        used: Records of those that were endorsed.
        models: By model, as callers name it.
        versions: By version of the answer config.
        arms: By `playbook` and `holdout`.
        corpora: By the corpus that was asked and the one that was searched for it, where that was a single one.
        tasks: Keys of the questions that all this is of.
    """

    ranks: dict[int, int] = field(default_factory=dict)
    at_end: int = 0
    shown: int = 0
    used: int = 0
    models: dict[str, Tally] = field(default_factory=dict)
    versions: dict[int, Tally] = field(default_factory=dict)
    arms: dict[str, Tally] = field(default_factory=dict)
    corpora: dict[tuple[str, str], Tally] = field(default_factory=dict)
    tasks: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change, and what speaks for it.

    Attributes:
        proposal_id: Of the change and what it is made over; the same change is proposed once.
        name: As it is told.
        answer: Fields of the answer config.
        search: Fields of the search config.
        over: The versions that it is made over, as answers name them.
        reasons: What speaks for it.
        tasks: Keys of the questions that it is made of.
    """

    proposal_id: str
    name: str
    answer: Mapping[str, Any]
    search: Mapping[str, Any]
    over: str
    reasons: tuple[str, ...]
    tasks: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves.

    Attributes:
        answer: The document of the answer config.
        search: Of the search config.
        answer_version: The answer config's version.
        over: Both versions, as answers name them.
        default_model: The model behind an empty `model`.
        embedders: By corpus, the name of its embedder.
        twins: By corpus, those that hold the same rows under another embedder.
    """

    answer: Mapping[str, Any]
    search: Mapping[str, Any]
    answer_version: int
    over: str
    default_model: str
    embedders: Mapping[str, str] = field(default_factory=dict)
    twins: Mapping[str, Sequence[str]] = field(default_factory=dict)


def propose(seen: Observed, serving: Serving, *, prompts: Mapping[int, str]) -> list[Proposal]:
    """What could be better.

    Args:
        seen: Of runs under any config.
        serving: What serves.
        prompts: System prompts by version of the answer config.
    """
    found = [*_of_k(seen, serving), *_of_threshold(seen, serving), *_of_boost(seen, serving)]
    found += [*_of_model(seen, serving), *_of_prompt(seen, serving, prompts), *_of_embedder(seen, serving)]
    tasks = tuple(sorted(seen.tasks))
    return [_proposal(change, serving, tasks) for change in found]


_Change = tuple[str, dict[str, Any], dict[str, Any], str]


def _of_k(seen: Observed, serving: Serving) -> Iterator[_Change]:
    runs, k = sum(seen.ranks.values()), int(serving.answer["k"])
    if runs < LEAST_RUNS:
        return
    if seen.at_end / runs >= _LAST_PLACE_SHARE and k < _MOST_K:
        more = min(k + 2, _MOST_K)
        share = f"{seen.at_end / runs:.0%}"
        yield f"k_{more}", {"k": more}, {}, f"in {share} of {runs} runs that worked, the record stood in the last place"
        return
    needed, counted = 0, 0
    for rank in sorted(seen.ranks):
        needed, counted = rank, counted + seen.ranks[rank]
        if counted >= 0.95 * runs:
            break
    if needed < k:
        yield f"k_{needed}", {"k": needed}, {}, f"in 95 % of {runs} runs that worked, the first {needed} were enough"


def _of_threshold(seen: Observed, serving: Serving) -> Iterator[_Change]:
    runs = sum(seen.ranks.values())
    if runs < LEAST_RUNS or not seen.shown or serving.search["relevance_threshold"] >= _FIRST_THRESHOLD:
        return
    if (share := seen.used / seen.shown) <= _FEW_USED:
        change = {"relevance_threshold": _FIRST_THRESHOLD}
        yield "relevance", {}, change, f"of what was shown in {runs} runs that worked, {share:.0%} was what worked"


def _of_boost(seen: Observed, serving: Serving) -> Iterator[_Change]:
    with_, without = seen.arms.get("playbook", Tally()), seen.arms.get("holdout", Tally())
    if min(with_.runs, without.runs) < LEAST_RUNS:
        return
    gain, boost = with_.mean - without.mean, float(serving.search["playbook"]["boost"])
    if abs(gain) < _LEAST_GAIN:
        return
    changed = round(boost * (1.5 if gain > 0 else 0.5), 3)
    if _LEAST_BOOST <= changed <= _MOST_BOOST:
        told = f"with playbooks {gain:+.0%} of runs worked ({with_.runs} against {without.runs} of the hold-out)"
        yield f"boost_{'up' if gain > 0 else 'down'}", {}, {"playbook": {"boost": changed}}, told


def _of_model(seen: Observed, serving: Serving) -> Iterator[_Change]:
    mine = str(serving.answer["model"] or serving.default_model)
    now = seen.models.get(mine) or seen.models.get(f"embedded/{mine}")
    others = {name: one for name, one in seen.models.items() if name not in {mine, f"embedded/{mine}"}}
    better = _best(others, now)
    if better is not None and now is not None:
        told = f"{better} did {others[better].mean - now.mean:+.0%} over {others[better].runs} judged runs"
        yield "model", {"model": better}, {}, told


def _of_prompt(seen: Observed, serving: Serving, prompts: Mapping[int, str]) -> Iterator[_Change]:
    now = seen.versions.get(serving.answer_version)
    others = {str(number): one for number, one in seen.versions.items() if number != serving.answer_version}
    better = _best(others, now)
    if better is None or now is None:
        return
    prompt = prompts.get(int(better))
    if prompt is not None and prompt != serving.answer["system"]:
        told = (
            f"under answer/{better} {others[better].mean - now.mean:+.0%} of {others[better].runs} judged runs worked"
        )
        yield f"prompt_of_{better}", {"system": prompt}, {}, told


def _of_embedder(seen: Observed, serving: Serving) -> Iterator[_Change]:
    """An embedder is a corpus's own: a corpus of the same rows under another one is searched in its place.

    One that is known to do better is proposed; one that hardly anybody has judged yet, where what serves fails often.
    """
    changes: Mapping[str, str] = serving.answer["corpora"]
    for asked in sorted(serving.twins):
        searched = changes.get(asked, asked)
        now = seen.corpora.get((asked, searched), Tally())
        if now.runs < LEAST_RUNS:
            continue
        for twin in sorted({asked, *serving.twins[asked]} - {searched}):
            if serving.embedders.get(twin) == serving.embedders.get(searched):
                continue
            known = sum((one for (_, name), one in seen.corpora.items() if name == twin), Tally())
            if known.runs >= LEAST_RUNS and known.mean - now.mean >= _LEAST_GAIN:
                told = f"{twin} did {known.mean - now.mean:+.0%} over {known.runs} judged runs"
            elif known.runs < LEAST_RUNS and now.mean < _WELL:
                told = f"of {now.runs} judged runs over {searched}, {now.mean:.0%} worked, and {twin} is hardly tried"
            else:
                continue
            corpora = {name: one for name, one in changes.items() if name != asked}
            corpora |= {} if twin == asked else {asked: twin}
            reason = f"{told}: the same rows under {serving.embedders[twin]} in place of {serving.embedders[searched]}"
            yield f"embedder_of_{asked}_{serving.embedders[twin]}", {"corpora": corpora}, {}, reason


def twins_of(corpora: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """By corpus, those that can be searched in its place: of the same dataset, with all its fields, otherwise embedded.

    Args:
        corpora: What each says of itself, as its pointer's `info`.
    """
    same = ("dataset", "id_column", "chunking")
    return {
        name: [
            other
            for other, its in sorted(corpora.items())
            if info.get("dataset") is not None
            and all(its.get(member) == info.get(member) for member in same)
            and its.get("embedder") != info.get("embedder")
            and set(info.get("metadata_columns", ())) <= set(its.get("metadata_columns", ()))
        ]
        for name, info in corpora.items()
    }


def _best(others: Mapping[str, Tally], now: Tally | None) -> str | None:
    """The best of the others, where it is better than what serves and both are known well enough."""
    known = {name: one for name, one in others.items() if one.runs >= LEAST_RUNS}
    if now is None or now.runs < LEAST_RUNS or not known:
        return None
    best = max(sorted(known), key=lambda name: known[name].mean)
    return best if known[best].mean - now.mean >= _LEAST_GAIN else None


def _proposal(change: _Change, serving: Serving, tasks: tuple[str, ...]) -> Proposal:
    name, answer, search, reason = change
    said = orjson.dumps([answer, search, serving.over], option=orjson.OPT_SORT_KEYS)
    proposal_id = f"p-{hashlib.sha256(said).hexdigest()[:16]}"
    return Proposal(proposal_id, name, answer, search, serving.over, (reason,), tasks)
