"""The mode `consensus`: several models answer one question, and their agreement is measured.

Models are told apart by their lineage: one model that is asked three times agrees with itself, which the output shows
as one lineage.

Belongs here: the members, the count. Not here: lineages (see lakehouse/scoring/lineage.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse.counted import counted
from lakehouse.errors import BadInput, LakehouseError, ProviderFailed
from lakehouse.scoring.lineage import lineage_of
from lakehouse.workflow.fields import Field, fits
from lakehouse.workflow.mode import Mode, ModeCall
from lakehouse.workflow.structured import MODEL_FIELDS, Asking, ask_json, asking_of
from lakehouse.workflow.verdicts import JUDGE_FIELDS, passed

MAX_MEMBERS = 9
MAX_CHOICES = 20
_MEMBER = {"model": "text", "seed": "integer", "temperature": "number", "system": "text"}
_SYSTEM = "You answer one question with one of the given choices."


async def _consensus(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    choices = _choices(given["choices"])
    members = _members(given.get("models"), asking_of(given, call))
    schema = {
        "type": "object",
        "properties": {"answer": {"enum": choices}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    prompt = f"{given['prompt']}\n\nChoices: {', '.join(choices)}"
    votes: list[dict[str, Any]] = []
    # One after the other: two chats of the embedded model at once would not give the same numbers each time.
    for asking, system in members:
        vote: dict[str, Any] = {"model": asking.model, "lineage": lineage_of(asking.model), "seed": asking.seed}
        asked_before = len(call.calls)
        try:
            said = await ask_json(
                call, asking, system=system, prompt=prompt, schema=schema, name="vote", role="tiebreaker"
            )
            # Another model may have stood in for the one that was asked: its lineage is the one that votes.
            by = call.model if len(call.calls) > asked_before and call.model else asking.model
            votes.append({**vote, "by": by, "lineage": lineage_of(by), "answer": said["answer"], "error": None})
        except BadInput:
            raise
        except LakehouseError as error:
            votes.append({**vote, "by": None, "answer": None, "error": error.detail[:200]})
    return await _counted(given, call, votes)


async def _counted(given: Mapping[str, Any], call: ModeCall, votes: list[dict[str, Any]]) -> dict[str, Any]:
    answered = [vote for vote in votes if vote["answer"] is not None]
    if 2 * len(answered) <= len(votes):
        errors = "; ".join(str(vote["error"]) for vote in votes if vote["error"])
        raise ProviderFailed(
            f"{len(answered)} of {counted(len(votes), 'model')} answered, which is no majority: {errors[:400]}"
        )
    counts = Counter(vote["answer"] for vote in answered)
    (answer, most), *others = counts.most_common()
    is_tied = bool(others) and others[0][1] == most
    # A model that did not answer agrees with nobody.
    agreement = round(most / len(votes), 6)
    least = 0.5 if given.get("min_agreement") is None else given["min_agreement"]
    is_enough = not is_tied and agreement > 0.5 and agreement >= least
    wanted = given.get("accept")
    is_accepted = is_enough and (wanted is None or answer in wanted)
    for_it = {vote["lineage"] for vote in answered if vote["answer"] == answer}
    output = {
        "verdict": "accept" if is_accepted else "reject",
        "answer": None if is_tied else answer,
        "agreement": agreement,
        "lineages": len({vote["lineage"] for vote in answered}),
        "lineages_for": len(for_it),
        "failed": len(votes) - len(answered),
        "votes": votes,
    }
    reason = (
        f"the models agree on {answer!r}, which is none of {', '.join(wanted)}"
        if is_enough and wanted is not None
        else f"the models do not agree: {', '.join(f'{one} {count}' for one, count in counts.items())} of {len(votes)}"
    )
    return await passed(given, call, output, mode="consensus", reason=reason, confidence=agreement)


def _choices(given: Sequence[Any]) -> list[str]:
    is_fit = 2 <= len(given) <= MAX_CHOICES and all(isinstance(one, str) and one.strip() for one in given)
    if not is_fit or len(set(given)) < len(given):
        raise BadInput(f"'choices' is a list of 2 to {MAX_CHOICES} different texts", field="choices")
    return list(given)


def _members(given: Sequence[Any] | None, asking: Asking) -> list[tuple[Asking, str]]:
    """How each member is asked: a name, or `{model, seed, temperature, system}`."""
    if not given:
        raise BadInput("'models' is a list of names, or of {model, seed, temperature, system}", field="models")
    if len(given) > MAX_MEMBERS:
        raise BadInput(f"'models' has {len(given)} elements; at most {MAX_MEMBERS} are asked", field="models")
    members = []
    for place, one in enumerate(given):
        member: Any = {"model": one} if isinstance(one, str) else one
        if not isinstance(member, Mapping) or not set(member) <= set(_MEMBER):
            raise BadInput(f"models[{place}] is a name or {{{', '.join(_MEMBER)}}}", field="models")
        for name, value in member.items():
            if not fits(_MEMBER[name], value):
                raise BadInput(f"models[{place}].{name} must be of type {_MEMBER[name]}", field="models")
        own: Asking = replace(
            asking,
            model=member.get("model", asking.model),
            seed=member.get("seed", asking.seed),
            temperature=member.get("temperature", asking.temperature),
        )
        members.append((own, member.get("system") or _SYSTEM))
    return members


CONSENSUS = Mode(
    "consensus",
    "Asks several models one question with given choices, and measures how far they agree.",
    {
        "prompt": Field("text", "the question", is_required=True),
        "choices": Field("list", "the answers there may be", is_required=True),
        "models": Field("list", "who is asked: names, or {model, seed, temperature, system}", is_required=True),
        "accept": Field("list", "answers that are good; default: all of them"),
        "min_agreement": Field("number", "least share of all models for an answer; more than half always"),
        **JUDGE_FIELDS,
        **MODEL_FIELDS,
    },
    _consensus,
)
