"""Tasks: what is asked again, and what is known of the right answer.

A file of tasks is JSON lines: `{"task_id", "question", "corpora", "expected"?, "filter"?, "exclude_ids"?, "validate"?,
"budget_tokens"?, "max_tokens"?, "replay_of"?, "as_asked"?}`; `validate` is `{"kind", "context"}`, as of `/v1/answer`.

Belongs here: the form, reading it. Not here: what `expected` means (see matching.py), finding tasks in evidence (see
lakehouse/adapters/replay_tasks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.replay.matching import check_expected

MOST_TASKS = 20_000
MOST_LINE_BYTES = 1 << 20
_FIELDS = frozenset(
    {
        "task_id", "question", "corpora", "expected", "filter", "exclude_ids", "validate", "budget_tokens",
        "max_tokens", "replay_of", "as_asked",
    }
)  # fmt: skip
_ID = re.compile(r"[!-~][ -~]{0,199}")


@dataclass(frozen=True, slots=True)
class ReplayTask:
    """A question and where to look.

    Attributes:
        task_id: The same question is the same task in every arm and batch.
        question: What is asked.
        corpora: Where to look.
        expected: What the right answer is, as `matching` takes it; None: nobody knows.
        filter: As of a search.
        exclude_ids: Never shown.
        validate_kind: What the answer is validated as.
        validate_context: The context of that validation.
        budget_tokens: Of the prompt; None: the config's.
        max_tokens: Of the answer; None: the config's.
        replay_of: The run of the past that this repeats.
        as_asked: Whether it is asked as that run was: filter, exclusions, validation. False: what those were is not
            known, and it is asked without; None: there is no such run, or whoever wrote the file does not say.
    """

    task_id: str
    question: str
    corpora: tuple[str, ...]
    expected: Any = None
    filter: Any = None
    exclude_ids: tuple[str, ...] = ()
    validate_kind: str | None = None
    validate_context: Mapping[str, Any] = field(default_factory=dict)
    budget_tokens: int | None = None
    max_tokens: int | None = None
    replay_of: str | None = None
    as_asked: bool | None = None

    def to_document(self) -> dict[str, Any]:
        """The line of a file, without what is not said."""
        document: dict[str, Any] = {
            "task_id": self.task_id,
            "question": self.question,
            "corpora": list(self.corpora),
            "expected": self.expected,
            "filter": self.filter,
            "exclude_ids": list(self.exclude_ids) or None,
            "validate": None
            if self.validate_kind is None
            else {"kind": self.validate_kind, "context": dict(self.validate_context)},
            "budget_tokens": self.budget_tokens,
            "max_tokens": self.max_tokens,
            "replay_of": self.replay_of,
            "as_asked": self.as_asked,
        }
        return {name: value for name, value in document.items() if value is not None}


def parse_task(document: object, *, where: str) -> ReplayTask:
    """Read one task.

    Args:
        document: The JSON object.
        where: File and line, for messages.

    Raises:
        BadInput: Naming the field that is wrong, and where.
    """
    if not isinstance(document, Mapping):
        raise BadInput(f"{where}: a task is a JSON object")
    unknown = sorted(str(name) for name in set(document) - _FIELDS)
    if unknown:
        raise BadInput(f"{where}: a task has no field {unknown[0][:60]!r}; there are {', '.join(sorted(_FIELDS))}")
    task_id, question = document.get("task_id"), document.get("question")
    if not isinstance(task_id, str) or _ID.fullmatch(task_id) is None:
        raise BadInput(f"{where}: task_id must be a text of 1 to 200 printable ASCII characters")
    if not isinstance(question, str) or not question.strip():
        raise BadInput(f"{where}: question must be a text that is not blank")
    kind, context = _validation(document.get("validate"), where)
    try:
        check_expected(document.get("expected"))
    except BadInput as error:
        raise BadInput(f"{where}: {error.detail}") from None
    return ReplayTask(
        task_id=task_id,
        question=question,
        corpora=_texts(document.get("corpora"), "corpora", where),
        expected=document.get("expected"),
        filter=document.get("filter"),
        exclude_ids=_texts(document.get("exclude_ids", ()), "exclude_ids", where),
        validate_kind=kind,
        validate_context=context,
        budget_tokens=_count(document.get("budget_tokens"), "budget_tokens", where),
        max_tokens=_count(document.get("max_tokens"), "max_tokens", where),
        replay_of=None if document.get("replay_of") is None else str(document["replay_of"]),
        as_asked=_flag(document.get("as_asked"), "as_asked", where),
    )


def read_tasks(lines: Iterable[bytes], *, name: str) -> list[ReplayTask]:
    """Read a file of tasks; blank lines are passed over.

    Args:
        lines: Its lines.
        name: What it is called in messages.

    Raises:
        BadInput: A line is wrong, a task stands twice, there is none, or there are too many.
    """
    tasks: dict[str, ReplayTask] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{name}, line {number}"
        if not line.strip():
            continue
        if len(line) > MOST_LINE_BYTES:
            raise BadInput(f"{where}: has more than {MOST_LINE_BYTES:,} bytes", line=number)
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"{where}: is not JSON ({error}); a file of tasks is JSON lines", line=number) from None
        task = parse_task(document, where=where)
        if task.task_id in tasks:
            raise BadInput(f"{where}: the task {task.task_id!r} stands twice; each is asked once", line=number)
        if len(tasks) >= MOST_TASKS:
            raise BadInput(f"{where}: a batch takes at most {MOST_TASKS:,} tasks; split the file", line=number)
        tasks[task.task_id] = task
    if not tasks:
        raise BadInput(f"{name} has no task; write one JSON object a line, with task_id, question and corpora")
    return list(tasks.values())


def _validation(given: object, where: str) -> tuple[str | None, Mapping[str, Any]]:
    if given is None:
        return None, {}
    if not isinstance(given, Mapping) or not isinstance(given.get("kind"), str) or set(given) - {"kind", "context"}:
        raise BadInput(f'{where}: validate must be {{"kind": …, "context": {{…}}}}')
    context = given.get("context", {})
    if not isinstance(context, Mapping):
        raise BadInput(f"{where}: validate.context must be an object")
    return given["kind"], context


def _texts(given: object, name: str, where: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one for one in given):
        raise BadInput(f"{where}: {name} must be a list of texts")
    return tuple(given)


def _count(given: object, name: str, where: str) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise BadInput(f"{where}: {name} must be a whole number of 1 or more")
    return given


def _flag(given: object, name: str, where: str) -> bool | None:
    if given is None or isinstance(given, bool):
        return given
    raise BadInput(f"{where}: {name} must be true or false")
