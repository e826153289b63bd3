"""The stored form of a manifest, its ids and fingerprints: formats that other machines and years read."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.catalog.manifest import BrokenManifest, Column, DataObject, Manifest
from lakehouse.catalog.names import dataset_id, schema_fingerprint

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)

GOLDEN = (
    b'{"columns":[{"name":"worker_id","pii":false,"type":"BIGINT"},{"name":"email","pii":true,"type":"VARCHAR"}],'
    b'"commit_id":"0198c0de-0000-7000-8000-000000000001","committed_by":"tester",'
    b'"created_at":"2026-03-04T05:06:07.000089Z","dataset_id":"4ee908eb-05e4-5c26-a4ad-4ca54bb01062",'
    b'"deleted_at":null,"format_version":1,"name":"workers","note":"",'
    b'"objects":[{"key":"datasets/workers/fp/abc.parquet","row_count":3,"sha256":"abc","size":42,"source_etag":"e1",'
    b'"source_key":"landing/workers/a.csv","source_options":"","source_sha256":"def"}],'
    b'"parent_version":null,"previous_deleted_at":null,"row_count":3,'
    b'"schema_fingerprint":"FINGERPRINT","skipped":[],'
    b'"updated_at":"2026-03-04T05:06:07.000089Z","version":1}'
)


def manifest() -> Manifest:
    return Manifest(
        dataset_id=dataset_id("workers"),
        name="workers",
        columns=(Column("worker_id", "BIGINT"), Column("email", "VARCHAR", pii=True)),
        objects=(
            DataObject("datasets/workers/fp/abc.parquet", 42, "abc", "def", 3, "", "landing/workers/a.csv", "e1"),
        ),
        version=1,
        commit_id="0198c0de-0000-7000-8000-000000000001",
        created_at=MOMENT,
        updated_at=MOMENT,
        committed_by="tester",
    )


def golden() -> bytes:
    fingerprint = hashlib.sha256(b"worker_id\x1fBIGINT\x1eemail\x1fVARCHAR\x1e").hexdigest()
    return GOLDEN.replace(b"FINGERPRINT", fingerprint.encode())


def test_stored_bytes_are_the_golden_ones() -> None:
    assert manifest().to_json() == golden()


def test_golden_bytes_read_back_whole() -> None:
    assert Manifest.from_json(golden(), key="k") == manifest()


def test_dataset_id_is_the_same_on_every_machine() -> None:
    assert dataset_id("workers") == "4ee908eb-05e4-5c26-a4ad-4ca54bb01062"


def test_fingerprint_follows_header_order_and_ignores_pii() -> None:
    assert schema_fingerprint([("a", "BIGINT"), ("b", "VARCHAR")]) != schema_fingerprint(
        [("b", "VARCHAR"), ("a", "BIGINT")]
    )
    marked = Manifest.from_json(golden().replace(b'"pii":true', b'"pii":false'), key="k")
    assert marked.schema_fingerprint == manifest().schema_fingerprint


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=4))
def test_fingerprint_tells_neighbouring_names_and_types_apart(columns: list[tuple[str, str]]) -> None:
    clean = [(n.replace("\x1f", "").replace("\x1e", ""), t.replace("\x1f", "").replace("\x1e", "")) for n, t in columns]
    shifted = [(n + "x", t) for n, t in clean]
    assert schema_fingerprint(clean) != schema_fingerprint(shifted)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-20],
        lambda body: b"[]",
        lambda body: b"null",
        lambda body: body.replace(b'"version":1', b'"version":"one"'),
        lambda body: body.replace(b'"type":"BIGINT"', b'"type":"DOUBLE"'),
        lambda body: body.replace(b'"format_version":1', b'"format_version":2'),
        lambda body: orjson.dumps({k: v for k, v in orjson.loads(body).items() if k != "objects"}),
    ],
)
def test_damaged_bytes_are_a_broken_manifest_that_names_its_key(damage) -> None:
    with pytest.raises(BrokenManifest, match=r"catalog/manifests/workers\.json"):
        Manifest.from_json(damage(golden()), key="catalog/manifests/workers.json")
