"""Methods of the Python clients, as an editor, `help` and a mistake show them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from lakehouse.client import AsyncClient, Client, LakehouseInputError


@pytest.fixture(params=[Client, AsyncClient])
def lake(request: pytest.FixtureRequest) -> Any:
    return request.param("http://127.0.0.1:9", "token")


def test_types_of_the_client_are_known_to_type_checkers() -> None:
    assert files("lakehouse").joinpath("py.typed").is_file()


def test_method_has_its_own_name_and_the_type_of_its_result(lake: Any) -> None:
    assert lake.playbook.feedback.__name__ == "feedback"
    signature = inspect.signature(lake.playbook.feedback)
    assert (list(signature.parameters), signature.return_annotation) == (["playbook_id", "score"], "Recorded")
    assert inspect.signature(lake.vectors.search).return_annotation == "list[IndexResult]"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda lake: lake.datasets.ingest("a.csv", "people"), r"^ingest: too many .*ingest\(file, \*, name, mode=…"),
        (
            lambda lake: lake.playbook.feedback("p"),
            r"^feedback: .*'score'; it is called as feedback\(playbook_id, score\)$",
        ),
        (lambda lake: lake.sql("SELECT 1", rows=1), r"^sql: .*'rows'; it is called as sql\(query, \*, max_rows=…"),
        (lambda lake: lake.vectors.upsert("a", [1]), r"^items must be dicts"),
    ],
)
def test_arguments_that_do_not_fit_are_told_by_the_method(call: Callable[[Any], Any], told: str, lake: Any) -> None:
    with pytest.raises(TypeError, match=told):
        _begun(call(lake))


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_token_as_it_stands_in_a_file_is_sent_without_its_line_break(client: Any) -> None:
    lake = client("http://127.0.0.1:9", "secret-token\n")
    assert lake._http.headers["Authorization"] == "Bearer secret-token"


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("token", ["secret\ntoken", "sécret", "secret\x00"])
def test_token_that_cannot_be_sent_is_told_without_showing_it(client: Any, token: str) -> None:
    with pytest.raises(LakehouseInputError, match=r"^the token cannot be sent: character \d of it") as refused:
        client("http://127.0.0.1:9", token)
    assert token not in str(refused.value)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "ftp://lake", ""])
def test_address_without_http_is_told(client: Any, url: str) -> None:
    with pytest.raises(LakehouseInputError, match="must begin with http:// or https://"):
        client(url, "token")


def _begun(result: Any) -> None:
    """A coroutine begins when it is awaited."""
    result.send(None)
