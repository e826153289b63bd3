"""Building corpora on the real store: only what changed is embedded, what is gone goes, what serves is whole."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from lakehouse.adapters.build_heartbeat import heartbeat, heartbeat_key, last_heartbeat
from lakehouse.adapters.corpus_builder import CorpusBuilder
from lakehouse.adapters.corpus_report import BuildProgress
from lakehouse.adapters.corpus_vectors import EMBED_ROWS
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Conflict, NotFound, Superseded, Unavailable
from lakehouse.retrieval.corpus_info import KIND
from lakehouse.retrieval.embedding import Embedder
from lakehouse.storage.objects import list_all
from lakehouse.tables.corpus import corpus_schema
from tests.corpora import NOTES, CorpusDesk, declare, drifted, row, rows
from tests.lance_rows import corpus_rows


@pytest.fixture
def desk(objects: S3ObjectStore, tmp_path: Path) -> CorpusDesk:
    return CorpusDesk(objects, tmp_path)


def test_first_build_holds_every_row_as_declared(desk: CorpusDesk) -> None:
    desk.put_rows([*rows(1, 2), row(3, tags=None, weight=None)])
    report = desk.build()
    stored = desk.stored()
    assert sorted(stored) == ["n1", "n2", "n3"]
    assert stored["n1"]["text"] == "note number 1\nTags: a, t1"
    assert stored["n3"]["text"] == "note number 3"
    assert stored["n1"]["metadata"] == {
        "title": "note number 1", "tags": ["a", "t1"], "mail": "n1@example.org", "weight": 0.5
    }  # fmt: skip
    assert stored["n3"]["metadata"] == {
        "title": "note number 3",
        "tags": None,
        "mail": "n3@example.org",
        "weight": None,
    }
    vector = desk.embedders.fakes["fake"].embed([stored["n1"]["text"]])[0]
    np.testing.assert_allclose(stored["n1"]["vector"], vector, atol=1e-6)
    done = report.progress
    assert (done.new, done.changed, done.unchanged, done.embedded, done.refused) == (3, 0, 0, 3, 0)
    assert (report.rows, report.is_changed, report.is_waiting) == (3, True, False)


def test_table_says_what_a_search_must_know(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    desk.build(declare(rerank_embedder="other", distance="l2", description="All notes."))
    info = desk.table().info
    expected = {
        "kind": KIND, "dimension": 32, "distance": "l2", "embedder": "fake", "rerank_embedder": "other",
        "dataset": "notes", "id_column": "id", "metadata_columns": ["title", "tags", "mail", "weight"],
        "pii_columns": ["mail"], "has_personal_text": False, "description": "All notes.",
    }  # fmt: skip
    assert {key: info[key] for key in expected} == expected
    assert info["built"]["all"]["source_rows"] == 1


def test_build_with_nothing_new_makes_no_version_and_opens_no_model(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1, 2))
    first = desk.build()
    again = desk.build()
    assert (again.is_changed, again.has_memo, again.version, again.revision) == (
        False,
        True,
        first.version,
        first.revision,
    )
    assert (again.rows, again.progress.unchanged) == (2, 2)
    assert desk.embedders.opened == []


def test_only_new_and_changed_rows_are_embedded_and_gone_ones_go(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(20)))
    desk.build()
    desk.put_rows([*rows(*range(3, 20)), row(1, title="another title"), row(99)])
    report = desk.build()
    assert sorted(desk.embedders.embedded) == ["another title\nTags: a, t1", "note number 99\nTags: a, t0"]
    done = report.progress
    assert (done.new, done.changed, done.unchanged, done.deleted) == (1, 1, 17, 2)
    stored = desk.stored()
    assert sorted(stored) == sorted(f"n{n}" for n in [*range(3, 20), 1, 99])
    assert stored["n1"]["metadata"]["title"] == "another title"


def test_row_whose_text_stayed_keeps_its_vector(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(10)))
    desk.build()
    before = desk.stored()
    desk.put_rows([row(n, weight=7.0 if n % 2 else n / 2) for n in reversed(range(10))])
    report = desk.build()
    assert desk.embedders.embedded == []
    assert (report.progress.changed, report.progress.reused, report.progress.unchanged) == (5, 5, 5)
    after = desk.stored()
    assert {i: r["vector"] for i, r in after.items()} == {i: r["vector"] for i, r in before.items()}
    assert [after[f"n{n}"]["metadata"]["weight"] for n in (1, 2)] == [7.0, 1.0]


def test_other_metadata_makes_new_files_and_embeds_nothing(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(10)))
    desk.build()
    before = desk.table().live
    report = desk.build(declare(metadata=["weight"]))
    assert desk.embedders.embedded == []
    assert report.progress.reused == 10
    now = desk.table()
    assert now.live.uri != before.uri
    assert [f.uri for f in now.live.former] == [before.uri]
    assert now.live.successor is None
    assert desk.stored()["n4"]["metadata"] == {"weight": 2.0}
    assert desk.build(declare(metadata=["weight"])).has_memo


def test_other_embedder_makes_new_files_of_its_dimension(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1, 2))
    desk.build()
    desk.build(declare(embedder="other"))
    assert len(desk.embedders.embedded) == 2
    assert desk.table().info["dimension"] == 16
    assert len(desk.stored()["n1"]["vector"]) == 16


def test_rows_that_others_added_stay_through_builds(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1, 2))
    desk.build()
    fake = desk.embedders.fakes["fake"]
    vectors = pa.array(fake.embed(["text extra"]).tolist(), pa.list_(pa.float32(), 32))
    desk.table().upsert(corpus_rows(["extra"]).set_column(3, "vector", vectors))
    desk.put_rows(rows(2, 3))
    desk.build()
    assert sorted(desk.stored()) == ["extra", "n2", "n3"]
    desk.build(declare(embedder="other"))
    stored = desk.stored()
    assert sorted(stored) == ["extra", "n2", "n3"]
    np.testing.assert_allclose(
        stored["extra"]["vector"], desk.embedders.fakes["other"].embed(["text extra"])[0], atol=1e-6
    )


def test_build_killed_midway_serves_the_old_state_and_the_next_goes_on(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(5)))
    desk.build()
    serving = desk.table().revision
    desk.put_rows(rows(*range(3, 9000)))

    def die(progress: BuildProgress) -> None:
        if progress.seen > 4096:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.build(on_progress=die, chunk_rows=1000)
    table = desk.table()
    assert table.revision == serving
    assert sorted(desk.stored()) == [f"n{n}" for n in range(5)]
    assert table.stats()["is_ahead"]
    done_before = len(desk.embedders.embedded)
    report = desk.build()
    assert 0 < len(desk.embedders.embedded) < 8997 - 3000
    assert done_before + len(desk.embedders.embedded) >= 8995
    assert len(desk.stored()) == report.rows == 8997


def test_killed_rebuild_goes_on_in_its_own_files(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(6000)))
    desk.build()

    def die(progress: BuildProgress) -> None:
        if progress.seen > 4096:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.build(declare(embedder="other"), on_progress=die, chunk_rows=1000)
    table = desk.table()
    assert table.info["embedder"] == "fake"
    assert table.live.successor is not None
    report = desk.build(declare(embedder="other"))
    assert len(desk.embedders.embedded) < 6000
    assert report.uri == table.live.successor.uri
    assert len(desk.stored()) == 6000


def test_build_that_began_later_wins_and_the_earlier_shows_nothing(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(10)))
    other = CorpusDesk(desk.objects, desk.folder / "other")
    done = []

    def meanwhile(progress: BuildProgress) -> None:
        if not done and progress.embedded:
            done.append(other.build())

    with pytest.raises(Superseded, match="another build"):
        desk.build(on_progress=meanwhile)
    assert len(desk.stored()) == 10
    assert desk.build().has_memo


def test_build_that_another_overtakes_tells_what_that_one_has_done(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(10)))
    builder = CorpusBuilder(desk.context, work_dir=desk.folder / "work")
    other = CorpusDesk(desk.objects, desk.folder / "other")
    told: list[str] = []

    def overtake(progress: BuildProgress) -> None:
        if not other.embedders.opened and progress.embedded:
            other.build()

    report = builder.build_or_await(declare(), on_progress=overtake, on_waiting=told.append)
    assert (report.is_changed, report.rows, report.has_memo) == (False, 10, True)
    assert told == ["another build of notes has begun since, and is waited for"]
    assert last_heartbeat(desk.objects, "notes", "all") is None


def test_build_ends_at_its_next_sign_of_life_once_another_has_begun(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(3 * EMBED_ROWS)))
    desk.context = replace(desk.context, heartbeat_s=0.01)
    other = CorpusDesk(desk.objects, desk.folder / "other")

    def overtake(progress: BuildProgress) -> None:
        if not other.embedders.opened and progress.embedded:
            begin_and_die(other)
            for thread in threading.enumerate():
                if thread.name.startswith("build-heartbeat"):
                    thread.join()  # it ends by itself when it learns that another has begun

    with pytest.raises(Superseded, match="another build of 'notes' has begun since"):
        desk.build(on_progress=overtake)
    assert len(desk.embedders.embedded) == EMBED_ROWS


def test_build_that_was_overtaken_leaves_the_sign_of_life_to_the_other(desk: CorpusDesk) -> None:
    def claim() -> None:
        raise Superseded("another has begun since")

    def work() -> None:
        with heartbeat(desk.objects, "notes", "all", op_id="mine", claim=claim, every_s=0.01) as require_claim:
            while True:
                require_claim()

    with pytest.raises(Superseded, match="another has begun since"):
        work()
    assert last_heartbeat(desk.objects, "notes", "all") is not None


def test_killed_build_keeps_what_was_embedded_before_the_call_it_was_killed_in(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(4 * EMBED_ROWS)))  # in two files, so that the first holds two calls of the embedder

    def die(progress: BuildProgress) -> None:
        if progress.embedded > EMBED_ROWS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.build(on_progress=die, chunk_rows=EMBED_ROWS)
    assert desk.build().progress.embedded == 3 * EMBED_ROWS


def begin_and_die(desk: CorpusDesk) -> None:
    """A build that is ended as soon as it has told of itself."""

    def die(_: BuildProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.build(on_progress=die)


@pytest.mark.parametrize("is_full", [False, True])
def test_build_is_told_where_the_one_that_overtook_it_ended_early(desk: CorpusDesk, *, is_full: bool) -> None:
    desk.put_rows(rows(*range(10)))
    builder = CorpusBuilder(desk.context, work_dir=desk.folder / "work")
    other = CorpusDesk(desk.objects, desk.folder / "other")

    def overtake(progress: BuildProgress) -> None:
        if not other.embedders.opened and progress.embedded:
            begin_and_die(other)

    with pytest.raises(Superseded, match="another build of 'notes' has begun since"):
        builder.build_or_await(declare(), is_full=is_full, on_progress=overtake, patience_s=0)


@pytest.mark.parametrize("is_killed", [False, True])
def test_build_goes_on_where_the_one_that_overtook_it_died(desk: CorpusDesk, *, is_killed: bool) -> None:
    desk.put_rows(rows(*range(10)))
    other, key = CorpusDesk(desk.objects, desk.folder / "other"), heartbeat_key("notes", "all")
    told: list[str] = []

    def pause(_: float) -> None:
        if not is_killed:
            desk.objects.delete(key)

    builder = CorpusBuilder(desk.context, work_dir=desk.folder / "work", pause=pause)

    def overtake(progress: BuildProgress) -> None:
        if not other.embedders.opened and progress.embedded:
            begin_and_die(other)
            desk.objects.put(key, b"{}")  # as a killed one leaves it

    report = builder.build_or_await(
        declare(), on_progress=overtake, on_waiting=told.append, silence_s=0 if is_killed else 60
    )
    assert (report.rows, sorted(desk.stored())) == (10, sorted(f"n{n}" for n in range(10)))
    assert told[0] == "another build of notes has begun since, and is waited for"
    assert ("gave no sign of life" if is_killed else "ended before it was done") in told[1]


def test_builds_at_the_same_time_converge(objects: S3ObjectStore, tmp_path: Path) -> None:
    desks = [CorpusDesk(objects, tmp_path / str(n)) for n in range(3)]
    desks[0].put_rows(rows(*range(3000)))
    outcomes: list[object] = []

    def run(desk: CorpusDesk) -> None:
        try:
            outcomes.append(desk.build())
        except (Conflict, Unavailable) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(desk,)) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    desks[0].build()
    assert sorted(desks[0].stored()) == sorted(f"n{n}" for n in range(3000))


def test_full_build_embeds_everything_into_new_files(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1, 2, 3))
    desk.build()
    before = desk.table().live.uri
    desk.build(is_full=True)
    assert len(desk.embedders.embedded) == 3
    assert desk.table().live.uri != before
    assert desk.build().has_memo


def test_refused_rows_are_set_aside_with_their_reasons(desk: CorpusDesk) -> None:
    bad = [row(2, id=None), row(1, title="the same id"), row(4, title=" ", tags=None), row(5, id="x" * 600)]
    desk.put_rows([row(1), *bad, row(3)])
    report = desk.build()
    assert sorted(desk.stored()) == ["n1", "n3"]
    assert desk.stored()["n1"]["metadata"]["title"] == "note number 1"
    assert report.progress.refused == 4
    assert report.quarantine_key is not None
    lines = [orjson.loads(line) for line in desk.objects.get(report.quarantine_key).body.splitlines()]
    assert [(n["record"], n["reason"]) for n in lines] == [
        (2, "no id in 'id'"),
        (3, "the id 'n1' has occurred before"),
        (4, "the text is blank"),
        (5, "the id has more than 512 bytes"),
    ]
    assert orjson.loads(lines[1]["raw"])["title"] == "the same id"
    now = utc_now()
    receipt = report.receipt(run_id="r", code_version="1", git_commit="c", started_at=now, now=now)
    counts = receipt.counts.to_document()
    assert counts == {"in": 6, "new": 2, "corrected": 0, "duplicate": 0, "quarantined": 4, "out": 2}


def test_parts_build_their_own_rows_and_make_the_whole(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(40)))
    declaration = declare(partitions=3)
    counts = [desk.build(declaration, part=part).rows for part in range(3)]
    assert sum(counts) == 40
    assert min(counts) > 0
    assert len(desk.stored()) == 40
    desk.put_rows(rows(*range(5, 41)))
    for part in range(3):
        desk.build(declaration, part=part)
    assert sorted(desk.stored()) == sorted(f"n{n}" for n in range(5, 41))
    assert all(desk.build(declaration, part=part).has_memo for part in range(3))


def test_parts_of_a_rebuild_show_together(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(30)))
    for part in range(2):
        desk.build(declare(partitions=2), part=part)
    changed = declare(partitions=2, embedder="other")
    first = desk.build(changed, part=0)
    assert first.is_waiting
    assert desk.build(changed, part=0).has_memo
    assert desk.table().info["embedder"] == "fake"
    assert len(desk.stored()) == 30
    last = desk.build(changed, part=1)
    assert not last.is_waiting
    assert desk.table().info["embedder"] == "other"
    assert len(desk.stored()) == 30
    assert set(desk.table().info["built"]) == {"p000", "p001"}


def test_long_texts_are_cut_into_chunks_that_follow_their_row(desk: CorpusDesk) -> None:
    words = " ".join(f"w{n}" for n in range(25))
    desk.put_rows([row(1, title=words), row(2, title="short")])
    declaration = declare(chunking={"max_words": 10, "overlap": 2}, text="{title}", metadata=["weight"])
    desk.build(declaration)
    stored = desk.stored()
    assert sorted(stored) == ["n1#0", "n1#1", "n1#2", "n2#0"]
    assert stored["n1#1"]["text"] == " ".join(f"w{n}" for n in range(8, 18))
    assert stored["n1#1"]["metadata"]["source_id"] == "n1"
    assert stored["n1#1"]["metadata"]["chunk"] == 1
    info = desk.table().info
    assert (info["dataset"], info["id_column"]) == ("notes", "id")  # of what they are cut from: SQL filters ask it
    assert info["metadata_columns"][-2:] == ["source_id", "chunk"]
    desk.put_rows([row(1, title=" ".join(words.split()[:12])), row(2, title="short")])
    report = desk.build(declaration)
    assert sorted(desk.stored()) == ["n1#0", "n1#1", "n2#0"]
    assert (report.progress.unchanged, report.progress.changed, report.progress.deleted) == (2, 1, 1)


def test_build_with_nothing_new_brings_the_description_up_to_date(desk: CorpusDesk) -> None:
    desk.put_rows([row(1, title="short")])
    declaration = declare(chunking={"max_words": 10}, text="{title}", metadata=["weight"])
    first = desk.build(declaration)
    desk.table().change_info(lambda info: {**info, "dataset": None, "id_column": None})  # as builds of once wrote it
    again = desk.build(declaration)
    assert (again.has_memo, again.version, desk.embedders.opened) == (True, first.version, [])
    assert (desk.table().info["dataset"], desk.table().info["id_column"]) == ("notes", "id")


def test_tokens_are_those_of_the_embedder(desk: CorpusDesk) -> None:
    desk.put_rows([row(1, title=" ".join(["word"] * 25))])
    desk.build(declare(embedder="other", chunking={"max_tokens": 10}, text="{title}"))
    assert len(desk.stored()) == 3


def test_empty_dataset_is_an_empty_corpus(desk: CorpusDesk) -> None:
    desk.put_rows([])
    report = desk.build()
    assert (report.rows, desk.stored()) == (0, {})
    assert desk.build().has_memo


def test_progress_is_told_while_it_builds(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(5000)))
    seen: list[tuple[int | None, int, int]] = []
    desk.build(on_progress=lambda p: seen.append((p.total, p.seen, p.embedded)))
    assert len(seen) > 4
    assert seen == sorted(seen)
    assert seen[-1] == (5000, 5000, 5000)


def test_calibration_is_made_of_what_serves_and_kept(desk: CorpusDesk) -> None:
    desk.put_rows(rows(*range(50)))
    given = []

    def calibrate(vectors: np.ndarray, texts: Sequence[str], embedder: Embedder) -> dict[str, float]:
        given.append((vectors.shape, len(texts)))
        np.testing.assert_allclose(embedder.embed(texts), vectors, atol=1e-6)
        return {"slope": 2.0}

    desk.build(calibrate=calibrate)
    assert given == [((50, 32), 50)]
    assert desk.table().info["calibration"] == {"slope": 2.0}
    desk.put_rows([*rows(*range(50)), row(50)])
    desk.build(calibrate=calibrate)
    assert len(given) == 1
    assert desk.table().info["calibration"] == {"slope": 2.0}


def test_missing_dataset_and_column_are_named_with_the_declaration(desk: CorpusDesk) -> None:
    with pytest.raises(NotFound, match=r"corpora/notes\.yaml: source\.dataset: .*'notes'.*lakehouse ingest"):
        desk.build()
    desk.put_rows(rows(1))
    with pytest.raises(BadInput, match=r"notes\.yaml: text: .*no column 'body'.*id, title"):
        desk.build(declare(text="{body}"))
    with pytest.raises(BadInput, match=r"notes\.yaml: metadata\.kind: .*'kind'"):
        desk.build(declare(metadata=["kind"]))
    with pytest.raises(BadInput, match=r"notes\.yaml: id: .*'key'"):
        desk.build(declare(id="key"))
    assert desk.context.tables.names() == []
    assert desk.build(declare(metadata={"kind": {"optional": True}})).rows == 1
    assert desk.table().info["metadata_columns"] == []


def test_name_of_another_table_is_refused(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    desk.context.tables.create("notes", corpus_schema(32), info={"kind": "index"})
    with pytest.raises(Conflict, match="no declared corpus"):
        desk.build()


def test_embedder_that_fails_leaves_what_served(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    desk.build()
    desk.put_rows(rows(1, 2))
    desk.embedders.fakes["fake"].failure = Unavailable("the endpoint does not answer")
    with pytest.raises(Unavailable, match="endpoint"):
        desk.build()
    desk.embedders.fakes["fake"].failure = None
    assert sorted(desk.stored()) == ["n1"]
    desk.build()
    assert sorted(desk.stored()) == ["n1", "n2"]


def test_personal_column_is_no_id_since_ids_are_shown_to_all(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    document = {
        "name": "notes", "source": {"dataset": "notes"}, "id": "email", "text": "{title}", "embedder": "fake"
    }  # fmt: skip
    with pytest.raises(BadInput, match=r"id 'email' holds personal data"):
        desk.build(declare(document))


def test_personal_mark_that_came_later_is_taken_over_without_a_version(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    desk.build()
    declaration = declare(description="Now with a description.", rerank_embedder="other")
    before = desk.table().revision
    report = desk.build(declaration)
    assert (report.has_memo, report.revision) == (True, before)
    assert desk.table().info["rerank_embedder"] == "other"


def test_files_of_the_user_are_read_as_they_are(desk: CorpusDesk, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('code\tTitle (full)\tn\n01-1\tThe "big" one\t5\n01-2\t\t7\n', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"code": "01-3", "Title (full)": "Third", "tags": ["x"], "n": 1.5}\n\n')
    (tmp_path / "c.csv").write_bytes('\ufeffcode,Title (full)\r\n01-4,"a, ""quoted""\r\nline"\r\n'.encode())
    document = {
        "name": "jobs", "source": {"files": ["a.tsv", "b.jsonl", "c.csv"]}, "id": "code", "text": "{Title (full)}",
        "metadata": {"n": {"type": "number"}, "tags": {"optional": True}}, "embedder": "fake",
    }  # fmt: skip
    declaration = declare(document, folder=tmp_path)
    report = desk.build(declaration)
    stored = desk.stored("jobs")
    assert {i: r["text"] for i, r in stored.items()} == {
        "01-1": 'The "big" one', "01-3": "Third", "01-4": 'a, "quoted"\r\nline'
    }  # fmt: skip
    assert stored["01-1"]["metadata"] == {"n": 5.0, "tags": None}
    assert stored["01-3"]["metadata"] == {"n": 1.5, "tags": ["x"]}
    assert report.progress.refused == 1
    assert desk.build(declaration).has_memo
    (tmp_path / "a.tsv").write_text("code\tTitle (full)\tn\n01-1\tchanged\tmany\n", encoding="utf-8")
    report = desk.build(declaration)
    assert sorted(desk.stored("jobs")) == ["01-3", "01-4"]
    assert report.progress.refused == 1


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("a.csv", b'id,title\n1,"x', "is not CSV"),
        ("a.csv", b"id,title\n1,x,y\n", "record 2 has 3 fields, the header has 2"),
        ("a.csv", b"id,id\n1,x\n", "each once"),
        ("a.csv", b"", "must name the columns"),
        ("a.csv", b"id,title\n1,\xff\n", "not UTF-8"),
        ("a.jsonl", b'{"id": 1\n', "line 1 is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("a.parquet", b"PAR", "not a Parquet file"),
    ],
)
def test_damaged_file_is_named_with_its_place(
    desk: CorpusDesk, tmp_path: Path, name: str, body: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(body)
    declaration = declare({**NOTES, "metadata": None}, folder=tmp_path, source={"files": [name]}, text="{title}")
    with pytest.raises(BadInput, match=rf"notes\.yaml: source\.files: .*{name}.*{problem}"):
        desk.build(declaration)
    assert "notes" not in desk.context.tables.names() or desk.stored() == {}


def test_missing_file_says_where_it_belongs(desk: CorpusDesk, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"source\.files: there is no file .*onet/x\.tsv; put it there"):
        desk.build(declare(folder=tmp_path, source={"files": ["onet/x.tsv"]}))


def test_nothing_is_left_in_the_work_folder(desk: CorpusDesk) -> None:
    desk.put_rows([*rows(1), row(2, id=None)])
    desk.build()
    assert list((desk.folder / "work").iterdir()) == []
    assert len(list(list_all(desk.objects, "quarantine/"))) == 1


def test_corpus_whose_vectors_drifted_waits_until_somebody_says_that_it_is_known(desk: CorpusDesk) -> None:
    desk.put_rows(rows(1))
    desk.build()
    gate = drifted(desk.objects, "notes")
    desk.put_rows(rows(1, 2))
    with pytest.raises(Conflict, match=r"'notes' is not built: .*vectors of notes.* acknowledge embedding"):
        desk.build()
    assert sorted(desk.stored()) == ["n1"]
    assert desk.build(declare(name="others")).rows == 2  # nothing is known against its vectors
    gate.acknowledge("embedding", by="dana", why="other notes are written now")
    assert desk.build().rows == 2
