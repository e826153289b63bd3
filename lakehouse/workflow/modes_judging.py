"""Modes in which a model judges, held to what can be looked up: `validator`, `hallucination`, `redteam`.

A model's word alone passes nothing: a claim must stand in the passage that is named for it, a finding must quote the
text, and rules without a model speak along.

Belongs here: what is asked, what counts of the answer. Not here: several models (see modes_consensus.py), claims (see
claims.py), the gate (see verdicts.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.validation.injection import injection_signs
from lakehouse.validation.personal import personal_data
from lakehouse.validation.rules import BY_ID
from lakehouse.validation.social_security import holds_ssn
from lakehouse.workflow.claims import best_passages, claims_of, overlap, passages_of
from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import Mode, ModeCall
from lakehouse.workflow.modes_consensus import CONSENSUS
from lakehouse.workflow.structured import MODEL_FIELDS, Asking, ask_json, asking_of
from lakehouse.workflow.verdicts import JUDGE_FIELDS, passed

MAX_RULES = 20
_MOST_SHOWN = 3
_LEAST_SHARE = 0.6
# Short: a small model fills what it is given, and every token costs it.
_REASON = {"type": "string", "maxLength": 80}
_RULE = {
    "type": "object",
    "properties": {"reason": _REASON, "holds": {"type": "boolean"}},
    "required": ["reason", "holds"],
    "additionalProperties": False,
}
_ATTACKS = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "quote": {"type": "string", "maxLength": 100},
                    "reason": _REASON,
                    "severity": {"enum": ["low", "medium", "high"]},
                },
                "required": ["quote", "reason", "severity"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["findings"],
    "additionalProperties": False,
}
_SEVERITIES = ("low", "medium", "high")


async def _validator(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    rules = given["rules"]
    if not rules or len(rules) > MAX_RULES or not all(isinstance(rule, str) and rule.strip() for rule in rules):
        raise BadInput(f"'rules' is a list of 1 to {MAX_RULES} texts", field="rules")
    artifact = given["artifact"]
    shown = artifact if isinstance(artifact, str) else orjson.dumps(artifact).decode()
    asking = asking_of(given, call)
    checks = []
    for rule in rules:
        said = await ask_json(
            call, asking,
            system="You check whether one rule holds for a text. First say why, then whether it holds.",
            prompt=f"Text:\n{shown}\n\nRule: {rule}\n\nDoes the rule hold?",
            schema=_RULE, name="check", role="verifier",
        )  # fmt: skip
        checks.append({"rule": rule, "holds": said["holds"], "reason": said["reason"]})
    broken = [one["rule"] for one in checks if not one["holds"]]
    output = {"verdict": "reject" if broken else "accept", "checks": checks, "broken": len(broken)}
    reason = f"{len(broken)} of {counted(len(checks), 'rule', 'does')} not hold: {'; '.join(broken)[:300]}"
    return await passed(given, call, output, mode="validator", reason=reason, confidence=None)


async def _hallucination(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    claims, passages = claims_of(given["text"]), passages_of(given["context"])
    asking = asking_of(given, call)
    checked = [await _claim(claim, passages, call, asking) for claim in claims]
    unsupported = [one["claim"] for one in checked if not one["supported"]]
    share = round(1 - len(unsupported) / len(checked), 6)
    output = {"verdict": "reject" if unsupported else "accept", "supported_share": share, "claims": checked}
    reason = (
        f"{len(unsupported)} of {counted(len(checked), 'claim', 'is')} not borne out: {'; '.join(unsupported)[:300]}"
    )
    return await passed(given, call, output, mode="hallucination", reason=reason, confidence=None)


async def _claim(claim: str, passages: Sequence[str], call: ModeCall, asking: Asking) -> dict[str, Any]:
    """One claim: the model names a passage, or none, and the words of that passage decide."""
    places = best_passages(claim, passages, most=_MOST_SHOWN)
    shown = "\n".join(f"[{place + 1}] {passages[place][:600]}" for place in sorted(places))
    schema = {
        "type": "object",
        "properties": {"passage": {"enum": [0, *(place + 1 for place in sorted(places))]}},
        "required": ["passage"],
        "additionalProperties": False,
    }
    said = await ask_json(
        call, asking, system="You name the passage that says what a claim says, by its number; 0 when none does.",
        prompt=f"Passages:\n{shown}\n\nClaim: {claim}\n\nWhich passage says this?",
        schema=schema, name="passage", role="verifier",
    )  # fmt: skip
    named = said["passage"]
    if named == 0:
        return {
            "claim": claim,
            "supported": False,
            "passage": None,
            "overlap": 0.0,
            "why": "the model finds no passage",
        }
    found = overlap(claim, passages[named - 1])
    why = None
    if found.missing_numbers:
        why = f"the passage does not say {', '.join(found.missing_numbers)}"
    elif found.share < _LEAST_SHARE:
        why = f"the passage has {found.share:.0%} of the claim's words; {_LEAST_SHARE:.0%} are needed"
    elif found.is_contrary:
        why = "one of the two denies what the other says"
    return {
        "claim": claim, "supported": why is None, "passage": named, "overlap": round(found.share, 6), "why": why,
    }  # fmt: skip


async def _redteam(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    text = given["text"]
    least = given.get("severity") or "high"
    if least not in _SEVERITIES:
        raise BadInput(f"'severity' is one of {', '.join(_SEVERITIES)}, not {least[:40]!r}", field="severity")
    policy = f"What it must not do: {given['policy']}\n\n" if given.get("policy") else ""
    said = await ask_json(
        call, asking_of(given, call),
        system="You attack a text: quote what in it is false, unsafe, private or against the policy, word for word.",
        prompt=f"{policy}Text:\n{text}\n\nList what is wrong with it; an empty list when nothing is.",
        schema=_ATTACKS, name="findings", role="reviewer",
    )  # fmt: skip
    folded = _folded(text)
    findings = [
        {"by": "model", "severity": one["severity"], "quote": one["quote"], "reason": one["reason"]}
        for one in said["findings"]
        if one["quote"].strip() and _folded(one["quote"]) in folded
    ]
    # A finding about words that the text does not hold is made up, however grave it sounds.
    dropped = len(said["findings"]) - len(findings)
    findings += _rule_findings(text)
    grave = [one for one in findings if _SEVERITIES.index(one["severity"]) >= _SEVERITIES.index(least)]
    output = {"verdict": "reject" if grave else "accept", "findings": findings, "dropped": dropped}
    reasons = "; ".join(one["reason"] for one in grave)[:300]
    reason = f"{counted(len(grave), 'finding')} of severity {least} or more: {reasons}"
    return await passed(given, call, output, mode="redteam", reason=reason, confidence=None)


def _rule_findings(text: str) -> list[dict[str, Any]]:
    """What rules without a model find: orders to models, personal data, Social Security numbers."""
    signs = {**injection_signs(text), **personal_data(text)}
    found: list[dict[str, Any]] = [
        {"by": rule, "severity": "medium", "quote": None, "reason": f"{BY_ID[rule].what} ({count})"}
        for rule, count in sorted(signs.items())
    ]
    if holds_ssn(text):
        reason = "the text holds a US Social Security number"
        found.append({"by": "social_security", "severity": "high", "quote": None, "reason": reason})
    return found


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


JUDGING_MODES = (
    Mode(
        "validator",
        "Has a model check a text against rules, one at a time.",
        {
            "artifact": Field("any", "what is checked", is_required=True),
            "rules": Field("list", f"1 to {MAX_RULES} rules, each a sentence", is_required=True),
            **JUDGE_FIELDS,
            **MODEL_FIELDS,
        },
        _validator,
    ),
    Mode(
        "hallucination",
        "Checks each claim of a text against the context that was retrieved for it.",
        {
            "text": Field("text", "whose sentences are the claims", is_required=True),
            "context": Field("any", "a text, or a list of texts and search results", is_required=True),
            **JUDGE_FIELDS,
            **MODEL_FIELDS,
        },
        _hallucination,
    ),
    CONSENSUS,
    Mode(
        "redteam",
        "Has a model attack a text, beside rules that need none.",
        {
            "text": Field("text", "what is attacked", is_required=True),
            "policy": Field("text", "what the text must not do"),
            "severity": Field("text", "from which severity on it is rejected: low, medium or high (default)"),
            **JUDGE_FIELDS,
            **MODEL_FIELDS,
        },
        _redteam,
    ),
)
