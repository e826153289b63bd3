"""Connections: from settings to the object store, embedded or not.

Belongs here: which endpoint and which keys. Not here: starting the embedded server (see lakehouse_cli).
"""

from __future__ import annotations

from pydantic import SecretStr

from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.adapters.seaweedfs import EmbeddedStore, load_or_make_credentials
from lakehouse.settings import Settings


def embedded_store(settings: Settings) -> EmbeddedStore:
    """The embedded store that these settings describe."""
    return EmbeddedStore(settings.data_dir / "store", settings.embedded_s3_port, settings.s3_bucket)


def store_location(settings: Settings) -> S3Location:
    """Endpoint and keys with all rights."""
    if settings.s3_access_key_id is None and settings.is_store_embedded:
        keys = load_or_make_credentials(embedded_store(settings))
        return _location(settings, keys["access_key_id"], keys["secret_access_key"])
    return _location(settings, settings.s3_access_key_id, _reveal(settings.s3_secret_access_key))


def read_location(settings: Settings) -> S3Location:
    """Endpoint and keys with read rights, for SQL; the full keys where no others are set (`doctor` warns of it)."""
    if settings.s3_read_access_key_id is not None:
        return _location(settings, settings.s3_read_access_key_id, _reveal(settings.s3_read_secret_access_key))
    if settings.s3_access_key_id is None and settings.is_store_embedded:
        keys = load_or_make_credentials(embedded_store(settings))
        return _location(settings, keys["read_access_key_id"], keys["read_secret_access_key"])
    return store_location(settings)


def connect_store(settings: Settings) -> S3ObjectStore:
    """An `ObjectStore` for these settings; nothing is asked of the server yet."""
    return open_objects(store_location(settings))


def _location(settings: Settings, access_key_id: str | None, secret_access_key: str | None) -> S3Location:
    return S3Location(
        endpoint=embedded_store(settings).endpoint if settings.s3_endpoint is None else settings.s3_endpoint,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        connect_timeout_s=settings.s3_connect_timeout_s,
        read_timeout_s=settings.s3_read_timeout_s,
        max_attempts=settings.s3_max_attempts,
        ca_file=settings.s3_ca_file,
    )


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
