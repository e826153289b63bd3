"""A store behind TLS whose certificate only a file of the settings vouches for: every client of the store takes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from lakehouse.adapters.connect import connect_store, read_location
from lakehouse.adapters.duckdb_s3 import open_way
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.s3_keys import KeySource
from lakehouse.errors import StoreUnavailable
from lakehouse.settings import SettingsError, load_settings
from lakehouse.tables.corpus import corpus_schema
from tests.api import clean_environ
from tests.lance_rows import corpus_rows
from tests.tls import TlsFront, tls_front

# Lance reads certificates once per process, so each case is a process of its own.
COUNT_ROWS = """
from lakehouse.adapters.connect import connect_store, store_location
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.settings import load_settings
settings = load_settings(env_file=None)
table = LanceTables(store_location(settings), connect_store(settings)).open("people")
print(sum(batch.num_rows for batch in table.scan(["id"])))
"""

# What HTTP clients go by: first those of a child that inherits the real environment, as Dagster's runs do.
CHILDS_CERTIFICATES = """
import os, subprocess, sys
from lakehouse.adapters.connect import connect_store, store_location
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.settings import load_settings
settings = load_settings(env_file=None)
LanceTables(store_location(settings), connect_store(settings))
ask = "print(os.environ.get('SSL_CERT_FILE'), flush=True)"
load = "import os; from lakehouse.settings import load_settings; load_settings(env_file=None); "
subprocess.run([sys.executable, "-c", load + ask], check=True)
exec(ask)
"""


@pytest.fixture
def front(objects: S3ObjectStore, tmp_path: Path) -> Iterator[TlsFront]:
    with tls_front(int((objects.location.endpoint or "").rpartition(":")[2]), tmp_path / "tls") as opened:
        yield opened


def environ(objects: S3ObjectStore, front: TlsFront, folder: Path, **more: str) -> dict[str, str]:
    """Settings of the bucket behind TLS."""
    at = objects.location
    assert at.access_key_id is not None
    assert at.secret_access_key is not None
    return {
        "LAKEHOUSE_DATA_DIR": str(folder / "data"),
        "LAKEHOUSE_S3_ENDPOINT": front.url,
        "LAKEHOUSE_S3_BUCKET": at.bucket,
        "LAKEHOUSE_S3_ACCESS_KEY_ID": at.access_key_id,
        "LAKEHOUSE_S3_SECRET_ACCESS_KEY": at.secret_access_key,
        "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
        **more,
    }


@pytest.mark.parametrize("variable", ["LAKEHOUSE_S3_CA_FILE", "AWS_CA_BUNDLE"])
def test_store_whose_certificate_a_file_vouches_for_is_used_by_objects_sql_and_lance(
    objects: S3ObjectStore, front: TlsFront, tmp_path: Path, variable: str
) -> None:
    env = environ(objects, front, tmp_path, **{variable: str(front.ca_file)})
    settings = load_settings(env, env_file=None)
    store = connect_store(settings)
    store.put("files/a.csv", b"id\n1\n2\n")
    assert store.get("files/a.csv").body == b"id\n1\n2\n"
    at = read_location(settings)
    with duckdb.connect() as engine:
        open_way(
            engine, endpoint=at.endpoint, region=at.region, keys=KeySource(at).current(),
            read_timeout_s=at.read_timeout_s, ca_file=at.ca_file,
        )  # fmt: skip
        assert engine.execute(f"SELECT count(*) FROM 's3://{at.bucket}/files/a.csv'").fetchall() == [(2,)]
    table = LanceTables(objects.location, objects).create("people", corpus_schema(4), info={})
    table.append(corpus_rows(["n1", "n2", "n3"]))
    done = subprocess.run(
        [sys.executable, "-c", COUNT_ROWS],
        check=False,
        env={**clean_environ(), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


@pytest.mark.parametrize("own", [None, "/etc/ssl/own.pem"])
def test_certificates_of_the_store_are_not_those_that_clients_of_a_child_go_by(
    objects: S3ObjectStore, front: TlsFront, tmp_path: Path, own: str | None
) -> None:
    env = environ(objects, front, tmp_path, LAKEHOUSE_S3_CA_FILE=str(front.ca_file))
    clean = {name: value for name, value in clean_environ().items() if name != "SSL_CERT_FILE"}
    done = subprocess.run(
        [sys.executable, "-c", CHILDS_CERTIFICATES],
        check=False,
        env={**clean, **env, **({} if own is None else {"SSL_CERT_FILE": own})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.split()) == (0, [str(own), str(own)]), done.stderr


def test_store_whose_certificate_nobody_vouches_for_is_told_with_the_remedy(
    objects: S3ObjectStore, front: TlsFront, tmp_path: Path
) -> None:
    store = connect_store(load_settings(environ(objects, front, tmp_path), env_file=None))
    with pytest.raises(StoreUnavailable, match=r"certificate is not trusted .*LAKEHOUSE_S3_CA_FILE"):
        store.get("files/a.csv")


def test_file_of_certificates_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name, said in (("gone.pem", "is not there"), ("empty.pem", "holds no certificates")):
        with pytest.raises(SettingsError, match=f"LAKEHOUSE_S3_CA_FILE: .*{said}"):
            load_settings({"LAKEHOUSE_S3_CA_FILE": str(tmp_path / name)}, env_file=None)
