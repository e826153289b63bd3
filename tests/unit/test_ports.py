"""Ports that cannot be had, told before anything starts."""

from __future__ import annotations

import pytest

from lakehouse.errors import Conflict
from lakehouse.settings import load_settings
from lakehouse_cli.children import make_children
from lakehouse_cli.ports import PortNeed, require_free
from tests.servers import free_port_block


def test_port_that_two_of_ours_want_is_refused_by_both_settings() -> None:
    port = free_port_block(1)
    store = PortNeed(port, "the embedded store", "LAKEHOUSE_EMBEDDED_S3_PORT")
    code = PortNeed(port, "dagster-code", "LAKEHOUSE_DAGSTER_PORT")
    require_free([store])
    with pytest.raises(Conflict) as refused:
        require_free([store, code])
    assert refused.value.detail == (
        f"port {port} is wanted by the embedded store (LAKEHOUSE_EMBEDDED_S3_PORT) and by dagster-code"
        " (LAKEHOUSE_DAGSTER_PORT): the store takes eight ports from its own on, Dagster takes its own and the next;"
        " put one of them elsewhere"
    )


def test_ports_side_by_side_are_too_near_for_store_and_dagster() -> None:
    first = free_port_block(12)
    settings = load_settings(
        {
            "LAKEHOUSE_API_PORT": str(first),
            "LAKEHOUSE_DAGSTER_PORT": str(first + 1),
            "LAKEHOUSE_EMBEDDED_S3_PORT": str(first + 2),
        },
        env_file=None,
    )
    with pytest.raises(Conflict, match=f"port {first + 2} is wanted by"):
        require_free(need for child in make_children(settings) for need in child.ports)
