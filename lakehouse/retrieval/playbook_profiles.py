"""Profiles of answers: an answer with the queries it was endorsed for, as one vector and one set of words.

The likeness of a query to a profile is 0.7 · cosine + 0.3 · coverage: the cosine to the mean of the answer's own
embedding (as heavy as two entries) and those of its endorsed queries, or to its own alone where that is nearer (nobody
takes an answer away from its own words by endorsing it for others), and the share of the query's words, weighted by
their rarity in the corpus, that stand in the answer or in one of these queries.

Source: Rocchio 1971, Relevance feedback in information retrieval (the vector); document expansion by queries, Nogueira
et al. 2019 (the words), with queries that really were asked.

Belongs here: making profiles, keeping them until an entry changes, likeness. Not here: how they are kept (see
profile_table.py), words as numbers (see term_numbers.py), what likeness does (see playbook_scoring.py), entries (see
playbook.py).
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import NotFound
from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.profile_table import Earlier, Profile, ProfileTable
from lakehouse.retrieval.row_slots import UNKNOWN, Slots
from lakehouse.retrieval.term_numbers import coverage, numbers_of

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

COVERAGE_SHARE = 0.3
ANSWER_WEIGHT = 2.0
# The most that one source weighs, in entries, and the most entries of an answer that are used, the best first.
SOURCE_WEIGHT = 8.0
MAX_ENTRIES = 64
# Age up to which a profile is kept, as its entries have hardly faded.
_DAY_S = 86_400.0
_MAX_AGE_S = _DAY_S
# When more answers have changed since the last search, all profiles are dropped and made anew when needed.
_MOST_TOUCHED = 4096


class ProfileEntry(msgspec.Struct, frozen=True, gc=False):
    """A query that an answer was endorsed for: its worth (above 0), who recorded it, where its unit vector is."""

    query: str
    worth: float
    source: str
    row: int


class EntryVectors(Protocol):
    """The vectors of entries by their rows; `NotFound` where one is gone."""

    def vectors_at(self, rows: Rows) -> Floats: ...

    def products_at(self, rows: Rows, vector: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A query: its unit embedding by the playbooks' embedder, and its terms with what each weighs in the corpus.

    Without terms (a corpus without text) the vector alone counts.
    """

    vector: Floats
    term_weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AskedAnswers:
    """Answers of one corpus.

    Attributes:
        corpus: Which.
        rows: (n,) theirs; another row for an answer says that its text is another.
        similarity: (n,) cosines of the query and the answers' own vectors; None where the corpus's are of another
            embedder than the playbooks'.
    """

    corpus: CorpusView
    rows: Rows
    similarity: Floats | None


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of those of some answers that entries endorse: (m,) places, likeness from 0 to 1, confidence from 0 to 1."""

    places: Rows
    likeness: Floats
    confidence: Floats


EntriesOf = Callable[[str, Sequence[str], datetime], Mapping[str, Sequence[ProfileEntry]]]
_NOBODY = Likeness(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))


class _Corpus:
    """The profiles of one corpus, for as long as its rows have the numbers that they have."""

    def __init__(self, corpus: CorpusView) -> None:
        self.numbering = weakref.ref(corpus.numbering)
        self.table = ProfileTable()
        self.touched: set[str] = set()
        self.asking = threading.Lock()


class AnswerProfiles:
    """Profiles by the rows of corpora, made at first use and again after a change of their entries.

    Args:
        entries_of: The endorsed entries of answers of a corpus, as of a time, by the answers' ids; most have none.
        vectors: Has the vectors of entries.
        half_life_days: How soon a profile's confidence halves.
    """

    def __init__(self, entries_of: EntriesOf, vectors: EntryVectors, *, half_life_days: float) -> None:
        self._entries_of = entries_of
        self._vectors = vectors
        self._half_life_days = half_life_days
        self._corpora: dict[str, _Corpus] = {}

    def touch(self, answer_ids: Iterable[str]) -> None:
        """Note that entries of these answers have changed; call it after the change is visible."""
        ids = list(answer_ids)
        for name, kept in tuple(self._corpora.items()):
            if kept.numbering() is None:
                self._corpora.pop(name, None)
            kept.touched.update(ids)

    def likeness(self, query: AskedQuery, answers: AskedAnswers, *, now: datetime) -> Likeness:
        """How like a query is to the profiles of some answers, and how much these are worth.

        Args:
            query: What was asked.
            answers: Of one corpus.
            now: The time now, aware.
        """
        kept = self._corpora.get(answers.corpus.name)
        if kept is None or kept.numbering() is not answers.corpus.numbering:
            kept = self._corpora[answers.corpus.name] = _Corpus(answers.corpus)
        with kept.asking:
            try:
                return self._likeness(kept, query, answers, now)
            except NotFound:
                # The index of entries has been compacted more than once, so all profiles are made anew.
                kept.table = ProfileTable()
                return self._likeness(kept, query, answers, now)

    def _likeness(self, kept: _Corpus, query: AskedQuery, answers: AskedAnswers, now: datetime) -> Likeness:
        now_s = now.timestamp()
        self._forget_touched(kept, answers.corpus)
        slots = self._slots_of(kept.table, answers, now)
        places = (slots >= 0).nonzero()[0]
        if not len(places):
            return _NOBODY
        profiles = kept.table.gather(slots.take(places))
        of = profiles.of
        made_at = of["made_at"]
        if made_at.min() < now_s - _MAX_AGE_S:
            for row in answers.rows[places[made_at < now_s - _MAX_AGE_S]].tolist():
                kept.table.outdate(row)
            return self._likeness(kept, query, answers, now)
        products = profiles.weights * self._vectors.products_at(profiles.rows, query.vector)
        cosines = np.add.reduceat(products, profiles.first_rows)
        if answers.similarity is not None:
            own = answers.similarity.take(places)
            cosines = np.maximum((cosines + of["own"] * own) * of["scale"], own)
        else:
            cosines *= of["scale"]
        if query.term_weights:
            covered = coverage(profiles.terms, profiles.first_terms, query.term_weights)
            cosines = np.float32(1 - COVERAGE_SHARE) * cosines + np.float32(COVERAGE_SHARE) * covered
        ages_days = np.maximum(now_s - made_at, 0) / _DAY_S
        confidence = np.minimum(1, of["strength"] * 0.5 ** (ages_days / self._half_life_days))
        return Likeness(places, np.maximum(cosines, np.float32(0)), confidence.astype(np.float32))

    def _forget_touched(self, kept: _Corpus, corpus: CorpusView) -> None:
        if len(kept.touched) > _MOST_TOUCHED:
            kept.touched.clear()
            kept.table = ProfileTable()
        # Removed one by one, so that answers that are touched meanwhile stay for the next search.
        for _ in range(len(kept.touched)):
            row = corpus.row_of(kept.touched.pop())
            if row is not None:
                kept.table.outdate(row)

    def _slots_of(self, table: ProfileTable, answers: AskedAnswers, now: datetime) -> Slots:
        """Where the profiles of answers are, below 0 without; those that are missing are made."""
        table.tidy()
        slots = table.slots_of(answers.rows)
        missing = (slots == UNKNOWN).nonzero()[0]
        if len(missing):
            made = self._make(answers, missing, table, now)
            table.put_nothing(answers.rows[[place for place in missing.tolist() if place not in made]])
            for place, profile in made.items():
                slots[place] = table.put(int(answers.rows[place]), profile)
        return slots

    def _make(self, answers: AskedAnswers, places: Rows, table: ProfileTable, now: datetime) -> dict[int, Profile]:
        """Make the profiles of those of the answers at some places that have entries; by place."""
        corpus, ids = answers.corpus, answers.corpus.ids_of(answers.rows[places])
        entries = self._entries_of(corpus.name, ids, now)
        if not entries:
            return {}
        having = {place: entries[i] for place, i in zip(places.tolist(), ids, strict=True) if entries.get(i)}
        if not having:
            return {}
        known = answers.rows[list(having)]
        owns = [None] * len(known) if answers.similarity is None else corpus.vectors_of(known)
        made = zip(having.items(), owns, self._earlier(table, corpus, known), strict=True)
        return {
            place: self._profile(some, own, earlier, made_at=now.timestamp()) for (place, some), own, earlier in made
        }

    def _earlier(self, table: ProfileTable, corpus: CorpusView, rows: Rows) -> list[Earlier]:
        """What earlier profiles tell without their entries: a row's text never changes, so its terms are read once."""
        known = {row: table.earlier(row) for row in rows.tolist()}
        if unread := [row for row, earlier in known.items() if earlier is None]:
            for row, text in zip(unread, corpus.texts_of(np.array(unread, np.int64)), strict=True):
                own = list(numbers_of(text))
                known[row] = Earlier((), own, len(own))
        return [earlier for earlier in known.values() if earlier is not None]

    def _profile(
        self, entries: Sequence[ProfileEntry], own: Floats | None, earlier: Earlier, *, made_at: float
    ) -> Profile:
        best = sorted(entries, key=lambda entry: -entry.worth)[:MAX_ENTRIES] if len(entries) > 1 else entries
        weights = np.array(_capped(best), np.float32)
        rows = np.array([entry.row for entry in best], np.int64)
        vector = weights @ self._vectors.vectors_at(rows)
        own_weight = 0.0
        if own is not None:
            own_weight = ANSWER_WEIGHT
            vector = vector + (ANSWER_WEIGHT / max(float(np.sqrt(own @ own)), 1e-9)) * own
        return Profile(
            made_at,
            best[0].worth if len(best) == 1 else sum(entry.worth for entry in best),
            1 / max(float(np.sqrt(vector @ vector)), 1e-9),
            own_weight,
            rows,
            weights,
            _terms(best, earlier),
            earlier.own_terms,
        )


def _terms(entries: Sequence[ProfileEntry], earlier: Earlier) -> list[int]:
    """The terms of the answer's text and of the entries' queries; where none has gone, only the new ones are read."""
    terms, read = earlier.terms, set(earlier.rows)
    if not read.issubset([entry.row for entry in entries]):
        terms, read = terms[: earlier.own_terms], set()
    asked = set[int]().union(*(numbers_of(entry.query) for entry in entries if entry.row not in read))
    return [*terms, *asked.difference(terms)]


def _capped(entries: Sequence[ProfileEntry]) -> list[float]:
    """The weights of entries, those of one source held down together."""
    if len(entries) == 1:
        return [entries[0].worth * min(1.0, SOURCE_WEIGHT / entries[0].worth)]
    totals: dict[str, float] = defaultdict(float)
    for entry in entries:
        totals[entry.source] += entry.worth
    return [entry.worth * min(1.0, SOURCE_WEIGHT / totals[entry.source]) for entry in entries]
