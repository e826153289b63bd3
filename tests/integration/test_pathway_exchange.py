"""Pathways as JSON lines: out of a running API and in again, revisions behind what they revise."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.client import Client
from lakehouse.client.pathway_exchange import take_pathways, write_pathways
from lakehouse.errors import BadInput
from tests.api import TOKEN, api_process


@pytest.fixture
def client(objects: S3ObjectStore, tmp_path: Path) -> Iterator[Client]:
    with api_process(objects, tmp_path / "api", pathway_embedder="static") as api, Client(api.url, TOKEN) as made:
        yield made


def test_traces_go_out_and_come_in(client: Client) -> None:
    first = client.pathway.add({"task": "fill a night shift", "steps": ["search", "call"]}, tags=["fill"])
    assert first["uid"] is not None
    better = client.pathway.revise(first["uid"], {"task": "fill a night shift", "steps": ["call", "confirm"]})
    other = client.pathway.add("naïve: ask twice")
    gone = client.pathway.add("what nobody should do")
    client.pathway.retire(str(gone["uid"]), "wrong")
    file = io.BytesIO()
    assert write_pathways(client, file) == 3
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line["uid"] for line in lines] == [first["uid"], better["uid"], other["uid"]]
    assert lines[1]["predecessor_uid"] == first["uid"]
    looked_at = take_pathways(client, io.BytesIO(file.getvalue()), is_dry=True)
    assert (looked_at.traces, looked_at.known) == (3, None)  # not 0: the lake was not asked

    for trace in (first, better, other):
        client.pathway.retire(str(trace["uid"]), "to come in again")
    taken = take_pathways(client, io.BytesIO(file.getvalue()))
    assert (taken.traces, taken.known) == (3, 0)
    [found] = client.pathway.search("night shift", tags=["fill"])
    assert found["content"] == {"task": "fill a night shift", "steps": ["call", "confirm"]}
    history = client.pathway.history(found["uid"])
    assert [trace["content"]["steps"] for trace in history["traces"]] == [["call", "confirm"], ["search", "call"]]


def test_line_that_is_none_is_named(client: Client) -> None:
    with pytest.raises(BadInput, match="line 1 is none of"):
        take_pathways(client, io.BytesIO(b'{"content": "x"}\n'))
