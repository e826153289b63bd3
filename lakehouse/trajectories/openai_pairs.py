"""Pairs of request and response, as the NVIDIA data flywheel logs them: JSON lines of
`{timestamp, workload_id, client_id, request, response}`, both in the form of OpenAI's chat completions.

- One run for each choice of the response: its messages are the request's and that choice's behind them.
- `task_id` is `<source>/<workload>`. A pair has no id of its own that is unique, so `run_id` is
  `<source>/<workload>/<SHA-256 of the pair, 16 hex>/<choice>`: the same pair again is the same run.
- The reward is hidden. Tokens are those of the response's `usage`; where it has several choices, the completion's
  tokens are of all together and stay in `usage`.

Belongs here: the form. Not here: times (see moments.py).

Source: https://github.com/NVIDIA-AI-Blueprints/data-flywheel, `src/lib/integration/openai_format_validator.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lakehouse.trajectories.elements import Element, read_lines, runs_of
from lakehouse.trajectories.ids import joined
from lakehouse.trajectories.moments import moment_of
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan, Run, Step, Unusable
from lakehouse.trajectories.values import a_count, a_list, an_id, an_object, chat_messages, optional_text

_HASH_CHARACTERS = 16
_SUFFIXES = (".jsonl", ".ndjson", ".json")


def plan(names: Sequence[str]) -> Plan:
    """Each file is a job."""
    known = [name for name in names if name.endswith(_SUFFIXES)]
    jobs = tuple(Job(name, (name,)) for name in known)
    return Plan(jobs, unknown=tuple(name for name in names if name not in known))


def read(job: Job, origin: Origin, open_file: OpenFile) -> Iterator[Step]:
    """The runs of a file."""
    with open_file(job.name) as stream:
        for element in read_lines(stream):
            raw = element.raw if isinstance(element, Element) else b""
            yield from runs_of(element, partial(_runs, raw=raw, origin=origin))


def _runs(value: Any, *, raw: bytes, origin: Origin) -> Iterator[Run]:
    pair = an_object(value, "the line")
    request, response = an_object(pair.get("request"), "request"), an_object(pair.get("response"), "response")
    messages = chat_messages(request.get("messages"), "request.messages")
    choices = a_list(response.get("choices"), "response.choices")
    if not choices:
        raise Unusable("response.choices is empty")
    workload = an_id(pair.get("workload_id"), "workload_id")
    digest = hashlib.sha256(raw).hexdigest()[:_HASH_CHARACTERS]
    shared = _shared(pair, request, response, is_alone=len(choices) == 1)
    for number, given in enumerate(choices):
        choice = an_object(given, f"response.choices[{number}]")
        answer = dict(an_object(choice.get("message"), f"response.choices[{number}].message"))
        answer.setdefault("role", "assistant")
        yield Run(
            where=f"workload {workload}, choice {number}",
            run_id=joined(origin.source, workload, digest, number),
            task_id=joined(origin.source, workload),
            source=origin.source,
            fields={
                "trial": number,
                "messages": chat_messages([*messages, answer], "messages"),
                **shared,
                "finish_reason": optional_text(choice.get("finish_reason")),
            },
        )


def _shared(
    pair: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any], *, is_alone: bool
) -> dict[str, Any]:
    usage = response.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tools = request.get("tools")
    asked = {"model", "messages", "tools"}
    return {
        "reward": None,
        "tools": None if tools is None else a_list(tools, "request.tools"),
        "model": optional_text(response.get("model")) or optional_text(request.get("model")),
        "provider": None,
        "timestamp": moment_of(pair.get("timestamp")),
        "prompt_tokens": a_count(counts.get("prompt_tokens"), "usage.prompt_tokens"),
        "completion_tokens": a_count(counts.get("completion_tokens"), "usage.completion_tokens") if is_alone else None,
        "workload_id": pair.get("workload_id"),
        "client_id": pair.get("client_id"),
        "response_id": response.get("id"),
        "requested_model": request.get("model"),
        "settings": {name: given for name, given in request.items() if name not in asked},
        "usage": usage,
    }
