"""Lance tables on the real store: what is written is what serves, whoever else writes."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from lakehouse.adapters.lance_engine import BrokenFiles, storage_options, translated
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.errors import BadInput, Conflict, NotFound, StoreUnavailable
from lakehouse.retrieval.live_table import BrokenPointer, live_key
from lakehouse.storage.objects import list_all
from lakehouse.tables.corpus import corpus_schema
from tests.forked import context
from tests.lance_rows import DIMENSION, corpus_rows, ids_of
from tests.servers import StoreServer, silent_server

INFO = {"kind": "index", "dimension": DIMENSION, "distance": "cosine", "embedder": "static"}
ODD_IDS = ["it's", "''", 'say "x"', "back\\slash", "new\nline", "per%cent_", "ünï", " ", "', 'x"]


@pytest.fixture
def tables(objects: S3ObjectStore) -> LanceTables:
    return LanceTables(objects.location, objects)


@pytest.fixture
def table(tables: LanceTables) -> LanceTable:
    return tables.create("people", corpus_schema(DIMENSION), info=INFO)


def reopened(objects: S3ObjectStore, name: str = "people") -> LanceTable:
    table = LanceTables(objects.location, objects).open(name)
    assert table is not None
    return table


def test_new_table_is_empty_and_says_what_it_is(objects: S3ObjectStore, tables: LanceTables) -> None:
    assert tables.names() == []
    assert tables.open("people") is None
    tables.create("people", corpus_schema(DIMENSION), info=INFO)
    assert tables.names() == ["people"]
    table = reopened(objects)
    assert (table.count(), ids_of(table), dict(table.info)) == (0, [], INFO)
    assert table.live.uri == "lance/people.lance"


@pytest.mark.parametrize("name", ["TOKEN", "AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE", "S3_EXPRESS"])
def test_what_the_environment_calls_by_a_common_name_is_no_key_of_the_store(
    name: str, objects: S3ObjectStore, tables: LanceTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "true")
    tables.create("people", corpus_schema(DIMENSION), info=INFO).upsert(corpus_rows(["a"]))
    assert ids_of(reopened(objects)) == ["a"]


def test_table_that_is_there_is_not_made_again(tables: LanceTables, table: LanceTable) -> None:
    table.upsert(corpus_rows(["a"]))
    with pytest.raises(Conflict, match="people"):
        tables.create("people", corpus_schema(DIMENSION), info=INFO)
    assert ids_of(table) == ["a"]


@pytest.mark.parametrize("name", ["", "People", "a-b", "a/b", "a.lance", "x" * 64])
def test_bad_name_is_refused(tables: LanceTables, name: str) -> None:
    with pytest.raises(BadInput, match="table name"):
        tables.create(name, corpus_schema(DIMENSION), info=INFO)


def test_upserted_rows_serve_at_once_and_replace_those_of_the_same_id(
    objects: S3ObjectStore, table: LanceTable
) -> None:
    first = table.upsert(corpus_rows(["a", "b"]))
    second = table.upsert(corpus_rows(["b", "c"], text="newer"))
    assert second > first
    other = reopened(objects)
    assert ids_of(other) == ["a", "b", "c"]
    texts = {r["id"]: r["text"] for r in other.take_ids(["b", "nobody"]).to_pylist()}
    assert texts == {"b": "newer b"}


def test_last_of_the_same_id_in_one_batch_counts(table: LanceTable) -> None:
    rows = corpus_rows(["a", "b", "a"]).set_column(2, "text", [["first", "b", "last"]])
    table.upsert(rows)
    assert {r["id"]: r["text"] for r in table.take_ids(["a", "b"]).to_pylist()} == {"a": "last", "b": "b"}


def test_row_that_is_there_stays_when_asked(table: LanceTable) -> None:
    table.upsert(corpus_rows(["a"]))
    table.upsert(corpus_rows(["a", "b"], text="newer"), is_update=False)
    assert {r["id"]: r["text"] for r in table.take_ids(["a", "b"]).to_pylist()} == {"a": "text a", "b": "newer b"}


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.drop_columns(["text"]),
        lambda rows: rows.append_column("more", [["x"]]),
        lambda rows: rows.set_column(3, "vector", corpus_rows(["a"]).column("op_id")),
        lambda rows: rows.set_column(0, "id", [[None]]),
    ],
)
def test_rows_that_do_not_fit_are_refused(table: LanceTable, change: object) -> None:
    with pytest.raises(BadInput):
        table.upsert(change(corpus_rows(["a"])))  # type: ignore[operator]
    assert ids_of(table) == []


def test_other_key_is_refused(table: LanceTable) -> None:
    assert table.upsert(corpus_rows(["a"]), on="id")
    with pytest.raises(BadInput, match="key"):
        table.upsert(corpus_rows(["a"]), on="op_id")


def test_odd_ids_are_found_and_deleted(objects: S3ObjectStore, table: LanceTable) -> None:
    table.upsert(corpus_rows([*ODD_IDS, "stays"]))
    assert sorted(table.take_ids(ODD_IDS, ["id"]).column("id").to_pylist()) == sorted(ODD_IDS)
    table.delete([*ODD_IDS, "never was", ODD_IDS[0]])
    assert ids_of(reopened(objects)) == ["stays"]


def test_ten_thousand_ids_are_deleted_in_one_version(table: LanceTable) -> None:
    before = table.upsert(corpus_rows([str(n) for n in range(12_000)]))
    assert table.delete([str(n) for n in range(10_000)]) == before + 1
    assert table.count() == 2_000
    assert table.take_ids([str(n) for n in range(12_000)], ["id"]).num_rows == 2_000


def test_nothing_to_delete_is_no_error(table: LanceTable) -> None:
    table.upsert(corpus_rows(["a"]))
    table.delete([])
    table.delete(["b"])
    assert ids_of(table) == ["a"]


def test_fragments_tell_what_came_and_what_went(table: LanceTable) -> None:
    first = table.upsert(corpus_rows(["a", "b"]))
    second = table.upsert(corpus_rows(["b", "c"], text="newer"))
    before, now = table.files.fragments(first), table.files.fragments(second)
    assert sum(now.values()) == 3
    assert before.keys() < now.keys()
    new = table.files.scan_fragments(second, now.keys() - before.keys(), ["id"])
    assert sorted(i for batch in new for i in batch.column("id").to_pylist()) == ["b", "c"]
    assert list(table.files.scan_fragments(second, [])) == []


def test_reader_goes_on_with_its_version_until_it_looks(objects: S3ObjectStore, table: LanceTable) -> None:
    reader = reopened(objects)
    assert reader.refresh() is False
    table.upsert(corpus_rows(["a"]))
    assert ids_of(reader) == []
    assert reader.refresh() is True
    assert ids_of(reader) == ["a"]
    assert reader.revision == table.revision


def test_commit_whose_swap_failed_is_not_seen_and_comes_with_the_next(
    objects: S3ObjectStore, table: LanceTable
) -> None:
    table.upsert(corpus_rows(["a"]))
    table.files.merge(corpus_rows(["killed before the swap"]))
    assert ids_of(reopened(objects)) == ["a"]
    assert reopened(objects).count() == 1
    table.upsert(corpus_rows(["killed before the swap", "b"]))
    assert ids_of(reopened(objects)) == ["a", "b", "killed before the swap"]


def test_rebuilt_table_has_new_files_and_old_readers_go_on(objects: S3ObjectStore, table: LanceTable) -> None:
    table.upsert(corpus_rows(["a", "b"]))
    before = table.revision
    reader = reopened(objects)
    table.replace(iter([corpus_rows(["c"]), corpus_rows(["d"])]), info={**INFO, "embedder": "minilm"})
    assert ids_of(reader) == ["a", "b"]
    reader.refresh()
    assert ids_of(reader) == ["c", "d"]
    assert reader.info["embedder"] == "minilm"
    assert reader.live.uri.startswith("lance/people-")
    assert reader.revision > before
    assert [f.uri for f in reader.live.former] == ["lance/people.lance"]
    table.upsert(corpus_rows(["e"]))
    reader.refresh()
    assert ids_of(reader) == ["c", "d", "e"]


def test_rebuild_during_which_others_wrote_changes_nothing(objects: S3ObjectStore, table: LanceTable) -> None:
    table.upsert(corpus_rows(["a"]))

    def rows() -> object:
        yield corpus_rows(["c"])
        reopened(objects).upsert(corpus_rows(["b"]))

    with pytest.raises(Conflict, match="do it again"):
        table.replace(rows())  # type: ignore[arg-type]
    table.refresh()
    assert ids_of(table) == ["a", "b"]


def test_write_to_files_that_were_replaced_meanwhile_is_done_anew(objects: S3ObjectStore, table: LanceTable) -> None:
    other = reopened(objects)
    table.replace(iter([corpus_rows(["c"])]))
    other.upsert(corpus_rows(["d"]))
    table.refresh()
    assert ids_of(table) == ["c", "d"]


def test_fold_moves_rows_and_mark_together_and_an_older_holder_is_refused(
    objects: S3ObjectStore, table: LanceTable
) -> None:
    table.upsert(corpus_rows(["a"]), folded_through={"w1": 3}, fence=7)
    zombie = reopened(objects)
    table.upsert(corpus_rows(["b"]), folded_through={"w1": 5, "w2": 1}, fence=8)
    with pytest.raises(Conflict, match="taken over"):
        zombie.upsert(corpus_rows(["z"]), folded_through={"w1": 4}, fence=7)
    now = reopened(objects)
    assert (dict(now.folded_through), now.live.fence, ids_of(now)) == ({"w1": 5, "w2": 1}, 8, ["a", "b"])


def test_dropped_table_is_gone_at_once_and_may_be_made_again(
    objects: S3ObjectStore, tables: LanceTables, table: LanceTable
) -> None:
    table.upsert(corpus_rows(["a"]))
    tables.drop("people")
    tables.drop("people")
    assert tables.names() == []
    with pytest.raises(NotFound, match="dropped"):
        table.refresh()
    again = tables.create("people", corpus_schema(DIMENSION), info=INFO)
    assert ids_of(again) == []
    assert ids_of(reopened(objects)) == []


def test_lancedb_opens_the_table(objects: S3ObjectStore, table: LanceTable) -> None:
    import lancedb  # seconds, that every worker would spend when it collects

    table.upsert(corpus_rows(["a", "b"]))
    options = storage_options(objects.location)
    opened = lancedb.connect(f"s3://{objects.bucket}/lance", storage_options=options).open_table("people")
    assert opened.count_rows() == 2
    query = corpus_rows(["a", "b"]).column("vector")[1].as_py()
    assert opened.search(query).limit(1).to_list()[0]["id"] == "b"


def test_optimize_compacts_and_keeps_what_serves_and_the_history(objects: S3ObjectStore, table: LanceTable) -> None:
    for n in range(6):
        table.upsert(corpus_rows([f"{n}-{m}" for m in range(20)]))
    table.delete([f"3-{m}" for m in range(20)])
    expected = ids_of(table)
    before = table.stats()
    report = table.optimize(history=timedelta(days=7))
    assert (report["fragments"], report["is_compacted"], report["versions_removed"]) == (1, True, 0)
    assert report["fragments_before"] == before["fragments"] == 5
    reader = reopened(objects)
    assert ids_of(reader) == expected
    assert reader.live.fragments == 1
    removed = table.optimize(history=timedelta(0))
    assert removed["versions_removed"] >= before["versions"]
    assert ids_of(reopened(objects)) == expected
    assert reopened(objects).stats()["versions"] == 1


def test_optimize_shows_nothing_of_a_build_under_way(objects: S3ObjectStore, table: LanceTable) -> None:
    serving = table.upsert(corpus_rows(["a"]))
    for name in ("b", "c"):
        table.files.merge(corpus_rows([name]))
    report = table.optimize(history=timedelta(0))
    assert report["is_compacted"] is False
    now = reopened(objects)
    assert (now.version, ids_of(now)) == (serving, ["a"])
    assert now.stats()["is_ahead"] is True


def test_damaged_pointer_is_named_with_its_remedy(
    objects: S3ObjectStore, tables: LanceTables, table: LanceTable
) -> None:
    objects.put(live_key("people"), b"{not json")
    with pytest.raises(BrokenPointer, match=r"lance/people/live\.json.*index rebuild people"):
        tables.open("people")
    assert tables.names() == ["people"]


def test_damaged_files_are_an_error_of_their_table_alone(objects: S3ObjectStore, tables: LanceTables) -> None:
    for name in ("good", "bad"):
        tables.create(name, corpus_schema(DIMENSION), info=INFO).upsert(corpus_rows(["a"]))
    for info in list_all(objects, "lance/bad.lance/data/"):
        objects.put(info.key, b"garbage" * 50)
    with pytest.raises(BrokenFiles, match=r"lance/bad\.lance"):
        ids_of(reopened(objects, "bad"))
    for info in list_all(objects, "lance/bad.lance/data/"):
        objects.delete(info.key)
    with pytest.raises(BrokenFiles):
        ids_of(reopened(objects, "bad"))
    assert ids_of(reopened(objects, "good")) == ["a"]


def test_store_that_never_answers_is_an_error_in_time(objects: S3ObjectStore, table: LanceTable) -> None:
    with silent_server() as port:
        at = objects.location
        silent = S3Location(
            f"http://127.0.0.1:{port}", at.bucket, at.region, at.access_key_id, at.secret_access_key, 0.2, 0.3, 1
        )
        with pytest.raises(StoreUnavailable):
            LanceTables(silent, S3ObjectStore(silent)).names()
        # The pointer is known and the store dies then: opening the files must not hang either.
        with pytest.raises(StoreUnavailable):
            ids_of(LanceTable(LanceTables(silent, objects)._engine, table.pointer, table.live))


def _write(location: S3Location, writer: int, rounds: int) -> None:
    objects = S3ObjectStore(location)
    table = LanceTables(location, objects).open("people")
    assert table is not None
    for n in range(rounds):
        table.upsert(corpus_rows([f"own-{writer}-{n}", f"shared-{n}"], text=f"w{writer}"))


def test_two_processes_lose_nothing_and_double_nothing(objects: S3ObjectStore, table: LanceTable) -> None:
    workers = [context().Process(target=_write, args=(objects.location, w, 12)) for w in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [w.exitcode for w in workers] == [0, 0]
    table.refresh()
    expected = [f"own-{w}-{n}" for w in range(2) for n in range(12)] + [f"shared-{n}" for n in range(12)]
    assert ids_of(table) == sorted(expected)


def test_writers_deleters_and_optimize_at_once_lose_nothing(store_process: StoreServer, table: LanceTable) -> None:
    errors: list[BaseException] = []

    def run(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    def add(writer: int) -> None:
        for n in range(8):
            table.upsert(corpus_rows([f"{writer}-{n}", f"gone-{writer}-{n}"]))
            table.delete([f"gone-{writer}-{n}"])

    threads = [threading.Thread(target=run, args=(lambda w=w: add(w),)) for w in range(4)]
    threads.append(threading.Thread(target=run, args=(lambda: [table.optimize() for _ in range(4)],)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    table.refresh()
    assert ids_of(table) == sorted(f"{w}-{n}" for w in range(4) for n in range(8))


def test_store_that_fails_within_is_told_with_where_to_look() -> None:
    with pytest.raises(StoreUnavailable, match="whether its disk is full"), translated("lance/x.lance"):
        raise OSError("LanceError(IO): Generic S3 error: Server returned non-2xx status code: 500")
