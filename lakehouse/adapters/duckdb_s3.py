"""DuckDB's way to S3: the httpfs extension from its wheel, and a secret for one endpoint.

Belongs here: what every engine that reads the bucket needs. Not here: what else an engine may do (see duckdb_engine.py,
parquet_inspection.py).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lakehouse.adapters.s3_keys import S3Keys
from lakehouse.errors import StoreUnavailable
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUICK_LOAD: dict[str, str | bool | int | float | list[str]] = {"allow_unsigned_extensions": True}
"""For the config of an engine, so that `open_way` takes milliseconds: DuckDB would hash the extension's 21 MB again for
each engine, 0.14 s of processor time. The lock file holds the hash of its wheel, as of all native code here."""


def httpfs_file() -> Path:
    """The extension's file in its wheel; it cannot be downloaded, and need not be.

    Raises:
        StoreUnavailable: The wheel is not there.
    """
    import duckdb

    spec = find_spec("duckdb_extension_httpfs")
    if spec is None or spec.origin is None:
        raise StoreUnavailable("the package duckdb-extension-httpfs is not installed; run `make setup`")
    return Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


def open_way(
    engine: DuckDBPyConnection,
    *,
    endpoint: str | None,
    region: str,
    keys: S3Keys,
    read_timeout_s: float,
    ca_file: Path | None = None,
) -> None:
    """Let an engine read S3.

    Args:
        engine: A new engine; what it may load is signed from here on, whatever its config.
        endpoint: URL of the store; None means AWS.
        region: Its region.
        keys: Who asks.
        read_timeout_s: Deadline of each request.
        ca_file: What the store's certificate is checked against; None: the machine's.
    """
    engine.execute(f"LOAD {quote_text(str(httpfs_file()))}")
    engine.execute("SET allow_unsigned_extensions = false")
    engine.execute(f"SET http_timeout = {max(1, round(read_timeout_s))}")
    engine.execute("SET http_retries = 2")
    if ca_file is not None:
        engine.execute(f"SET ca_cert_file = {quote_text(str(ca_file))}")
    engine.execute(_secret(endpoint, region, keys))


def _secret(endpoint: str | None, region: str, keys: S3Keys) -> str:
    texts = {"REGION": region}
    if keys.access_key_id is not None and keys.secret_access_key is not None:
        texts |= {"KEY_ID": keys.access_key_id, "SECRET": keys.secret_access_key}
    if keys.session_token is not None:
        texts["SESSION_TOKEN"] = keys.session_token
    ssl = ""
    if endpoint is not None:
        address = urlsplit(endpoint)
        texts |= {"ENDPOINT": address.netloc + address.path.rstrip("/"), "URL_STYLE": "path"}
        ssl = f", USE_SSL {str(address.scheme == 'https').lower()}"
    listed = ", ".join(f"{name} {quote_text(value)}" for name, value in texts.items())
    return f"CREATE SECRET lake (TYPE s3, {listed}{ssl})"
