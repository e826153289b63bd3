"""What every `ObjectStore` does, on the real server and on the fake in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.s3_direct import DirectObjects
from lakehouse.clock import utc_now
from lakehouse.errors import NotFound, PreconditionFailed
from lakehouse.storage.objects import ObjectStore, list_all
from tests.fakes.objects import MemoryObjects


@pytest.fixture(params=["seaweedfs", "seaweedfs, asked directly", "memory"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects()
    objects: S3ObjectStore = request.getfixturevalue("objects")
    return objects if request.param == "seaweedfs" else DirectObjects(objects.location)


def test_put_object_is_read_back_whole(store: ObjectStore) -> None:
    written = store.put("files/a.txt", b"content")
    stored = store.get("files/a.txt")
    assert stored.body == b"content"
    assert (stored.info.key, stored.info.size, stored.info.etag) == ("files/a.txt", 7, written.etag)
    assert abs((utc_now() - stored.info.modified_at).total_seconds()) < 60


def test_key_with_any_characters_is_itself_everywhere(store: ObjectStore) -> None:
    keys = ["a b+c", "naïve☃/x", "100%25 %", "q?a=b&c#d", "tilde~(x)'!*,;:@$=", "a%2Fb"]
    for key in keys:
        written = store.put(f"files/{key}", key.encode(), if_absent=True)
        assert store.get(f"files/{key}").body == key.encode()
        store.put(f"files/{key}", key.encode(), if_match=written.etag)
    assert sorted(info.key for info in list_all(store, "files/")) == sorted(f"files/{key}" for key in keys)
    assert [info.key for info in store.list("files/a b+").objects] == ["files/a b+c"]
    assert store.folders("files/") == ["naïve☃"]


def test_put_file_is_streamed_from_disk(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"0123456789" * 300_000)
    assert store.put("files/big", path).size == 3_000_000
    with store.open("files/big") as reader:
        assert b"".join(reader.chunks()) == path.read_bytes()


def test_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("files/empty", b"")
    assert store.get("files/empty").body == b""


def test_missing_key_is_not_found(store: ObjectStore) -> None:
    assert store.head("files/none") is None
    with pytest.raises(NotFound):
        store.get("files/none")
    with pytest.raises(NotFound), store.open("files/none"):
        pass


def test_span_gives_both_ends(store: ObjectStore) -> None:
    store.put("files/a", b"0123456789")
    with store.open("files/a", span=(2, 4)) as reader:
        assert b"".join(reader.chunks()) == b"234"


def test_open_with_another_etag_is_refused(store: ObjectStore) -> None:
    etag = store.put("files/a", b"one").etag
    with store.open("files/a", if_match=etag) as reader:
        assert b"".join(reader.chunks()) == b"one"
    with pytest.raises(PreconditionFailed), store.open("files/a", if_match="0" * 32):
        pass


def test_put_if_absent_is_refused_where_something_is(store: ObjectStore) -> None:
    store.put("files/a", b"one", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put("files/a", b"two", if_absent=True)
    assert store.get("files/a").body == b"one"


def test_put_if_match_swaps_only_what_was_read(store: ObjectStore) -> None:
    first = store.put("files/a", b"one")
    second = store.put("files/a", b"two", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        store.put("files/a", b"three", if_match=first.etag)
    assert store.head("files/a") is not None
    assert store.get("files/a").info.etag == second.etag


def test_racing_first_writes_have_one_winner(store: ObjectStore) -> None:
    def write(number: int) -> bool:
        try:
            store.put("files/race", str(number).encode(), if_absent=True)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(16))) == 1


def test_delete_is_repeatable(store: ObjectStore) -> None:
    store.put("files/a", b"x")
    store.delete("files/a")
    store.delete("files/a")
    assert store.head("files/a") is None


def test_listing_pages_in_key_order(store: ObjectStore) -> None:
    names = ["files/b", "files/a/2", "files/a/1", "files/c", "other/x"]
    for name in names:
        store.put(name, b"x")
    page = store.list("files/", limit=2)
    assert [info.key for info in page.objects] == ["files/a/1", "files/a/2"]
    assert page.is_truncated
    assert [info.key for info in store.list("files/", start_after=page.next or "").objects] == ["files/b", "files/c"]
    assert [info.key for info in list_all(store, "", page_size=2)] == sorted(names)


def test_listing_that_ends_with_its_page_is_not_truncated(store: ObjectStore) -> None:
    store.put("files/a", b"x")
    store.put("files/b", b"x")
    assert store.list("files/", limit=2).next is None
    assert store.list("nothing/").objects == ()


def test_copy_onto_itself_keeps_the_content(store: ObjectStore) -> None:
    store.put("files/a", b"x")
    assert store.copy("files/a", "files/a").size == 1
    assert store.copy("files/a", "files/b").key == "files/b"
    assert store.get("files/b").body == b"x"


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_listing_in_pages_gives_every_key_once_where_keys_are_folders_too(store: ObjectStore, page_size: int) -> None:
    names = ("a", "a/b", "a/c", "a/c/e", "a-1", "a!", "d", "2024/0", "2024 x", "2024-1", "2024.csv")
    keys = [f"z/{name}" for name in names]
    for key in keys:
        store.put(key, b"x")
    listed = [info.key for info in list_all(store, "z/", page_size=page_size)]
    assert sorted(listed) == sorted(keys)


def test_folders_are_those_directly_under_the_prefix(store: ObjectStore) -> None:
    for key in ("log/t/b/1", "log/t/b/2", "log/t/a/x/y", "log/t/lease.json", "log/u/c/1", "log/t-/d/1"):
        store.put(key, b"x")
    assert store.folders("log/t/") == ["a", "b"]
    assert store.folders("log/") == ["t", "t-", "u"]
    assert store.folders("log/t/", after="a") == ["b"]
    assert store.folders("log/t/", after="b") == []
    assert store.folders("nothing/") == []


@pytest.mark.slow
def test_more_folders_than_a_page_are_all_named(store: ObjectStore) -> None:
    names = [f"{number:05d}" for number in range(1_100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(f"many/{name}/1", b"x"), names))
    assert store.folders("many/") == names
    assert store.folders("many/", after="01050") == names[1051:]
