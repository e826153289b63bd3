"""The Python client of the API: `Client` and `AsyncClient`, with the same calls.

Belongs here: what is public. Not here: the calls (see data_calls.py, retrieval_calls.py), how they are sent (see
transport.py).
"""

from __future__ import annotations

from lakehouse.client.answers import SqlRows
from lakehouse.client.async_client import AsyncClient
from lakehouse.client.problems import ClientError, LakehouseApiError, LakehouseConnectionError, LakehouseInputError
from lakehouse.client.retry import RetryPolicy
from lakehouse.client.sync_client import Client
from lakehouse.client.validation_calls import Validation

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "LakehouseApiError",
    "LakehouseConnectionError",
    "LakehouseInputError",
    "RetryPolicy",
    "SqlRows",
    "Validation",
]
