"""The OpenAPI document: valid, complete enough to generate a client from, and true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples

from lakehouse.settings import Settings, load_settings
from lakehouse.settings_chat import CHAT_ENDPOINTS
from lakehouse_api.app import create_app
from lakehouse_api.openai_errors import OPENAI_PATHS
from tests.api import TOKEN, api_settings, serving
from tests.fakes.chat_endpoint import chat_endpoint
from tests.fakes.services import services_with_fakes
from tests.servers import StoreServer

if TYPE_CHECKING:
    import schemathesis

PROBLEM = {"$ref": "#/components/schemas/Problem"}
OPENAI_ERROR = {"$ref": "#/components/schemas/OpenAiError"}
_PATIENCE_S = 120  # a model on a busy machine
# A health report, and the verdict on an artifact in forms of its own.
NO_PROBLEMS = {("/health", "503"), ("/v1/validate", "422")}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environ = {
        "LAKEHOUSE_DATA_DIR": str(tmp_path_factory.mktemp("openapi")),
        "LAKEHOUSE_S3_ENDPOINT": "http://127.0.0.1:1",
    }
    return create_app(load_settings(environ, env_file=None), compose=services_with_fakes).openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    from openapi_spec_validator import validate

    validate(document)


def test_operations_have_ids_of_their_own_and_a_summary(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"get_dataset", "put_object", "get_health"} <= set(ids)
    assert all(operation.get("description") for _, _, operation in _operations(document))


def test_every_error_is_a_documented_problem(document: dict[str, Any]) -> None:
    for method, path, operation in _operations(document):
        assert {"400", "403", "500"} <= set(operation["responses"]), (method, path)
        for status, response in operation["responses"].items():
            if int(status) < 400 or (path, status) in NO_PROBLEMS:
                continue
            if path in OPENAI_PATHS:
                assert response["content"]["application/json"]["schema"] == OPENAI_ERROR, (method, path, status)
                continue
            content = response["content"]["application/problem+json"]
            assert content["schema"] == PROBLEM, (method, path, status)
            assert content["example"]["status"] == int(status)


def test_every_json_answer_has_a_model_with_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for method, path, operation in _operations(document):
        for status, response in operation["responses"].items():
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            if schema is not None:
                named = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
                missing = f"{method} {path} {status} has no model with an example; give it one of lakehouse_api/schemas"
                assert "example" in named or "examples" in named, missing


def test_all_but_health_need_the_token(document: dict[str, Any]) -> None:
    for _, path, operation in _operations(document):
        assert operation["security"] == ([] if path == "/health" else [{"bearer": []}])
        assert ("401" in operation["responses"]) == (path != "/health")


def test_path_parameters_are_all_declared(document: dict[str, Any]) -> None:
    for method, path, operation in _operations(document):
        declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        wanted = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        assert declared == wanted, (method, path)


@pytest.mark.slow
def test_fuzzed_requests_are_answered_as_documented(store_process: StoreServer, tmp_path: Path) -> None:
    store = store_process.objects(bucket="openapi")
    with chat_endpoint() as provider:
        # Providers that answer: what is fuzzed is ours.
        providers = {name: {"url": provider.url, "is_key_needed": False} for name in CHAT_ENDPOINTS}
        changes = {"chat_providers": json.dumps(providers), "embedded_model_context_tokens": 256}
        _fuzz_all(api_settings(store, tmp_path, log_level="error", **changes))
    store_process.drop_bucket("openapi")


def _fuzz_all(settings: Settings) -> None:
    import schemathesis  # a second, that every worker would spend when it collects

    app = create_app(settings, compose=services_with_fakes)
    with serving(app) as url, requests.Session() as session:
        session.trust_env = False
        schema = schemathesis.openapi.from_dict(app.openapi())
        schema.config.update(base_url=url)
        for operation in schema.get_all_operations():
            _fuzz(operation.ok(), session)


def _fuzz(operation: Any, session: requests.Session) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    # Keys and statements have rules that a schema cannot say: data of the right shape may be refused.
    unsuited = [positive_data_acceptance]

    @given(case=operation.as_strategy())
    @examples(
        max_examples=8,
        deadline=None,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_documented(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        case.call_and_validate(session=session, headers=headers, excluded_checks=unsuited, timeout=_PATIENCE_S)

    answers_as_documented()
