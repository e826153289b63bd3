"""Files under the key of their content: there once, and young while they are used, whatever garbage collection does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse.clock import utc_now
from lakehouse.errors import NotFound
from lakehouse.storage.objects import ObjectInfo
from lakehouse.storage.publish import RENEW_AFTER, publish, put_once
from tests.fakes.objects import MemoryObjects

KEY = "datasets/d/k.parquet"
OLD = RENEW_AFTER + timedelta(hours=1)


class CollectedObjects(MemoryObjects):
    """Garbage collection takes an object in the moment in which somebody finds it there."""

    is_over = False

    def head(self, key: str) -> ObjectInfo | None:
        if not self.is_over:
            self.is_over = True
            self.delete(key)
        return super().head(key)


class CollectedBeforeTheCopy(MemoryObjects):
    """Garbage collection takes an object between the look at it and the copy that makes it young."""

    def copy(self, source: str, target: str) -> ObjectInfo:
        self.delete(source)
        raise NotFound(f"no object {source!r}", key=source)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    return path


def test_object_that_is_collected_while_it_is_found_is_put_again(file: Path) -> None:
    store = CollectedObjects()
    store.put(KEY, b"x")
    assert store.get(publish(store, file, lambda _: KEY).key).body == b"x"


@pytest.mark.parametrize("is_large", [False, True])
def test_object_that_is_collected_before_it_is_young_is_put_again(file: Path, is_large: bool) -> None:
    store = CollectedBeforeTheCopy()
    store.put(KEY, b"x")
    put_once(store, KEY, file, clock=lambda: utc_now() + OLD, is_large=is_large)
    assert store.get(KEY).body == b"x"


@pytest.mark.parametrize("is_large", [False, True])
def test_old_object_that_is_used_again_is_made_young(file: Path, is_large: bool) -> None:
    now = utc_now()
    store = MemoryObjects(clock=lambda: now)
    put_once(store, KEY, file)
    now += OLD
    put_once(store, KEY, file, clock=lambda: now, is_large=is_large)
    found = store.head(KEY)
    assert found is not None
    assert found.modified_at == now


def test_large_file_that_is_there_is_not_sent_again(file: Path) -> None:
    store = MemoryObjects()
    put_once(store, KEY, file, is_large=True)
    file.unlink()
    put_once(store, KEY, file, is_large=True)
    assert store.get(KEY).body == b"x"
