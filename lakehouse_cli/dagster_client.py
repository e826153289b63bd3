"""Dagster's GraphQL, as far as the commands use it: run the dataset asset for some partitions, ask how it goes.

Belongs here: queries and what their answers mean. Not here: definitions (see lakehouse_assets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.settings import Settings

_PARTITIONS = "datasets"
_REPOSITORY = {"repositoryLocationName": "lakehouse", "repositoryName": "__repository__"}
_ADD_PARTITION = """
mutation ($repository: RepositorySelector!, $partitions: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $partitions, partitionKey: $key) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message } } }"""
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
_STATUS = """
query ($run: ID!) { runOrError(runId: $run) { __typename ... on Run { status } } }"""


class RunFailed(LakehouseError):
    """A Dagster run ended without success; the message holds where to read on."""


class DagsterClient:
    """Drives the webserver of an installation."""

    def __init__(self, settings: Settings) -> None:
        from lakehouse_assets.processes import dagster_url

        self.url = dagster_url(settings)

    def materialize(self, datasets: Sequence[str]) -> list[str]:
        """Bring datasets up to date from their landing folders now, without waiting for the sensor; returns run ids.

        Datasets that are new to Dagster are loaded by one run, as the start of a run takes longer than a small dataset.
        """
        new = [name for name in datasets if self._add_partition(name)]
        known = [name for name in datasets if name not in new]
        runs = [self._launch({"dagster/partition": name}) for name in known]
        if new:  # partitions that were added together form a range
            tags = {"dagster/asset_partition_range_start": new[0], "dagster/asset_partition_range_end": new[-1]}
            runs.append(self._launch(tags if len(new) > 1 else {"dagster/partition": new[0]}))
        return runs

    def is_finished(self, run_id: str) -> bool:
        """True once the run has succeeded.

        Raises:
            RunFailed: It failed or was cancelled.
        """
        status = self._ask(_STATUS, {"run": run_id})["runOrError"].get("status")
        if status in ("FAILURE", "CANCELED", "CANCELING"):
            raise RunFailed(f"the Dagster run ended with {status}; see {self.url}/runs/{run_id}")
        return bool(status == "SUCCESS")

    def _add_partition(self, name: str) -> bool:
        variables = {"repository": _REPOSITORY, "partitions": _PARTITIONS, "key": name}
        answer = self._ask(_ADD_PARTITION, variables)["addDynamicPartition"]
        self._expect(answer, "AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError")
        return bool(answer["__typename"] == "AddDynamicPartitionSuccess")

    def _launch(self, tags: Mapping[str, str]) -> str:
        params = {
            "selector": {**_REPOSITORY, "jobName": "ingest"},
            "runConfigData": {},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchPipelineExecution"]
        self._expect(answer, "LaunchRunSuccess")
        return str(answer["run"]["runId"])

    def _expect(self, answer: Any, *kinds: str) -> None:
        if answer["__typename"] not in kinds:
            raise RunFailed(
                f"Dagster refused: {answer['__typename']} {answer.get('message') or answer.get('errors', '')}"
            )

    def _ask(self, query: str, variables: dict[str, Any]) -> Any:
        import httpx

        body = {"query": query, "variables": variables}
        try:
            answer = httpx.post(f"{self.url}/graphql", json=body, timeout=30.0, trust_env=False)
            answer.raise_for_status()
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"no answer from {self.url} ({type(error).__name__}); see: lakehouse doctor") from None
        if document.get("errors"):
            raise RunFailed(f"Dagster refused: {document['errors'][0]['message']}")
        return document["data"]
