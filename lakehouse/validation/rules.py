"""Every rule in one table: its id, the kinds it holds for, what it refuses with, what it asks, and where that is from.

A change of what any rule accepts or refuses raises `RULES_VERSION`, which every log line carries.

Belongs here: the table. Not here: the code of the rules (see messages.py, fill.py, playbook.py, injection.py,
personal.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RULES_VERSION = "validation/1"
_CONTRACT = "contract of `/v1/validate`"
_MESSAGES = ("email", "sms")
_ALL = ("email", "sms", "fill", "playbook")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `since` is the number of the version that brought it or changed it last."""

    id: str
    kinds: tuple[str, ...]
    error: Literal["Schema", "Completeness", "Consistency", "Policy", "finding"]
    what: str
    source: str = _CONTRACT
    since: int = 1


RULES = (
    Rule(
        "email.to", ("email",), "Schema",
        "`to` is an address that SMTP takes as it stands, at a domain with a dot that is not reserved",
        "RFC 5321 4.1.2, RFC 6761",
    ),
    Rule(
        "email.subject", ("email",), "Schema",
        "`subject` has at most 78 characters and is one line",
        "RFC 5322 2.1.1",
    ),
    Rule(
        "sms.to", ("sms",), "Schema",
        "`to` begins with + and parses as a phone of its country",
        "ITU-T E.164",
    ),
    Rule(
        "sms.length", ("sms",), "Schema",
        "`body` fits one message: 160 septets of GSM-7 (its extension table costs two), or 70 UTF-16 code units",
        "3GPP TS 23.038",
    ),
    Rule(
        "message.text", _MESSAGES, "Schema",
        "`subject` and `body` are text of at most 50,000 characters",
    ),
    Rule(
        "message.context", _MESSAGES, "Schema",
        "`allow_pay` is a boolean, `candidate_name` text, `other_names` a list of texts, where they are given",
    ),
    Rule(
        "fill.shape", ("fill",), "Schema",
        "`fills` is a list of at most 1,000 `{candidate_id, name}`, both texts",
    ),
    Rule(
        "fill.context", ("fill",), "Schema",
        "`target_count` is a whole number, `role`, `city`, `state`, `client_id` are texts; the first four are "
        "there (else `Completeness`)",
    ),
    Rule(
        "playbook.shape", ("playbook",), "Schema",
        "`operation` is text, `endorsed_names` a list of at most 1,000 texts",
    ),
    Rule(
        "playbook.score", ("playbook",), "Schema",
        "`score`, where given, is a number from -1 to 1",
    ),
    Rule(
        "message.missing", _MESSAGES, "Completeness",
        "`body`, and an e-mail's `subject`, are there and not blank",
    ),
    Rule(
        "fill.empty", ("fill",), "Completeness",
        "somebody is proposed",
    ),
    Rule(
        "playbook.empty", ("playbook",), "Completeness",
        "`operation` and every endorsed name are not blank, and there is one",
    ),
    Rule(
        "candidate.name", _MESSAGES, "Consistency",
        "whom the text greets or calls the candidate is `candidate_name`, and none of `other_names` is in it",
    ),
    Rule(
        "fill.count", ("fill",), "Consistency",
        "as many are proposed as `target_count`",
    ),
    Rule(
        "fill.duplicate", ("fill",), "Consistency",
        "nobody is proposed twice",
    ),
    Rule(
        "fill.phantom", ("fill",), "Consistency",
        "`candidate_id` is a `worker_id` of the dataset `workers`",
    ),
    Rule(
        "fill.name", ("fill",), "Consistency",
        "`name` is that worker's, without regard to case, accents, order and initials",
    ),
    Rule(
        "fill.inactive", ("fill",), "Consistency",
        "the worker's `status` is `active`",
    ),
    Rule(
        "fill.role", ("fill",), "Consistency",
        "the worker's `role` is `context.role`",
    ),
    Rule(
        "fill.place", ("fill",), "Consistency",
        "the worker's `city` and `state` are the context's",
    ),
    Rule(
        "fill.blocked", ("fill",), "Consistency",
        "the dataset `client_blocks` does not block the worker for `client_id`",
    ),
    Rule(
        "message.ssn", _MESSAGES, "Policy",
        "no US Social Security number: hyphens, spaces or dots between its groups, or nine digits that the words "
        "around call so",
        "SSA, 20 CFR 422.103",
    ),
    Rule(
        "message.pay", _MESSAGES, "Policy",
        "no pay rate unless `context.allow_pay` is true",
    ),
    Rule(
        "candidate.unnamed", _MESSAGES, "finding",
        "the text does not name the candidate of the context",
    ),
    Rule(
        "sms.unassigned", ("sms",), "finding",
        "the number lies in no range that its country gives out",
        "libphonenumber",
    ),
    Rule(
        "fill.no_client", ("fill",), "finding",
        "no `client_id`, so that blocks were not looked at",
    ),
    Rule(
        "fill.stale", ("fill",), "finding",
        "the store does not answer; workers are as they were read last",
    ),
    Rule(
        "playbook.repeated", ("playbook",), "finding",
        "a name is endorsed more than once",
    ),
    Rule(
        "injection.override", _ALL, "finding",
        "the text tells a model to leave its instructions",
        "OWASP LLM01",
    ),
    Rule(
        "injection.role", _ALL, "finding",
        "the text holds marks of chat roles",
        "OWASP LLM01",
    ),
    Rule(
        "injection.exfiltration", _ALL, "finding",
        "the text asks for prompts, keys or secrets, or sends them away",
        "OWASP LLM02",
    ),
    Rule(
        "injection.hidden", _ALL, "finding",
        "the text holds characters that a reader does not see",
        "OWASP LLM01",
    ),
    Rule(
        "personal.email", _ALL, "finding",
        "the text holds an e-mail address",
    ),
    Rule(
        "personal.phone", _ALL, "finding",
        "the text holds a phone number",
    ),
    Rule(
        "personal.ssn", _ALL, "finding",
        "the text holds a US Social Security number",
    ),
    Rule(
        "personal.street", _ALL, "finding",
        "the text holds a street address or a post box",
    ),
)  # fmt: skip
BY_ID = {rule.id: rule for rule in RULES}
