"""Ingest: files become content-addressed Parquet and a version in the catalog.

Belongs here: options, the grammar of values, the exact CSV scanner, the use cases over Protocols. Not here: DuckDB and
processes (see lakehouse/adapters/conversion.py), HTTP (see lakehouse_api/routes/ingest.py).
"""

from lakehouse.ingest.ingester import Ingester, IngestResult
from lakehouse.ingest.options import IngestOptions, make_options

__all__ = ["IngestOptions", "IngestResult", "Ingester", "make_options"]
