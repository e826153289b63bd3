"""What playbooks do to one search: which answers they bring in, which rise and which sink, and by which entries.

Belongs here: from the entries and a corpus's candidates to lifts. Not here: the rules (see playbook_scoring.py),
likeness (see playbook_profiles.py), entries (see playbook.py), what a lift does to the order (see matrix.py).
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.playbook import PlaybookBook
from lakehouse.retrieval.playbook_entry import Evidence, PlaybookEntry
from lakehouse.retrieval.playbook_index import Nearby
from lakehouse.retrieval.playbook_profiles import AnswerProfiles, AskedAnswers, AskedQuery, ProfileEntry
from lakehouse.retrieval.playbook_scoring import (
    Answer,
    Judgement,
    NearEntry,
    Verdict,
    boosts_of,
    choose_near,
    verdicts_of,
    worth_of,
)
from lakehouse.retrieval.search_config import PlaybookConfig

Floats = NDArray[np.float32]
FoundEntry = tuple[float, PlaybookEntry]
_DAY_S = 86_400.0
# Entries that are looked at for each of the `top_k` that count, so that one source cannot take all places.
_CHOICE = 4
_LEAST_CHOICE = 32
_MOST_LOOKS = 2048
_MOST_CROWDED_LOOKS = 256
_TINY = 1e-6
# Profiles are kept for so many different half-lives, as requests may name one.
_HALF_LIVES = 4


class Lift(msgspec.Struct, frozen=True, gc=False):
    """What playbooks do to one candidate: how much it is lifted (negative: sunk), by which near entries."""

    boost: float
    playbook_ids: tuple[str, ...]
    is_endorsed: bool = False


@dataclass(frozen=True, slots=True)
class Lifts:
    """What playbooks do to the candidates of one corpus.

    Attributes:
        boosts: (n,) to be added to their scores.
        verdicts: By place among them what near entries say; most have none.
    """

    boosts: Floats
    verdicts: Mapping[int, Verdict]

    def of(self, places: Iterable[int]) -> list[Lift | None]:
        """The lifts of some candidates; None: it stays as it is."""
        boosts = self.boosts.tolist()
        return [self._lift(boosts[place], self.verdicts.get(place)) for place in places]

    def _lift(self, boost: float, verdict: Verdict | None) -> Lift | None:
        if verdict is None:
            return Lift(boost, ()) if abs(boost) > _TINY else None
        return Lift(boost, verdict.playbook_ids, is_endorsed=verdict.endorsed > 0)


class Playbooks:
    """The playbooks of a process, as searches ask them; safe for threads.

    Args:
        book: The entries.
        embedder: Name of the embedder of their queries.
        is_ready: Whether all entries there are have been read.
    """

    def __init__(self, book: PlaybookBook, *, embedder: str, is_ready: Callable[[], bool] = lambda: True) -> None:
        self.embedder = embedder
        self.is_ready = is_ready
        self._book = book
        self._profiles: dict[float, AnswerProfiles] = {}
        self._making = threading.Lock()

    def __len__(self) -> int:
        return len(self._book)

    @property
    def revision(self) -> int:
        """A number that changes with every change of an entry."""
        return self._book.revision

    def influence(
        self,
        query: str,
        vector: Floats,
        *,
        corpora: Collection[str],
        config: PlaybookConfig,
        now: datetime,
        first: Nearby | None = None,
    ) -> Influence | None:
        """What entries near a query say; None when none is near, and the search goes on as without playbooks.

        Args:
            query: The words.
            vector: Their unit embedding by `embedder`.
            corpora: Names of those that are searched; entries for others have no say.
            config: Under which parameters.
            now: The time now, aware.
            first: What `first_look` gave; None: it is looked for here.
        """
        chosen = partial(self._chosen, vector, corpora=corpora, config=config, now=now, first=first)
        near = [] if config.boost == 0 else chosen()
        if not near:
            return None
        profiles = self._profiles_under(config.half_life_days)
        return Influence(query, vector, self.embedder, verdicts_of(near, config=config), config, profiles, now)

    def first_look(self, vector: Floats, config: PlaybookConfig) -> Awaitable[Nearby]:
        """The entries nearest to a query, joined with other searches of this turn of the event loop.

        It is begun at once, so that other searches can be begun before it is awaited.
        """
        return self._book.look(vector, k=_looks(config), max_distance=config.max_distance)

    def _chosen(
        self,
        vector: Floats,
        *,
        corpora: Collection[str],
        config: PlaybookConfig,
        now: datetime,
        first: Nearby | None,
    ) -> list[NearEntry]:
        """The entries that count; looks further when entries of other corpora or of one source take the places."""
        looks, wanted = _looks(config), (None, *corpora)
        nearby = first
        while True:
            if nearby is None:
                nearby = self._book.nearest(vector, k=looks, max_distance=config.max_distance)
            found = len(nearby.ids)
            mine = (one for one in self._book.live_of(nearby) if one[1].answer_corpus in wanted)
            near = choose_near(self._judged(mine, config=config, now=now), config=config)
            is_full = len(near) == config.top_k
            most = _MOST_CROWDED_LOOKS if is_full else _MOST_LOOKS
            is_fair = is_full and (len(self._book.sources) < 2 or not _is_crowded(near))
            if is_fair or found < looks or looks >= most:
                return near
            looks, nearby = min(_MOST_LOOKS, looks * _CHOICE), None

    def _judged(self, found: Iterable[FoundEntry], *, config: PlaybookConfig, now: datetime) -> list[NearEntry]:
        """Entries with their worth; when all are of one source, only as many as count."""
        judged: list[NearEntry] = []
        is_alone, having = len(self._book.sources) < 2, 0
        for distance, entry in found:
            judged.append(self._near(distance, entry, config=config, now=now))
            having += judged[-1].worth != 0
            if is_alone and having == config.top_k:
                break
        return judged

    def _near(self, distance: float, entry: PlaybookEntry, *, config: PlaybookConfig, now: datetime) -> NearEntry:
        evidence = self._book.evidence_of(entry)
        return NearEntry(
            entry.playbook_id,
            (entry.answer_corpus, entry.answer_id),
            distance,
            _worth(evidence, half_life_days=config.half_life_days, now=now),
            entry.query,
            _alone(evidence[0].source) if len(evidence) == 1 else frozenset(one.source for one in evidence),
        )

    def _profiles_under(self, half_life_days: float) -> AnswerProfiles:
        """Profiles fade by the half-life that they were made under; another one needs profiles of its own."""
        with self._making:
            profiles = self._profiles.get(half_life_days)
            if profiles is None:
                profiles = AnswerProfiles(
                    lambda corpus, answer_ids, now: {
                        answer_id: self._endorsed(corpus, answer_id, now, half_life_days)
                        for answer_id in self._book.spoken_of(answer_ids)
                    },
                    self._book,
                    half_life_days=half_life_days,
                )
                self._profiles[half_life_days] = profiles
                if len(self._profiles) > _HALF_LIVES:
                    oldest = next(iter(self._profiles))
                    self._book.unsubscribe(self._profiles.pop(oldest).touch)
                self._book.subscribe(profiles.touch)
            return profiles

    def _endorsed(self, corpus: str, answer_id: str, now: datetime, half_life_days: float) -> list[ProfileEntry]:
        endorsed: list[ProfileEntry] = []
        for entry in self._book.entries_for(corpus, answer_id):
            evidence = self._book.evidence_of(entry)
            worth = _worth(evidence, half_life_days=half_life_days, now=now)
            if worth > 0 and (row := self._book.row_of(entry)) is not None:
                endorsed.append(ProfileEntry(entry.query, worth, min(one.source for one in evidence), row))
        return endorsed


@dataclass(frozen=True, slots=True)
class Influence:
    """What near entries say of one query."""

    query: str
    vector: Floats
    embedder: str
    verdicts: Mapping[Answer, Verdict]
    config: PlaybookConfig
    profiles: AnswerProfiles
    now: datetime

    def endorsed_ids(self, corpus: str) -> list[str]:
        """Ids of answers that may come back even if retrieval missed them."""
        return [i for (name, i), verdict in self.verdicts.items() if name in (None, corpus) and verdict.endorsed > 0]

    def lifts(
        self, corpus: CorpusView, rows: NDArray[np.int64], scores: Floats, *, similarity: Floats | None = None
    ) -> Lifts | None:
        """What playbooks do to the candidates of one corpus; None where nothing.

        Args:
            corpus: The corpus.
            rows: (n,) their rows.
            scores: (n,) their scores without playbooks.
            similarity: (n,) cosines of the query and the rows by the corpus's embedder, where they are known.
        """
        verdicts = self._verdicts_by_place(corpus, rows)
        if not verdicts:
            return None
        of = self.profiles.likeness(
            AskedQuery(self.vector, corpus.term_weights(self.query)),
            AskedAnswers(corpus, rows, self._similarity(corpus, rows, similarity)),
            now=self.now,
        )
        boosts = boosts_of(
            scores, verdicts, known=of.places, likeness=of.likeness, confidence=of.confidence, config=self.config
        )
        return Lifts(boosts, verdicts)

    def _verdicts_by_place(self, corpus: CorpusView, rows: NDArray[np.int64]) -> dict[int, Verdict]:
        """The verdicts on those of some rows that near entries speak of; one for this corpus before one for any."""
        by_row: dict[int, Verdict] = {}
        for (name, answer_id), verdict in self.verdicts.items():
            row = corpus.row_of(answer_id) if name in (None, corpus.name) else None
            if row is not None and (name is not None or row not in by_row):
                by_row[row] = verdict
        numbers: list[int] = rows.tolist()
        return {numbers.index(row): verdict for row, verdict in by_row.items() if row in numbers}

    def _similarity(self, corpus: CorpusView, rows: NDArray[np.int64], known: Floats | None) -> Floats | None:
        """The cosines of the query and the rows' vectors where these are by the playbooks' embedder."""
        if corpus.embedder != self.embedder or corpus.dimension != len(self.vector):
            return None
        if known is not None:
            return known
        vectors = corpus.vectors_of(rows)
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        return np.asarray(vectors @ self.vector / np.maximum(lengths, np.float32(1e-9)), np.float32)


def _looks(config: PlaybookConfig) -> int:
    """How many entries are looked at first."""
    return max(_LEAST_CHOICE, _CHOICE * config.top_k)


def _is_crowded(near: Sequence[NearEntry]) -> bool:
    """Whether one source alone has more than half of the places."""
    ((_, most),) = Counter(entry.sources for entry in near).most_common(1)
    return most > max(1, len(near) // 2)


@lru_cache(maxsize=1024)
def _alone(source: str) -> frozenset[str]:
    return frozenset((source,))


def _worth(evidence: Sequence[Evidence], *, half_life_days: float, now: datetime) -> float:
    if len(evidence) == 1:  # nearly always; this is `worth_of` for a single judgement
        (one,) = evidence
        fading = math.pow(0.5, max((now - one.at).total_seconds() / _DAY_S, 0.0) / half_life_days)
        return fading * (one.score * fading) / max(fading, 1e-12)
    judged = (Judgement(one.source, one.score, (now - one.at).total_seconds() / _DAY_S) for one in evidence)
    return worth_of(judged, half_life_days=half_life_days)
