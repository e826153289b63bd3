"""What a load needs of the service that it is put on: a dataset of workers, a corpus of them, validation.

Belongs here: looking for it, and saying which command makes what is missing. Not here: playing (see load_commands.py).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from lakehouse.counted import counted
from lakehouse.errors import BadInput, NotFound
from lakehouse.load.crew import Crew, Worker, make_crew
from lakehouse.query.quoting import quote_text
from lakehouse_cli.client import ApiClient, ApiProblem

_MOST_WORKERS = 900
# A SQL filter has at most 10,000 characters.
_IDS_AT_ONCE = 200
_LEAST_WORKERS = 20
CREW = f"""
SELECT worker_id, name, role, city, state FROM (
  SELECT worker_id, name, role, city, state,
    row_number() OVER (PARTITION BY role, city, state ORDER BY worker_id) AS place,
    min(worker_id) OVER (PARTITION BY role, city, state) AS first
  FROM workers
  WHERE status = 'active' AND name IS NOT NULL AND role IS NOT NULL AND city IS NOT NULL AND state IS NOT NULL
)
WHERE place <= 3 ORDER BY first, place LIMIT {_MOST_WORKERS}
"""


def read_crew(api: ApiClient, corpus: str) -> Crew:
    """The workers whom scenarios speak of: active in the dataset, and in the corpus.

    Args:
        api: The service.
        corpus: Name of the corpus of workers.

    Raises:
        NotFound: Something is missing; the message says which command makes it.
        BadInput: The dataset or the corpus is not of workers as the sample has them, or the service is another one.
        ApiProblem: The token may not do what a load does, or the service fails.
    """
    try:
        _require_data(api, corpus)
        workers = _read_workers(api)
        known = _known_ids(api, corpus, [worker.worker_id for worker in workers])
        workers = [worker for worker in workers if worker.worker_id in known]
        blocks = _read_blocks(api, [worker.worker_id for worker in workers])
    except (ValueError, KeyError, TypeError, AttributeError):  # another JSON, or none
        raise BadInput(f"{api.base_url} does not answer as a Lakehouse API does") from None
    if len(workers) < _LEAST_WORKERS:
        raise NotFound(
            f"{counted(len(workers), 'active worker', 'is')} both in the dataset 'workers' and in the corpus"
            f" {corpus!r}, and a load needs {_LEAST_WORKERS}; bring the corpus up to date:"
            f" lakehouse corpus build {corpus}"
        )
    _require_validation(api)
    return make_crew(workers, blocks)


def _require_data(api: ApiClient, corpus: str) -> None:
    if api.find("/v1/catalog/workers") is None:
        raise NotFound(
            f"{api.base_url} has no dataset 'workers'; load the sample: lakehouse sample workers && lakehouse ingest"
            " workers.csv --name workers (lakehouse up does so by itself)"
        )
    if api.find(f"/v1/vectors/index/{quote(corpus, safe='')}") is None:
        raise NotFound(f"{api.base_url} has no corpus {corpus!r}; build it: lakehouse corpus build {corpus}")


def _read_workers(api: ApiClient) -> list[Worker]:
    try:
        answer = api.json("POST", "/v1/sql", json={"sql": CREW})
    except ApiProblem as problem:
        if problem.fields.get("status") != 400:
            raise
        raise BadInput(f"the dataset 'workers' has not the columns of the sample: {problem.detail}") from None
    return [Worker(str(row[0]), *(str(text) for text in row[1:])) for row in answer["rows"]]


def _known_ids(api: ApiClient, corpus: str, ids: list[str]) -> set[str]:
    """Those of the ids that the corpus has."""
    known: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        body = {
            "query": "worker", "corpora": [corpus], "k": len(part), "use_playbook": False,
            "sql_filter": f"CAST(worker_id AS VARCHAR) IN ({_quoted(part)})",
        }  # fmt: skip
        try:
            answer = api.json("POST", "/v1/matrix/search", json=body)
        except ApiProblem as problem:
            if problem.fields.get("status") != 400:
                raise
            raise BadInput(f"the corpus {corpus!r} is not one of the dataset 'workers': {problem.detail}") from None
        known |= {str(result["id"]) for result in answer["results"]}
    return known


def _read_blocks(api: ApiClient, ids: list[str]) -> list[tuple[str, str]]:
    """Pairs of client and worker of the dataset `client_blocks`, where there is one."""
    if not ids or api.find("/v1/catalog/client_blocks") is None:
        return []
    sql = f"SELECT client_id, worker_id FROM client_blocks WHERE CAST(worker_id AS VARCHAR) IN ({_quoted(ids)})"
    answer = api.json("POST", "/v1/sql", json={"sql": sql, "max_rows": 100_000})
    return [(str(client), str(worker)) for client, worker in answer["rows"]]


def _quoted(ids: list[str]) -> str:
    return ", ".join(map(quote_text, ids))


def _require_validation(api: ApiClient) -> None:
    body: dict[str, Any] = {"kind": "playbook", "artifact": {}, "context": {}}
    try:
        api.json("POST", "/v1/validate", content=json.dumps(body), headers={"Content-Type": "application/json"})
    except NotFound:
        raise NotFound(f"{api.base_url} does not validate (no POST /v1/validate); it is an older version") from None
    except ApiProblem as problem:
        if problem.fields.get("status") != 422:
            raise
