"""A store that is not ours, at the start: its bucket is made, and one that nothing could be kept in is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.store_probe import require_store
from lakehouse.errors import StoreUnavailable
from lakehouse.storage.objects import list_all
from lakehouse_cli.doctor_services import check_store
from lakehouse_cli.start import Installation, start_all
from tests.integration.test_doctor import CarelessStore, settings_for
from tests.servers import StoreServer, free_port_block
from tests.sub_path import under_sub_path


def test_bucket_that_is_missing_is_made(store_process: StoreServer) -> None:
    store = S3ObjectStore(store_process.location(bucket="made-at-start"))
    require_store(store)
    assert list(list_all(store, "")) == []
    store_process.drop_bucket("made-at-start")


def test_store_that_ignores_conditions_is_refused(objects: S3ObjectStore) -> None:
    with pytest.raises(StoreUnavailable, match="two writers would lose updates; use a store with"):
        require_store(CarelessStore(objects.location))


def test_store_behind_a_proxy_that_spoils_signatures_starts_nothing_and_says_what_to_do(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    port = int((objects.location.endpoint or "").rpartition(":")[2])
    with under_sub_path(port, "/s3") as url:
        settings = settings_for(
            objects, tmp_path, LAKEHOUSE_S3_ENDPOINT=url, LAKEHOUSE_S3_READ_TIMEOUT_S="10",
            LAKEHOUSE_API_PORT=str(free_port_block(1)), LAKEHOUSE_DAGSTER_PORT=str(free_port_block(1)),
        )  # fmt: skip
        store = connect_store(settings)
        store.put("files/plain", b"1")  # some keys pass: only a trial of others tells
        assert store.get("files/plain").body == b"1"
        finding = next(found for found in check_store(settings) if found.verdict == "problem")
        assert "let a proxy before the store pass host and path on as they come" in finding.message
        installation = Installation(settings)
        with pytest.raises(StoreUnavailable, match=r"proxy before the store .*nothing was started"):
            start_all(installation, Console(quiet=True))
    assert installation.table.names() == []


def test_store_that_does_not_answer_starts_nothing_and_names_the_setting(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    settings = settings_for(objects, tmp_path, LAKEHOUSE_S3_ENDPOINT=f"http://127.0.0.1:{free_port_block(1)}")
    with pytest.raises(StoreUnavailable, match=r"did not answer .*LAKEHOUSE_S3_ENDPOINT"):
        start_all(Installation(settings), Console(quiet=True))
