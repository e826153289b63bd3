"""Modes: what a node does, what it is given, and what it gives.

Belongs here: the shapes that every mode is written with. Not here: modes (see modes_text.py, modes_judging.py,
modes_data.py, modes_nested.py), the list of them (see catalog.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakehouse.chat.call_log import Caller
from lakehouse.errors import LakehouseError
from lakehouse.workflow.fields import Field

if TYPE_CHECKING:
    from lakehouse.chat.service import ChatService
    from lakehouse.pathway.search import Found, PathwaySearch
    from lakehouse.query.request import Answer, SqlRequest
    from lakehouse.retrieval.search_answer import SearchAnswer
    from lakehouse.retrieval.search_request import SearchRequest
    from lakehouse.validation import Verdict
    from lakehouse.workflow.document import Workflow
    from lakehouse.workflow.record import RunResult


class Rejected(LakehouseError):
    """A node came to a verdict that does not let its workflow go on; `output` says the verdict."""

    status = 422
    title = "Rejected"

    def __init__(self, detail: str, output: Any) -> None:
        super().__init__(detail)
        self.output = output


class Misfit(LakehouseError):
    """A model answered something else than was asked for, and it could not be repaired."""

    status = 502
    title = "Bad answer of a model"


@dataclass(frozen=True, slots=True)
class Who:
    """For whom a workflow runs: whose words stand in the log, and what they may see."""

    actor: str
    has_pii: bool = False
    task_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowServices:
    """What modes work with.

    Attributes:
        chat: Asks models.
        default_model: Asked where a node names none.
        search: Searches corpora, and logs that it did.
        recall: Searches traces.
        sql: Answers a statement that reads.
        validate: Validates an artifact of a kind in a context, and logs that it did.
        score: Scores records by the written rules; a row for each.
        tell: Takes an event for the observer; never raises.
        find: A workflow by its name.
    """

    chat: ChatService
    default_model: str
    search: Callable[[SearchRequest, Who], Awaitable[SearchAnswer]]
    recall: Callable[[PathwaySearch, Who], Awaitable[Sequence[Found]]]
    sql: Callable[[SqlRequest, Who], Awaitable[Answer]]
    validate: Callable[[str, Mapping[str, Any], Mapping[str, Any], Who], Awaitable[Verdict]]
    score: Callable[[Sequence[Mapping[str, Any]]], Awaitable[list[dict[str, Any]]]]
    tell: Callable[[Mapping[str, Any]], Awaitable[None]]
    find: Callable[[str], Awaitable[Workflow]]


@dataclass(slots=True)
class ModeCall:
    """One attempt of a node.

    Attributes:
        attempt: From 1; a model is asked with another seed each time.
        run_nested: Runs a workflow inside.
        calls: Run ids of the chat calls that were made, in order.
        repairs: What had to be repaired in models' answers.
        model: The model that answered last.
        provider: Who served it.
    """

    services: WorkflowServices
    who: Who
    workflow: str
    run_id: str
    node_id: str
    attempt: int
    run_nested: Callable[[Workflow, Mapping[str, Any]], Awaitable[RunResult]]
    check: Callable[[Any], Workflow]
    calls: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None

    @property
    def caller(self) -> Caller:
        """Who calls, for the log of chats."""
        extras = {"workflow": self.workflow, "workflow_run_id": self.run_id, "node_id": self.node_id}
        return Caller(self.who.actor, self.who.task_id, self.who.request_id, extras=extras)


Run = Callable[[Mapping[str, Any], ModeCall], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode.

    Attributes:
        name: As files name it, such as `matrix.search`.
        meaning: What it does, in one sentence.
        fields: Of `with`.
        run: Does it; its result is the node's output, and must be JSON.
        check: Refuses literal values of `with` that can never work, before anything runs.
    """

    name: str
    meaning: str
    fields: Mapping[str, Field]
    run: Run
    check: Callable[[Mapping[str, Any]], None] | None = None
