"""Calibration of indexes that were made over HTTP, on the real store: held in memory, and served by Lance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.calibrator import Calibrator
from lakehouse.adapters.lance_corpus import LanceCorpus
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.open_corpus import OpenCorpus
from lakehouse.adapters.static_embedder import StaticEmbedder
from lakehouse.errors import Unavailable
from lakehouse.retrieval.embedding import Embedder
from lakehouse.tables.corpus import corpus_schema
from tests.hot_rows import batch_of

Opened: TypeAlias = OpenCorpus | LanceCorpus
Kind: TypeAlias = Callable[[LanceTable], Opened]
Opener: TypeAlias = Callable[[str], Embedder]
STATIC = StaticEmbedder()
INFO = {"kind": "index", "dimension": STATIC.dimension, "distance": "cosine", "embedder": "static"}
SAID = (
    "nurse patient triage ward night medication chart fever welder seam steel plate argon torch grinder shop clerk"
    " ledger invoice payroll receipt folder stamp audit cook soup sauce bread oven kitchen butter pepper river bridge"
    " granite harbour lantern violin sonnet glacier volcano umbrella meadow falcon tractor orchard senate ballot judge"
)
WORDS = SAID.split()


def texts(numbers: range) -> list[str]:
    """Each about eight words of its own, said several times: a part of it speaks of what the rest does."""
    chances = [np.random.default_rng(n) for n in numbers]
    return [" ".join(chance.choice(chance.choice(WORDS, 8, replace=False), 40)) for chance in chances]


def rows(numbers: range, *, with_text: bool = True) -> Any:
    given = texts(numbers)
    own = given if with_text else [None] * len(given)
    return batch_of(STATIC.embed(given), [f"r{n}" for n in numbers], texts=own)


@pytest.fixture(params=[OpenCorpus, LanceCorpus], ids=["memory", "lance"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


class Desk:
    """A calibrator with a clock that a test turns, and an index that it looks at."""

    def __init__(
        self,
        objects: S3ObjectStore,
        kind: Kind,
        *,
        embedder_of: Opener = lambda _: STATIC,
        **info: Any,
    ) -> None:
        self.tables = LanceTables(objects.location, objects)
        self.corpus = kind(self.tables.create("notes", corpus_schema(STATIC.dimension), info={**INFO, **info}))
        self.now_s = 0.0
        self.calibrator = Calibrator(embedder_of, quiet_s=1, patience_s=100, retry_s=10, clock=lambda: self.now_s)

    def look(self, *, after_s: float = 3) -> dict[str, Any] | None:
        """Look, wait for what it began, and give the calibration that another process reads."""
        self.calibrator.look(self.corpus.table, self.corpus.reader)
        self.now_s += after_s
        self.calibrator.look(self.corpus.table, self.corpus.reader)
        if self.calibrator._thread is not None:
            self.calibrator._thread.join()
        self.corpus.follow()
        table = self.tables.open("notes")
        assert table is not None
        return table.info.get("calibration")  # type: ignore[no-any-return]


def test_index_of_texts_is_calibrated_once_nobody_writes_and_all_have_it(objects: S3ObjectStore, kind: Kind) -> None:
    desk = Desk(objects, kind)
    assert desk.look() is None  # nothing in it
    desk.corpus.upsert(rows(range(60)))
    assert desk.look(after_s=0) is None  # somebody may go on writing
    before = desk.corpus.reader.revision
    stored = desk.look()
    assert stored is not None
    assert (stored["rows"], stored["similarity"] > 0, stored["text"] > 0) == (60, True, True)
    assert desk.corpus.reader.revision == before  # no row changed
    assert desk.corpus.reader.calibration is not None
    assert desk.corpus.reader.calibration.similarity == stored["similarity"]
    table = desk.tables.open("notes")
    assert table is not None
    restarted = kind(table)
    assert restarted.reader.calibration == desk.corpus.reader.calibration


def test_it_is_calibrated_again_when_it_has_doubled_and_not_before(objects: S3ObjectStore, kind: Kind) -> None:
    asked: list[str] = []

    def embedder_of(name: str) -> Embedder:
        asked.append(name)
        return STATIC

    desk = Desk(objects, kind, embedder_of=embedder_of)
    desk.corpus.upsert(rows(range(40)))
    first = desk.look()
    desk.corpus.upsert(rows(range(40, 79)))
    assert desk.look() == desk.look() == first
    desk.corpus.upsert(rows(range(79, 80)))
    again = desk.look()
    assert (again or {})["rows"] == 80
    assert asked == ["static"] * 2


def test_index_that_is_written_to_without_a_pause_is_calibrated_too(objects: S3ObjectStore, kind: Kind) -> None:
    desk = Desk(objects, kind)
    for n in range(0, 120, 30):
        desk.corpus.upsert(rows(range(n, n + 30)))
        calibration = desk.look(after_s=0)
        desk.now_s += 40
    assert (calibration or {})["rows"] == 120


def test_bare_vectors_ask_no_embedder_and_are_judged_by_what_is_known_of_theirs(
    objects: S3ObjectStore, kind: Kind
) -> None:
    def embedder_of(name: str) -> Embedder:
        raise AssertionError(name)

    desk = Desk(objects, kind, embedder_of=embedder_of)
    desk.corpus.upsert(rows(range(50), with_text=False))
    stored = desk.look()
    assert (stored or {})["rows"] == 50
    assert "fewer than 20" in (stored or {})["reason"]
    model = desk.corpus.reader.calibration
    assert model is not None
    assert (model.text, model.alone) == (0.0, (model.similarity, model.intercept))


def test_mixed_index_is_judged_by_cosines_alone(objects: S3ObjectStore, kind: Kind) -> None:
    desk = Desk(objects, kind)
    desk.corpus.upsert(rows(range(40)))
    desk.corpus.upsert(rows(range(40, 60), with_text=False))
    stored = desk.look()
    assert stored is not None
    assert (stored["rows"], stored["text"], stored["alone"]) == (60, 0.0, [stored["similarity"], stored["intercept"]])


def test_vectors_that_are_not_the_embedders_are_not_calibrated(objects: S3ObjectStore, kind: Kind) -> None:
    class Longer:
        name = "static"
        dimension = STATIC.dimension + 1

    desk = Desk(objects, kind, embedder_of=lambda _: Longer())  # type: ignore[arg-type,return-value]
    desk.corpus.upsert(rows(range(50)))
    assert "256 dimensions" in (desk.look() or {})["reason"]


def test_embedder_that_is_away_is_asked_again_after_a_while(objects: S3ObjectStore, kind: Kind) -> None:
    failures = [Unavailable("the endpoint does not answer"), RuntimeError("something else")]

    def embedder_of(_: str) -> Embedder:
        if failures:
            raise failures.pop(0)
        return STATIC

    desk = Desk(objects, kind, embedder_of=embedder_of)
    desk.corpus.upsert(rows(range(50)))
    assert desk.look() is desk.look() is None
    assert len(failures) == 1  # within the pause it was not asked again
    desk.now_s += 20
    assert desk.look() is None
    desk.now_s += 20
    assert (desk.look() or {})["rows"] == 50


def test_other_distances_and_declared_corpora_are_left_alone(objects: S3ObjectStore, kind: Kind) -> None:
    desk = Desk(objects, kind, distance="l2")
    desk.corpus.upsert(rows(range(50)))
    assert desk.look() is None
    assert desk.corpus.reader.calibration is None
    desk.corpus.table.change_info(lambda info: {**info, "distance": "cosine", "kind": "corpus"})
    desk.corpus.follow()
    assert desk.look() is None


class Waiting:
    """An embedder that goes on when a test lets it."""

    name = "static"
    dimension = STATIC.dimension

    def __init__(self) -> None:
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def embed(self, given: Sequence[str]) -> NDArray[np.float32]:
        self.has_begun.set()
        assert self.may_go_on.wait(60)
        return STATIC.embed(given)


def begun(objects: S3ObjectStore, kind: Kind) -> tuple[Desk, Waiting]:
    embedder = Waiting()
    desk = Desk(objects, kind, embedder_of=lambda _: embedder)
    desk.corpus.upsert(rows(range(60)))
    for _ in range(2):
        desk.calibrator.look(desk.corpus.table, desk.corpus.reader)
        desk.now_s += 3
    assert embedder.has_begun.wait(60)
    return desk, embedder


def test_index_that_was_made_anew_meanwhile_gets_nothing_of_the_old_one(objects: S3ObjectStore, kind: Kind) -> None:
    desk, embedder = begun(objects, kind)
    desk.tables.drop("notes")
    other = desk.tables.create("notes", corpus_schema(STATIC.dimension), info=INFO)
    embedder.may_go_on.set()
    assert desk.calibrator._thread is not None
    desk.calibrator._thread.join()
    other.refresh()
    assert "calibration" not in other.info


def test_first_process_to_store_has_done_it_for_all(objects: S3ObjectStore, kind: Kind) -> None:
    desk, embedder = begun(objects, kind)
    table = desk.tables.open("notes")
    assert table is not None
    table.change_info(lambda info: {**info, "calibration": {"reason": "theirs", "rows": 60}, "index": {"kind": "flat"}})
    embedder.may_go_on.set()
    assert desk.calibrator._thread is not None
    desk.calibrator._thread.join()
    table.refresh()
    assert table.info["calibration"] == {"reason": "theirs", "rows": 60}
    assert table.info["index"] == {"kind": "flat"}


def test_end_of_the_process_breaks_it_off(objects: S3ObjectStore, kind: Kind) -> None:
    desk, embedder = begun(objects, kind)
    stopping = desk.calibrator._stopping
    threading.Thread(target=lambda: (stopping.wait(60), embedder.may_go_on.set())).start()
    desk.calibrator.stop()
    assert desk.calibrator._thread is not None
    desk.calibrator._thread.join()
    table = desk.tables.open("notes")
    assert table is not None
    assert "calibration" not in table.info
