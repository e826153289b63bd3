"""Versioned configs on the real store and the fake: written once, one live, rolled back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.storage.objects import ObjectStore
from tests.fakes.objects import MemoryObjects


@pytest.fixture(params=["seaweedfs", "memory"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return MemoryObjects() if request.param == "memory" else request.getfixturevalue("objects")


def test_config_that_was_never_set_is_version_0(store: ObjectStore) -> None:
    live = ConfigStore(store).live("search")
    assert (live.version, dict(live.document)) == (0, {})


def test_published_config_is_live_and_named(store: ObjectStore) -> None:
    configs = ConfigStore(store)
    assert configs.publish("search", {"k": 3}, by="ann", note="fewer").version == 1
    assert configs.publish("search", {"k": 5}, by="bob").version == 2
    live = configs.live("search")
    assert (live.version, dict(live.document), live.by) == (2, {"k": 5}, "bob")
    assert [(v.version, v.by, v.note) for v in configs.versions("search")] == [(2, "bob", ""), (1, "ann", "fewer")]


def test_rolling_back_makes_an_old_version_live(store: ObjectStore) -> None:
    configs = ConfigStore(store)
    configs.publish("search", {"k": 3}, by="ann")
    configs.publish("search", {"k": 5}, by="ann")
    configs.set_live("search", 1)
    assert dict(configs.live("search").document) == {"k": 3}
    assert configs.publish("search", {"k": 7}, by="ann").version == 3
    with pytest.raises(NotFound, match="no version 9"):
        configs.set_live("search", 9)


def test_built_in_default_can_be_made_live_again(store: ObjectStore) -> None:
    configs = ConfigStore(store)
    configs.publish("search", {"k": 3}, by="ann")
    configs.set_live("search", 0)
    live = configs.live("search")
    assert (live.version, dict(live.document)) == (0, {})


def test_racing_writers_lose_no_version(store: ObjectStore) -> None:
    configs = ConfigStore(store)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: configs.publish("search", {"k": n + 1}, by="ann"), range(8)))
    assert sorted(v.version for v in made) == list(range(1, 9))
    assert len(configs.versions("search")) == 8


def test_damaged_pointer_is_named(store: ObjectStore) -> None:
    store.put("config/search/live.json", b"{")
    with pytest.raises(BadInput, match=r"config/search/live\.json"):
        ConfigStore(store).live("search")


def test_damaged_pointer_is_mended_by_setting_a_version_live(store: ObjectStore) -> None:
    configs = ConfigStore(store)
    configs.publish("search", {"k": 3}, by="ann")
    store.put("config/search/live.json", b"{")
    configs.set_live("search", 1)
    assert dict(configs.live("search").document) == {"k": 3}


@pytest.mark.parametrize("body", [b"{", b"{}", b"[]", b"3"])
def test_damaged_version_hides_no_other_and_holds_up_no_new_one(store: ObjectStore, body: bytes) -> None:
    configs = ConfigStore(store)
    configs.publish("search", {"k": 1}, by="ann")
    store.put("config/search/7.json", body)
    assert [version.version for version in configs.versions("search")] == [1]
    with pytest.raises(BadInput, match=r"config/search/7\.json"):
        configs.get("search", 7)
    assert configs.publish("search", {"k": 2}, by="ann").version == 8
    assert configs.live("search").version == 8
