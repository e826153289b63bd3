"""How recorded queries change the results of a search: known answers change places, endorsed rise, rejected sink.

A query that no entry is within `max_distance` of is left exactly as it was. Otherwise, in one corpus:

1. *Change of places.* Answers that have entries are known; each has a likeness to the query (playbook_profiles.py).
   They are put into the order of `score + 4 · likeness + endorsement` and take the places (the scores) that they held
   together. An answer that no entry speaks of keeps its place: it does not lose for want of entries.
2. *Lift.* A known answer gains up to ½ by its likeness, from 0 at `1 − max_distance` on.
3. *Endorsement, rejection.* The nearest entry that speaks for an answer adds up to ¼, the nearest that speaks against
   it takes up to ¾: the square of its nearness (1 at no distance, 0 at `max_distance`), times its worth. An entry of
   the very same query (at most `SAME_QUERY` away) moves it by 1 more: all that retrieval can say.

Only the nearest entry counts for and against an answer, so a burst of entries from one source moves no answer further
than one entry does. docs/decisions/0021-playbooks-reorder-what-is-known.md has the numbers.

Belongs here: pure rules over arrays. Not here: likeness (see playbook_profiles.py), entries and evidence (see
playbook.py), candidates (see matrix.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.search_config import PlaybookConfig

Floats = NDArray[np.float32]
Answer = tuple[str | None, str]  # corpus (None: any) and id

LIKENESS_ORDER = 4.0
LIKENESS_FLOOR = 0.3
LIKENESS_LIFT = 0.5
ENDORSEMENT_LIFT = 0.25
REJECTION_LIFT = 0.75
SAME_QUERY = 0.02
# Answers that one source may name for the same query before its judgement is split among them.
ANSWERS_PER_QUERY = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a source said of an entry: −1 (failed) to 1 (worked), and how long ago."""

    source: str
    score: float
    age_days: float


class NearEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry near a query.

    `worth` is from −1 to 1 (see `worth_of`); `sources` are those that judged it; `query` is its own text.
    """

    playbook_id: str
    answer: Answer
    distance: float
    worth: float
    query: str
    sources: frozenset[str]


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What near entries say of an answer, for it and against it, and which entries these are.

    `endorsed` and `rejected` are from 0 to 1; `same` is from −1 to 1, what entries of the very same query say.
    """

    endorsed: float
    rejected: float
    same: float
    playbook_ids: tuple[str, ...]


def worth_of(judgements: Iterable[Judgement], *, half_life_days: float) -> float:
    """What an entry is worth, −1 to 1: each source's mean, faded by age, and their mean where there are several.

    A source counts once, however often it judges. The judgement of one source is halved after `half_life_days`; that of
    several lasts longer, since their faded weights are added before they are limited to 1.
    """
    by_source: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for judgement in judgements:
        fading = math.pow(0.5, max(judgement.age_days, 0.0) / half_life_days)
        by_source[judgement.source].append((judgement.score, fading))
    total = weight = 0.0
    for said in by_source.values():
        faded = sum(fading for _, fading in said)
        strength = max(fading for _, fading in said)
        total += strength * sum(score * fading for score, fading in said) / max(faded, 1e-12)
        weight += strength
    return total / max(weight, 1.0)


def choose_near(found: Sequence[NearEntry], *, config: PlaybookConfig) -> list[NearEntry]:
    """The entries that count: the `top_k` nearest within `max_distance`, from more than one source if possible.

    An entry that one source alone stands for takes a place only while that source holds less than half of them, as
    long as others want them: a burst from one source does not crowd out what others found.

    Args:
        found: Nearest entries, nearest first; a few times `top_k`, so that there is a choice.
        config: With `top_k` and `max_distance`.
    """
    near = [entry for entry in found if entry.distance <= config.max_distance and entry.worth != 0]
    if len(near) <= config.top_k:
        return near  # all of them fit
    share = max(1, config.top_k // 2)
    taken: dict[frozenset[str], int] = defaultdict(int)
    first: list[NearEntry] = []
    rest: list[NearEntry] = []
    for entry in near:
        is_crowding = len(entry.sources) == 1 and taken[entry.sources] >= share
        (rest if is_crowding else first).append(entry)
        taken[entry.sources] += 1
    chosen = first[: config.top_k]
    chosen += rest[: config.top_k - len(chosen)]
    return sorted(chosen, key=lambda entry: entry.distance)


def verdicts_of(near: Sequence[NearEntry], *, config: PlaybookConfig) -> dict[Answer, Verdict]:
    """What the chosen entries say, by answer.

    Args:
        near: From `choose_near`, nearest first.
        config: With `max_distance`, at which nearness ends.
    """
    by_answer: dict[Answer, list[NearEntry]] = defaultdict(list)
    for entry in near:
        by_answer[entry.answer].append(entry)
    splits = _splits(near) if len(by_answer) > ANSWERS_PER_QUERY else {}
    return {answer: _verdict(entries, splits, config) for answer, entries in by_answer.items()}


def _splits(near: Sequence[NearEntry]) -> dict[tuple[frozenset[str], str], float]:
    """What is left of the word of sources on a query for which they name many answers."""
    named: dict[tuple[frozenset[str], str], set[Answer]] = defaultdict(set)
    for entry in near:
        named[entry.sources, entry.query].add(entry.answer)
    return {key: min(1.0, ANSWERS_PER_QUERY / len(answers)) for key, answers in named.items()}


def _verdict(
    entries: Sequence[NearEntry], splits: Mapping[tuple[frozenset[str], str], float], config: PlaybookConfig
) -> Verdict:
    endorsed = rejected = same_for = same_against = 0.0
    for entry in entries:
        worth = entry.worth * splits.get((entry.sources, entry.query), 1.0) if splits else entry.worth
        value = worth * nearness(entry.distance, config.max_distance) ** 2
        endorsed, rejected = max(endorsed, value), max(rejected, -value)
        if entry.distance <= SAME_QUERY:
            same_for, same_against = max(same_for, worth), max(same_against, -worth)
    return Verdict(endorsed, rejected, same_for - same_against, tuple(entry.playbook_id for entry in entries))


def nearness(distance: float, max_distance: float) -> float:
    """1 at no distance, 0 at `max_distance` and beyond."""
    return max(0.0, 1 - max(distance, 0.0) / max_distance) if max_distance else float(distance <= 0)


def boosts_of(
    scores: Floats,
    verdicts: Mapping[int, Verdict],
    *,
    known: NDArray[np.int64],
    likeness: Floats,
    confidence: Floats,
    config: PlaybookConfig,
) -> Floats:
    """What playbooks add to the score of each candidate of one corpus.

    Args:
        scores: (n,) of the candidates without playbooks, the best about 1.
        verdicts: By place among them what near entries say.
        known: (m,) places of those whose answers have entries, ascending.
        likeness: (m,) of the query and the profiles of these, 0 to 1.
        confidence: (m,) what the profiles are worth, 0 to 1.
        config: With `boost`, which scales all, the change of places up to 1.

    Returns:
        (n,) to be added to `scores`; all 0 where no entry is near.
    """
    boosts = np.zeros(len(scores), np.float32)
    if not verdicts or config.boost == 0:
        return boosts
    said = np.zeros(len(scores), np.float32)
    for place, verdict in verdicts.items():
        said[place] = verdict.endorsed - verdict.rejected
        own = ENDORSEMENT_LIFT * verdict.endorsed - REJECTION_LIFT * verdict.rejected + verdict.same
        boosts[place] = config.boost * own
    if len(known):
        before = scores.take(known)
        above_floor, above_far = _above(likeness, config.max_distance)
        wanted = before + LIKENESS_ORDER * confidence * above_floor + said.take(known)
        # Their scores are dealt out anew, the best one to the most wanted.
        after = np.empty_like(before)
        after[(-wanted).argsort(kind="stable")] = np.sort(before)[::-1]
        lift = LIKENESS_LIFT * confidence * above_far
        boosts[known] += min(1.0, config.boost) * (after - before) + config.boost * lift
    return boosts


def _above(likeness: Floats, max_distance: float) -> Floats:
    """How far likeness is above `LIKENESS_FLOOR`, and above `1 − max_distance`: 0 up to there, rising to 1 at 1."""
    floors, spans = _floors(max_distance)
    above: Floats = likeness - floors
    above /= spans
    np.maximum(above, np.float32(0), out=above)
    np.minimum(above, np.float32(1), out=above)
    return above


@lru_cache(maxsize=64)
def _floors(max_distance: float) -> tuple[Floats, Floats]:
    floors = (LIKENESS_FLOOR, 1 - max_distance)
    spans = [max(1 - floor, 1e-6) for floor in floors]
    return np.array(floors, np.float32)[:, None], np.array(spans, np.float32)[:, None]
