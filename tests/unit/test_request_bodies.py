"""JSON bodies that pydantic reads: of the type that is asked for, or refused by the field."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lakehouse.errors import BadInput
from lakehouse_api import routes
from lakehouse_api.schemas.answers import AnswerCall
from lakehouse_api.schemas.catalog import Registration
from lakehouse_api.schemas.chat import ChatCall, CompletionRequest
from lakehouse_api.schemas.config import ConfigChange
from lakehouse_api.schemas.embed import EmbeddingsRequest
from lakehouse_api.schemas.matrix import MatrixSearch, PlaybookFeedback
from lakehouse_api.schemas.mcp import SqlToolQuery
from lakehouse_api.schemas.request_body import RequestBody
from lakehouse_api.schemas.sql import SqlQuery
from lakehouse_api.schemas.times import Moment
from lakehouse_api.schemas.vectors import NewIndex
from lakehouse_api.struct_bodies import Body

SQL: dict[str, Any] = {"sql": "SELECT 1"}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello."}], "model": "m"}
TASK: dict[str, Any] = {"task": "Who welds?", "corpora": []}
COLUMNS: dict[str, Any] = {"objects": [{"key": "files/a.parquet"}]}


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        (SqlQuery, SQL | {"max_rows": True}, "max_rows"),
        (SqlQuery, SQL | {"max_rows": "1"}, "max_rows"),
        (SqlQuery, SQL | {"max_rows": 1.5}, "max_rows"),
        (SqlQuery, SQL | {"as_of": 1_700_000_000}, "as_of"),
        (SqlQuery, SQL | {"as_of": "1700000000"}, "as_of"),
        (SqlQuery, SQL | {"as_of": True}, "as_of"),
        (SqlQuery, SQL | {"as_of": "2026-03-01T10:00:00"}, "as_of"),
        (SqlToolQuery, SQL | {"max_rows": True}, "max_rows"),
        (ChatCall, CHAT | {"max_tokens": True}, "max_tokens"),
        (ChatCall, CHAT | {"temperature": "0.5"}, "temperature"),
        (ChatCall, CHAT | {"think": 1}, "think"),
        (ChatCall, CHAT | {"seed": "7"}, "seed"),
        (CompletionRequest, CHAT | {"stream": "true"}, "stream"),
        (CompletionRequest, CHAT | {"n": True}, "n"),
        (CompletionRequest, CHAT | {"logit_bias": {"7": "1"}}, "logit_bias"),
        (CompletionRequest, CHAT | {"stream_options": {"include_usage": 1}}, "stream_options"),
        (AnswerCall, TASK | {"budget_tokens": "900"}, "budget_tokens"),
        (AnswerCall, TASK | {"use_pathway": 1}, "use_pathway"),
        (AnswerCall, TASK | {"config": True}, "config"),
        (ConfigChange, {"version": "3"}, "version"),
        (EmbeddingsRequest, {"input": "a", "model": "m", "dimensions": True}, "dimensions"),
        (NewIndex, {"name": "notes", "dimension": "384"}, "dimension"),
        (Registration, COLUMNS | {"columns": [{"name": "a", "type": "BIGINT", "pii": 1}]}, "columns"),
    ],
)
def test_value_of_another_type_is_refused_by_its_field(model: type[RequestBody], body: Any, field: str) -> None:
    for read in (model.model_validate, lambda given: model.model_validate_json(_json(given))):
        with pytest.raises(ValidationError) as refused:
            read(body)
        assert {error["loc"][0] for error in refused.value.errors()} == {field}


@pytest.mark.parametrize(
    ("model", "body", "field", "value"),
    [
        (SqlQuery, SQL | {"max_rows": 10.0}, "max_rows", 10),
        (ChatCall, CHAT | {"temperature": 1}, "temperature", 1.0),
        (CompletionRequest, CHAT | {"temperature": 0, "n": 1, "logit_bias": {"7": -100}}, "logit_bias", {"7": -100.0}),
        (CompletionRequest, CHAT | {"stop": ["a"], "max_tokens": None, "seed": -1}, "seed", -1),
        (AnswerCall, TASK | {"use_playbook": "auto", "config": 3}, "config", 3),
        (AnswerCall, TASK | {"use_playbook": True, "config": "answer/3"}, "config", "answer/3"),
    ],
)
def test_whole_numbers_are_numbers_of_either_kind(
    model: type[RequestBody], body: Any, field: str, value: object
) -> None:
    for read in (model.model_validate, lambda given: model.model_validate_json(_json(given))):
        taken = getattr(read(body), field)
        assert (taken, type(taken)) == (value, type(value))


def test_time_is_a_text_with_an_offset() -> None:
    moment = TypeAdapter(Moment)
    assert moment.validate_python("2026-03-01T12:00:00+02:00").isoformat() == "2026-03-01T10:00:00+00:00"
    for number in ("20260301", "-1", 1.5, 0, None, [], False):
        with pytest.raises(ValidationError):
            moment.validate_python(number)


def test_every_body_of_a_route_is_as_strict() -> None:
    bodies = []
    for module in pkgutil.iter_modules(routes.__path__):
        router = getattr(importlib.import_module(f"{routes.__name__}.{module.name}"), "router", None)
        for route in getattr(router, "routes", ()):
            field = getattr(route, "body_field", None)
            if field is not None:
                bodies.append((route.path, field.field_info.annotation))
    assert bodies
    assert [(path, of) for path, of in bodies if not (isinstance(of, type) and issubclass(of, RequestBody))] == []


def _json(body: Any) -> bytes:
    import orjson

    return orjson.dumps(body)


def test_unknown_field_of_a_busy_route_is_told_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"unknown field `id`; fields of the body are playbook_id, score$"):
        Body(PlaybookFeedback).decode(b'{"playbook_id": "p", "score": 1, "id": 1}')
    with pytest.raises(BadInput, match=r"unknown field `min` - at `\$\.relevance`$"):
        Body(MatrixSearch).decode(b'{"query": "a", "corpora": ["a"], "relevance": {"min": 1}}')


def test_whole_number_of_a_busy_route_is_one_however_it_is_written() -> None:
    body = Body(MatrixSearch)
    found = body.decode(b'{"query": "a", "corpora": ["a"], "k": 10.0, "filter": {"rate": 20.0}}')
    assert (found.k, type(found.k)) == (10, int)
    assert isinstance(found.filter["rate"], float)
    for k, told in ((b"10.5", r"`\$\.k`"), (b"1e400", "out of range"), (b'10.0, "corpora": 1', r"`\$\.corpora`")):
        with pytest.raises(BadInput, match=told):
            body.decode(b'{"query": "a", "corpora": ["a"], "k": %s}' % k)
    deep = b'{"query": "a", "corpora": ["a"], "k": 10.0, "filter": %s' % (b"[" * 100_000)
    with pytest.raises(BadInput):
        body.decode(deep)
    for other in (b"10.0", b"[10.0]", b'{"k": 10.0}'):
        with pytest.raises(BadInput, match="does not fit"):
            body.decode(other)
