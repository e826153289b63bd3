"""Doctor's checks that ask servers: each fault is found, named, and comes with a remedy."""

from __future__ import annotations

from pathlib import Path

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.settings import Settings, load_settings
from lakehouse.storage.objects import ObjectInfo, list_all
from lakehouse_cli.doctor_services import check_api, check_conditional_writes, check_dagster, check_store
from tests.ingesting import IngestDesk
from tests.servers import free_port_block, silent_server


class CarelessStore(S3ObjectStore):
    """A store as some gateways are: it takes conditional writes and ignores the condition."""

    def put(
        self,
        key: str,
        body: bytes | Path,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        del if_match, if_absent
        return super().put(key, body, content_type=content_type)


def settings_for(store: S3ObjectStore, folder: Path, **changes: str) -> Settings:
    location = store.location
    return load_settings(
        {
            "LAKEHOUSE_DATA_DIR": str(folder),
            "LAKEHOUSE_S3_ENDPOINT": str(location.endpoint),
            "LAKEHOUSE_S3_BUCKET": location.bucket,
            "LAKEHOUSE_S3_ACCESS_KEY_ID": str(location.access_key_id),
            "LAKEHOUSE_S3_SECRET_ACCESS_KEY": str(location.secret_access_key),
            "LAKEHOUSE_S3_CONNECT_TIMEOUT_S": "0.5",
            "LAKEHOUSE_S3_READ_TIMEOUT_S": "0.5",
            "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
            **changes,
        },
        env_file=None,
    )


def test_store_that_keeps_conditions_is_fine_and_nothing_is_left_in_it(objects: S3ObjectStore, tmp_path: Path) -> None:
    findings = list(check_store(settings_for(objects, tmp_path)))
    assert [(f.check, f.verdict) for f in findings] == [("store", "ok"), ("catalog", "ok")]
    assert list(list_all(objects, "")) == []


def test_store_that_ignores_conditions_is_a_problem(objects: S3ObjectStore) -> None:
    finding = check_conditional_writes(CarelessStore(objects.location))
    assert finding.verdict == "problem"
    assert "If-None-Match: * and If-Match" in finding.message
    assert list(list_all(objects, "")) == []


def test_broken_manifest_is_named_with_the_way_to_restore_it(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put("catalog/manifests/workers.json", b"{")
    (finding,) = [f for f in check_store(settings_for(objects, tmp_path)) if f.verdict == "problem"]
    assert finding.message.startswith("workers: ")
    assert "catalog/versions/workers/" in finding.remedy


def test_store_that_never_answers_is_found_within_its_deadline(objects: S3ObjectStore, tmp_path: Path) -> None:
    with silent_server() as port:
        settings = settings_for(objects, tmp_path, LAKEHOUSE_S3_ENDPOINT=f"http://127.0.0.1:{port}")
        (finding,) = check_store(settings)
    assert finding.verdict == "problem"
    assert "LAKEHOUSE_S3_ENDPOINT" in finding.remedy


def test_services_that_are_away_are_problems_with_a_remedy(objects: S3ObjectStore, tmp_path: Path) -> None:
    first = free_port_block(2)
    ports = {"LAKEHOUSE_API_PORT": str(first), "LAKEHOUSE_DAGSTER_PORT": str(first + 1)}
    settings = settings_for(objects, tmp_path, **ports)
    for check in (check_api, check_dagster):
        (finding,) = check(settings)
        assert (finding.verdict, finding.remedy) == ("problem", "lakehouse up")


def test_missing_file_of_a_dataset_is_named_and_the_remedy_brings_it_back(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    desk, settings = IngestDesk(objects, tmp_path), settings_for(objects, tmp_path)
    lost = desk.load("id\n1\n", "workers").manifest.objects[0]
    desk.load("id\n2\n", "others")
    objects.delete(lost.key)
    (finding,) = [f for f in check_store(settings) if f.verdict == "problem"]
    assert finding.message.startswith("workers: 1 of its files")
    assert lost.key in finding.message
    assert finding.remedy == "DELETE /v1/catalog/workers, then ingest it again"
    desk.catalog.delete("workers")
    assert desk.load("id\n1\n", "workers").manifest.version > 1
    assert [f.verdict for f in check_store(settings)] == ["ok", "ok"]
    assert desk.rows("workers") == [(1,)]
