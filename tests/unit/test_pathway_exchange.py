"""A line of pathways that is none is named, without an API."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from lakehouse.client import Client
from lakehouse.client.pathway_exchange import take_pathways
from lakehouse.errors import BadInput

LINE = {"format": "lakehouse.exchange/1", "kind": "pathway", "uid": "u", "content": "how", "predecessor_uid": None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": ["pathway"]}, "line 2 is none of lakehouse.exchange/1, kind pathway"),
        ({"predecessor_uid": ["u"]}, "line 2: predecessor_uid must be a text or null"),
    ],
)
def test_line_that_is_none_is_named(change: dict[str, Any], said: str) -> None:
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (LINE, {**LINE, **change}))
    with Client("http://127.0.0.1:1", token="t") as client, pytest.raises(BadInput) as refused:
        take_pathways(client, io.BytesIO(lines), is_dry=True)
    assert said in refused.value.detail
