"""Profiles of answers: an answer with the queries it was endorsed for, as one vector and one set of words.

The likeness of a query to a profile is 0.7 · cosine + 0.3 · coverage: the cosine to the mean of the answer's own
embedding (as heavy as two entries) and those of its endorsed queries, or to its own alone where that is nearer (nobody
takes an answer away from its own words by endorsing it for others), and the share of the query's words, weighted by
their rarity in the corpus, that stand in the answer or in one of these queries.

Words are told apart by 31 bits of Python's hash, keyed anew in each process: that one of a query's words is taken for
one of two thousand others happens in one of 100,000 searches, and moves one likeness a little.

Source: Rocchio 1971, Relevance feedback in information retrieval (the vector); document expansion by queries, Nogueira
et al. 2019 (the words), with queries that really were asked.

Belongs here: making profiles, keeping them until an entry changes, likeness. Not here: how they are kept (see
profile_table.py), what likeness does (see playbook_scoring.py), entries (see playbook.py).
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
from lakehouse.retrieval.profile_table import NO_TERM, Profile, Profiles, ProfileTable
from lakehouse.retrieval.tokens import terms_of

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

COVERAGE_SHARE = 0.3
ANSWER_WEIGHT = 2.0
# One source weighs at most as much as so many entries, and so many entries of an answer are looked at, the best first.
SOURCE_WEIGHT = 8.0
MAX_ENTRIES = 64
# Until entries have faded by so little that a profile may stay as it is.
_DAY_S = 86_400.0
_MAX_AGE_S = _DAY_S
_TERM_BITS = (1 << 31) - 1
_LOWEST = (1 << 16) - 1
_FEW_TERMS = 200
# When more answers have changed since the last search, all profiles are made anew, as they are asked for.
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


EntriesOf = Callable[[str, str, datetime], Sequence[ProfileEntry]]
_NOBODY = Likeness(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))


class _Corpus:
    """The profiles of one corpus, for as long as its rows have the numbers that they have."""

    def __init__(self, corpus: CorpusView) -> None:
        self.numbering = weakref.ref(corpus.numbering)
        self.table = ProfileTable()
        self.touched: set[str] = set()
        self.asking = threading.Lock()


class AnswerProfiles:
    """Profiles by the rows of corpora, made when they are first asked for and again when an entry has changed.

    Args:
        entries_of: The endorsed entries of an answer of a corpus, as of a time.
        vectors: Has the vectors of entries.
        half_life_days: How soon a profile's confidence halves.
    """

    def __init__(self, entries_of: EntriesOf, vectors: EntryVectors, *, half_life_days: float) -> None:
        self._entries_of = entries_of
        self._vectors = vectors
        self._half_life_days = half_life_days
        self._corpora: dict[str, _Corpus] = {}

    def touch(self, answer_ids: Iterable[str]) -> None:
        """Say that entries of these answers have changed; call it after the change can be seen."""
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
                # The index of entries has moved its rows more than once: all profiles are made anew.
                kept.table = ProfileTable()
                return self._likeness(kept, query, answers, now)

    def _likeness(self, kept: _Corpus, query: AskedQuery, answers: AskedAnswers, now: datetime) -> Likeness:
        now_s = now.timestamp()
        self._forget_touched(kept, answers.corpus)
        slots = self._slots_of(kept.table, answers, now)
        places = (slots >= 0).nonzero()[0]
        if not len(places):
            return _NOBODY
        profiles = kept.table.gather(slots[places])
        of = profiles.of
        if of["made_at"].min() < now_s - _MAX_AGE_S:
            for row in answers.rows[places[of["made_at"] < now_s - _MAX_AGE_S]].tolist():
                kept.table.outdate(row)
            return self._likeness(kept, query, answers, now)
        products = profiles.weights * self._vectors.products_at(profiles.rows, query.vector)
        cosines = np.add.reduceat(products, profiles.first_rows)
        if answers.similarity is not None:
            own = answers.similarity[places]
            cosines = np.maximum((cosines + of["own"] * own) * of["scale"], own)
        else:
            cosines *= of["scale"]
        if query.term_weights:
            covered = _coverage(profiles, query.term_weights)
            cosines = np.float32(1 - COVERAGE_SHARE) * cosines + np.float32(COVERAGE_SHARE) * covered
        ages_days = np.maximum(now_s - of["made_at"], 0) / _DAY_S
        confidence = np.minimum(1, of["strength"] * 0.5 ** (ages_days / self._half_life_days))
        return Likeness(places, np.maximum(cosines, np.float32(0)), confidence.astype(np.float32))

    def _forget_touched(self, kept: _Corpus, corpus: CorpusView) -> None:
        if len(kept.touched) > _MOST_TOUCHED:
            kept.touched.clear()
            kept.table = ProfileTable()
        # Taken out one by one: what is touched meanwhile stays for the next search.
        for _ in range(len(kept.touched)):
            row = corpus.row_of(kept.touched.pop())
            if row is not None:
                kept.table.outdate(row)

    def _slots_of(self, table: ProfileTable, answers: AskedAnswers, now: datetime) -> NDArray[np.int64]:
        """Where the profiles of answers are, -1 without; those that are missing are made."""
        rows = answers.rows.tolist()
        slots = table.slots_of(rows)
        if None in slots:
            self._make(table, answers, [row for row, slot in zip(rows, slots, strict=True) if slot is None], now)
            slots = table.slots_of(rows)
        return np.array(slots, np.int64)

    def _make(self, table: ProfileTable, answers: AskedAnswers, rows: Sequence[int], now: datetime) -> None:
        corpus = answers.corpus
        numbers = np.array(rows, np.int64)
        entries: dict[int, Sequence[ProfileEntry]] = {}
        for row, answer_id in zip(rows, corpus.ids_of(numbers), strict=True):
            if found := self._entries_of(corpus.name, answer_id, now):
                entries[row] = found
            else:
                table.put(row, None)
        if not entries:
            return
        known = np.array(list(entries), np.int64)
        owns = None if answers.similarity is None else corpus.vectors_of(known)
        for n, (row, own_terms) in enumerate(self._own_terms(table, corpus, known).items()):
            own = None if owns is None else owns[n]
            table.put(row, self._profile(entries[row], own, own_terms, made_at=now.timestamp()))

    def _own_terms(self, table: ProfileTable, corpus: CorpusView, rows: Rows) -> dict[int, list[int]]:
        """The terms of the answers' own texts: a row's text never changes, so they are read once."""
        terms = {row: table.own_terms(row) for row in rows.tolist()}
        if unread := [row for row, some in terms.items() if not some]:
            for row, text in zip(unread, corpus.texts_of(np.array(unread, np.int64)), strict=True):
                terms[row] = list({hash(term) & _TERM_BITS for term in terms_of(text)})
        return terms

    def _profile(
        self, entries: Sequence[ProfileEntry], own: Floats | None, own_terms: list[int], *, made_at: float
    ) -> Profile:
        best = sorted(entries, key=lambda entry: -entry.worth)[:MAX_ENTRIES] if len(entries) > 1 else entries
        weights = _capped(best)
        rows = [entry.row for entry in best]
        vector = np.array(weights, np.float32) @ self._vectors.vectors_at(np.array(rows, np.int64))
        own_weight = 0.0
        if own is not None:
            own_weight = ANSWER_WEIGHT
            vector = vector + (ANSWER_WEIGHT / max(float(np.sqrt(own @ own)), 1e-9)) * own
        asked = {hash(term) & _TERM_BITS for entry in best for term in terms_of(entry.query)}
        return Profile(
            made_at,
            best[0].worth if len(best) == 1 else sum(entry.worth for entry in best),
            1 / max(float(np.sqrt(vector @ vector)), 1e-9),
            own_weight,
            rows,
            weights,
            [NO_TERM, *own_terms, *asked.difference(own_terms)],
            len(own_terms),
        )


def _coverage(profiles: Profiles, term_weights: Mapping[str, float]) -> Floats:
    """The share of the weight of the query's terms that each profile has."""
    keys = np.array([hash(term) & _TERM_BITS for term in term_weights], np.int32)
    shares = np.array(list(term_weights.values()), np.float32) / np.float32(sum(term_weights.values()))
    terms = profiles.terms
    # Few of thousands of terms are the query's: most are passed over by a look into a table at their lowest bits.
    lowest = keys & _LOWEST
    if len(keys) <= _FEW_TERMS and len(set(lowest.tolist())) == len(keys):
        places = np.zeros(_LOWEST + 1, np.uint8)
        places[lowest] = np.arange(1, len(keys) + 1)
        likely = places[terms & _LOWEST]
        at = likely.nonzero()[0]
        which = likely[at] - np.uint8(1)
    else:
        order = keys.argsort()
        keys, shares = keys[order], shares[order]
        at, which = np.arange(len(terms)), np.minimum(keys.searchsorted(terms), len(keys) - 1)
    is_it = keys[which] == terms[at]
    owners = profiles.first_terms.searchsorted(at[is_it], side="right") - 1
    return np.asarray(np.bincount(owners, shares[which[is_it]], len(profiles.of)), np.float32)


def _capped(entries: Sequence[ProfileEntry]) -> list[float]:
    """The weights of entries, those of one source held down together."""
    if len(entries) == 1:
        return [entries[0].worth * min(1.0, SOURCE_WEIGHT / entries[0].worth)]
    totals: dict[str, float] = defaultdict(float)
    for entry in entries:
        totals[entry.source] += entry.worth
    return [entry.worth * min(1.0, SOURCE_WEIGHT / totals[entry.source]) for entry in entries]
