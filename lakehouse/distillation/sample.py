"""A sample: made of a candidate (a run, or two) by the gates that look at one sample alone.

Belongs here: candidates, samples, their ids and entities, the order of those gates. Not here: each gate (a module of
its own), the gates that compare samples (see twins.py, splits.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import orjson

from lakehouse.distillation.chunks import answer_text, check_chunks
from lakehouse.distillation.known_names import KnownNames
from lakehouse.distillation.length import check_length, count_tokens
from lakehouse.distillation.licence import Grant, grant_of
from lakehouse.distillation.messages import Message, number_calls, read_input, read_output, without_tail
from lakehouse.distillation.pairs import part_runs, split_last_answer
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.refusal import Refused
from lakehouse.distillation.scrub import scrub_sample, second_look
from lakehouse.distillation.shape import check_conversation, read_tools

Form: TypeAlias = Literal["chat", "pair", "label", "document"]
FORMS: tuple[Form, ...] = get_args(Form)
ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Origin:
    """The line that one side of a sample was made of."""

    run_id: str
    source_key: str
    line: int
    sha256: str
    stream: str
    score: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a sample may be made of.

    Attributes:
        form: What it becomes.
        origin: The run; of a pair, what is preferred.
        input_text: What was asked, as evidence has it.
        output_text: What the origin answered.
        metadata: The run's, as JSON text; of an edit, that of the run that was edited.
        task_id: The run's task.
        reason: Why the origin is preferred: `verdicts` (the scores of two runs), `human_edit` or `reviewer_correction`;
            empty where nothing is.
        other: The run that is not preferred.
        other_output: What it answered.
        other_metadata: Its metadata.
    """

    form: Form
    origin: Origin
    input_text: str | None
    output_text: str | None
    metadata: str | None
    task_id: str | None
    reason: str = ""
    other: Origin | None = None
    other_output: str | None = None
    other_metadata: str | None = None

    @property
    def sample_id(self) -> str:
        """The same for the same lines, whatever the parameters."""
        sides = [self.origin] if self.other is None else [self.origin, self.other]
        parts = [self.form, self.reason, *(text for side in sides for text in (side.run_id, side.sha256))]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:ID_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that passed the gates which look at it alone.

    Attributes:
        sample_id: That of its candidate.
        form: What it is.
        reason: Why the first answer of a pair is preferred, else empty.
        origins: The lines that it was made of: two for a pair, the preferred one first; else one.
        task_id: The run's task.
        entities: What must not span two splits, as `<name>=<value>`; a question is one, whoever answered it.
        grant: Its source and licence.
        prompt: The messages before the answers.
        answers: The messages of each answer: two for a pair, the preferred one first; else one.
        tools: Descriptions of the tools, or None.
        label: Of a labelled sample whether the answer is a good one; of others None.
        tokens: An estimate of its length; of a pair that of the longer side, of a document that of its longest chunk.
        personal: How many places of each kind of personal data were replaced.
    """

    sample_id: str
    form: Form
    reason: str
    origins: tuple[Origin, ...]
    task_id: str | None
    entities: tuple[str, ...]
    grant: Grant
    prompt: list[Message]
    answers: tuple[list[Message], ...]
    tools: list[Any] | None
    label: bool | None
    tokens: int
    personal: Mapping[str, int]

    @property
    def messages(self) -> list[Message]:
        """All of it in order, one answer behind the other."""
        return [*self.prompt, *(message for answer in self.answers for message in answer)]


def make_sample(candidate: Candidate, parameters: CorpusParameters, names: KnownNames | None = None) -> Sample:
    """Make a sample, or refuse to.

    Args:
        candidate: What it is made of.
        parameters: The build's.
        names: People to be scrubbed, or None.

    Raises:
        Refused: By the first gate that does not let it pass.
    """
    metadata = _object(candidate.metadata)
    prompt, answers, tools = _conversation(candidate, metadata)
    _check_shapes(candidate.form, prompt, answers, tools)
    grant = _grant(candidate, metadata, parameters)
    personal: Mapping[str, int] = {}
    if parameters.is_scrubbed:
        _check_ids(candidate, grant, names)
        parts, tools, personal = scrub_sample([prompt, *answers], tools, names)
        prompt, answers = parts[0], parts[1:]
        _check_shapes(candidate.form, prompt, answers, tools)
    if candidate.form == "pair":
        pair = part_runs(prompt, answers[0], answers[1])
        prompt, answers = pair.prompt, [pair.chosen, pair.rejected]
    if candidate.form == "document":
        tokens = check_chunks(answers[0], parameters)
    else:
        tokens = max(count_tokens([*prompt, *answer], tools) for answer in answers)
        check_length(tokens, parameters.max_tokens)
    return Sample(
        sample_id=candidate.sample_id,
        form=candidate.form,
        reason=candidate.reason,
        origins=tuple(side for side in (candidate.origin, candidate.other) if side is not None),
        task_id=candidate.task_id,
        entities=(*_entities(candidate, metadata, parameters), *_asked(candidate.form, prompt, answers)),
        grant=grant,
        prompt=prompt,
        answers=tuple(answers),
        tools=tools,
        label=candidate.origin.score != "rejected" if candidate.form == "label" else None,
        tokens=tokens,
        personal=personal,
    )


def _conversation(
    candidate: Candidate, metadata: Mapping[str, Any]
) -> tuple[list[Message], list[list[Message]], list[Any] | None]:
    """Prompt, answers and tools, before anything is replaced."""
    if metadata.get("is_clipped") is True:
        raise Refused("shape", "its messages were cut when they were logged")
    stream = candidate.origin.stream if candidate.other is None else candidate.other.stream
    settings = metadata.get("settings")
    tools = read_tools(metadata.get("tools") or (settings.get("tools") if isinstance(settings, dict) else None))
    prompt = read_input(candidate.input_text, stream)
    answer = read_output(candidate.output_text, candidate.origin.stream)
    if candidate.other is not None:
        others = read_output(candidate.other_output, stream)
        if candidate.reason != "verdicts":
            prompt, others = split_last_answer([*prompt, *others])
        return prompt, [answer, others], tools
    whole = number_calls([*prompt, *without_tail(answer)])
    return whole[: len(prompt)], [whole[len(prompt) :]], tools


def _check_shapes(
    form: Form, prompt: Sequence[Message], answers: Sequence[Sequence[Message]], tools: Sequence[Any] | None
) -> None:
    if form == "document":
        answer_text(answers[0])
        return
    sides = answers
    if form == "pair":
        pair = part_runs(prompt, answers[0], answers[1])
        prompt, sides = pair.prompt, [pair.chosen, pair.rejected]
    for side in sides:
        check_conversation(number_calls([*prompt, *side]), tools)


def _grant(candidate: Candidate, metadata: Mapping[str, Any], parameters: CorpusParameters) -> Grant:
    if candidate.other is None:
        return grant_of(candidate.origin.stream, metadata, parameters)
    one = grant_of(candidate.other.stream, _object(candidate.other_metadata), parameters)
    if candidate.reason != "verdicts":  # the edit belongs to what was edited
        return one
    other = grant_of(candidate.origin.stream, metadata, parameters)
    licences = sorted({one.licence, other.licence})
    return Grant(other.source, " AND ".join(licences))


def _check_ids(candidate: Candidate, grant: Grant, names: KnownNames | None) -> None:
    """Ids stand beside the samples as they are, so they must not tell who somebody is."""
    sides = [side for side in (candidate.origin, candidate.other) if side is not None]
    shown = [candidate.task_id or "", grant.source, grant.licence]
    shown += [text for side in sides for text in (side.run_id, side.source_key)]
    if any(second_look(text, names) for text in shown):
        raise Refused("personal", "an id, the task or the source holds personal data")


def _entities(candidate: Candidate, metadata: Mapping[str, Any], parameters: CorpusParameters) -> tuple[str, ...]:
    sides = [metadata] if candidate.other is None else [metadata, _object(candidate.other_metadata)]
    found = []
    for name in parameters.entities:
        values = [candidate.task_id] if name == "task_id" else [side.get(name) for side in sides]
        found += [f"{name}={value}" for value in values if isinstance(value, str | int) and value != ""]
    return tuple(dict.fromkeys(found))


def _asked(form: Form, prompt: Sequence[Message], answers: Sequence[Sequence[Message]]) -> list[str]:
    """What users said, of each side, but for blanks and case: trained on in one run, it is no test in another."""
    if form == "document":  # of which the answer alone is kept
        return []
    said = [[one["content"] or "" for one in [*prompt, *side] if one["role"] == "user"] for side in answers]
    folded = ["\x1f".join(" ".join(text.casefold().split()) for text in texts) for texts in said]
    return list(dict.fromkeys(f"asked={text}" for text in folded if text.strip("\x1f")))


def _object(text: str | None) -> Mapping[str, Any]:
    value = orjson.loads(text) if text else {}
    return value if isinstance(value, dict) else {}
