"""Profiles of answers: an answer with the queries it was endorsed for, as one vector and one set of words.

The likeness of a query to a profile is 0.7 · cosine + 0.3 · coverage: the cosine to the mean of the answer's own
embedding (as heavy as two entries) and those of its endorsed queries, or to its own alone where that is nearer (nobody
takes an answer away from its own words by endorsing it for others), and the share of the query's words, weighted by
their rarity in the corpus, that stand in the answer or in one of these queries.

Source: Rocchio 1971, Relevance feedback in information retrieval (the vector); document expansion by queries, Nogueira
et al. 2019 (the words), with queries that really were asked.

Belongs here: making profiles, keeping them until an entry changes, likeness. Not here: what likeness does (see
playbook_scoring.py), entries (see playbook.py).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.tokens import terms_of

Floats = NDArray[np.float32]

COVERAGE_SHARE = 0.3
ANSWER_WEIGHT = 2.0
# One source weighs at most as much as so many entries, and so many entries of an answer are looked at, the best first.
SOURCE_WEIGHT = 8.0
MAX_ENTRIES = 64
# Until entries have faded by so little that a profile may stay as it is.
_DAY_S = 86_400.0
_MAX_AGE_S = _DAY_S


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """A query that an answer was endorsed for: its unit vector, its worth (above 0), who recorded it."""

    query: str
    vector: Floats
    worth: float
    source: str


@dataclass(frozen=True, slots=True)
class Description:
    """What an answer itself says: its text, and its vector where that is by the playbooks' own embedder."""

    text: str = ""
    vector: Floats | None = None


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A query: its unit embedding by the playbooks' embedder, and its terms with what each weighs in the corpus.

    Without terms (a corpus without text) the vector alone counts.
    """

    vector: Floats
    term_weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AskedAnswers:
    """Answers of one corpus and their rows; another row for an answer says that its text is another."""

    corpus: str
    ids: Sequence[str]
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Profile:
    vector: Floats
    own: Floats  # the answer's own vector, or the profile's where it has none of the playbooks' embedder
    terms: NDArray[np.int32]
    strength: float
    key: tuple[int, int]  # version of its entries, row of its answer
    made_at: float


EntriesOf = Callable[[str, str, datetime], Sequence[ProfileEntry]]
Describe = Callable[[list[int]], Sequence[Description]]


class AnswerProfiles:
    """Profiles by (corpus, answer id), made when they are first asked for and again when an entry has changed.

    Args:
        entries_of: The endorsed entries of an answer of a corpus, as of a time.
        half_life_days: How soon a profile's confidence halves.
    """

    def __init__(self, entries_of: EntriesOf, *, half_life_days: float) -> None:
        self._entries_of = entries_of
        self._half_life_days = half_life_days
        self._versions: dict[str, int] = {}
        self._profiles: dict[tuple[str, str], _Profile] = {}
        self._numbers: dict[str, int] = {}
        self._numbering = threading.Lock()

    def touch(self, answer_ids: Iterable[str]) -> None:
        """Say that entries of these answers have changed; call it after the change can be seen."""
        for answer_id in answer_ids:
            self._versions[answer_id] = self._versions.get(answer_id, 0) + 1

    def likeness(
        self, query: AskedQuery, answers: AskedAnswers, *, describe: Describe, now: datetime
    ) -> tuple[Floats, Floats]:
        """How like a query is to the profiles of some answers, and how much these are worth.

        Args:
            query: What was asked.
            answers: (n,) of one corpus.
            describe: Is given positions among the answers and says what those are; asked once for each new profile.
            now: The time now, aware.

        Returns:
            (n,) likeness from 0 to 1, NaN for an answer that no entry endorses, and (n,) confidence from 0 to 1.
        """
        likeness = np.full(len(answers.ids), np.nan, np.float32)
        confidence = np.zeros(len(answers.ids), np.float32)
        found = self._profiles_of(answers, describe, now)
        if not found:
            return likeness, confidence
        at, profiles = list(found), list(found.values())
        cosines = np.maximum(
            np.stack([profile.vector for profile in profiles]) @ query.vector,
            np.stack([profile.own for profile in profiles]) @ query.vector,
        )
        share = COVERAGE_SHARE if query.term_weights else 0.0
        likeness[at] = (1 - share) * cosines + share * self._coverage(profiles, query.term_weights)
        ages_days = (now.timestamp() - np.array([profile.made_at for profile in profiles])) / _DAY_S
        strengths = np.array([profile.strength for profile in profiles])
        confidence[at] = np.minimum(1, strengths * 0.5 ** (np.maximum(ages_days, 0) / self._half_life_days))
        return np.maximum(likeness, 0), confidence

    def _profiles_of(self, answers: AskedAnswers, describe: Describe, now: datetime) -> dict[int, _Profile]:
        """The profiles of those answers that have any, by position; missing and outdated ones are made."""
        found: dict[int, _Profile] = {}
        missing: list[int] = []
        oldest = now.timestamp() - _MAX_AGE_S
        for n, answer_id in enumerate(answers.ids):
            version = self._versions.get(answer_id)
            if version is None:
                continue
            profile = self._profiles.get((answers.corpus, answer_id))
            if profile is None or profile.key != (version, answers.rows[n]) or profile.made_at < oldest:
                missing.append(n)
            else:
                found[n] = profile
        for n, description in zip(missing, describe(missing) if missing else (), strict=True):
            answer_id = answers.ids[n]
            # The version first: a change while the profile is made leaves it outdated, and it is made again.
            key = (self._versions[answer_id], answers.rows[n])
            entries = self._entries_of(answers.corpus, answer_id, now)
            made = self._make(entries, description, key, made_at=now.timestamp())
            found[n] = self._profiles[answers.corpus, answer_id] = made
        return {n: profile for n, profile in found.items() if profile.strength > 0}

    def _make(
        self, entries: Sequence[ProfileEntry], description: Description, key: tuple[int, int], *, made_at: float
    ) -> _Profile:
        best = sorted(entries, key=lambda entry: -entry.worth)[:MAX_ENTRIES]
        if not best:
            nothing = np.empty(0, np.float32)
            return _Profile(nothing, nothing, np.empty(0, np.int32), 0.0, key, made_at)
        weights = _capped(best)
        vector = np.asarray(weights @ np.stack([entry.vector for entry in best]), np.float32)
        own = None
        if description.vector is not None and description.vector.shape == vector.shape:
            own = description.vector / max(float(np.linalg.norm(description.vector)), 1e-9)
            vector = vector + ANSWER_WEIGHT * own
        vector = vector / max(float(np.linalg.norm(vector)), 1e-9)
        terms = {term for text in (description.text, *(e.query for e in best)) for term in terms_of(text)}
        strength = float(sum(entry.worth for entry in best))
        return _Profile(vector, vector if own is None else own, self._number(terms), strength, key, made_at)

    def _number(self, terms: Iterable[str]) -> NDArray[np.int32]:
        numbers = self._numbers
        with self._numbering:
            return np.array(sorted(numbers.setdefault(term, len(numbers)) for term in terms), np.int32)

    def _coverage(self, profiles: Sequence[_Profile], term_weights: Mapping[str, float]) -> Floats:
        """The share of the weight of the query's terms that each profile has."""
        numbered = {self._numbers[term]: weight for term, weight in term_weights.items() if term in self._numbers}
        if not numbered:
            return np.zeros(len(profiles), np.float32)
        keys = np.array(sorted(numbered), np.int32)
        weights = np.array([numbered[key] for key in keys.tolist()]) / sum(term_weights.values())
        terms = np.concatenate([profile.terms for profile in profiles])
        owners = np.repeat(np.arange(len(profiles)), [len(profile.terms) for profile in profiles])
        at = np.minimum(np.searchsorted(keys, terms), len(keys) - 1)
        is_there = keys[at] == terms
        return np.asarray(np.bincount(owners[is_there], weights[at[is_there]], len(profiles)), np.float32)


def _capped(entries: Sequence[ProfileEntry]) -> Floats:
    """The weights of entries, those of one source held down together."""
    totals: dict[str, float] = defaultdict(float)
    for entry in entries:
        totals[entry.source] += entry.worth
    return np.array([e.worth * min(1.0, SOURCE_WEIGHT / totals[e.source]) for e in entries], np.float32)
