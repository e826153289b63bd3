"""E-mails and SMS: shape, completeness, whom they name, and what they must not tell.

Belongs here: the two kinds and the order of their checks. Not here: how things are found (see recipients.py,
sms_length.py, names.py, social_security.py, pay.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lakehouse.validation.names import names_candidate, other_person
from lakehouse.validation.pay import discloses_pay
from lakehouse.validation.recipients import address_fault, is_assigned, phone_fault
from lakehouse.validation.shapes import MAX_NAME, is_blank, name_list_fault, schema, shown, text_fault, type_name
from lakehouse.validation.sms_length import sms_length
from lakehouse.validation.social_security import holds_ssn
from lakehouse.validation.texts import quoted
from lakehouse.validation.verdict import Finding, Refusal

MAX_SUBJECT = 78
_LINE_BREAK = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029\x00]")

Artifact = Mapping[str, Any]
Context = Mapping[str, Any]


def check_email(artifact: Artifact, context: Context) -> Refusal | None:
    """Why an e-mail is refused, None when it is not."""
    return (
        _recipient_fault(artifact, "email.to", "an e-mail address", address_fault)
        or _subject_fault(artifact)
        or text_fault(artifact, "body", "message.text")
        or _context_fault(context)
        or _missing(artifact, "subject")
        or _missing(artifact, "body")
        or _text_faults(artifact, context)
    )


def check_sms(artifact: Artifact, context: Context) -> Refusal | None:
    """Why an SMS is refused, None when it is not."""
    return (
        _recipient_fault(artifact, "sms.to", "a phone number", phone_fault)
        or text_fault(artifact, "body", "message.text")
        or text_fault(artifact, "subject", "message.text")
        or _length_fault(artifact)
        or _context_fault(context)
        or _missing(artifact, "body")
        or _text_faults(artifact, context)
    )


def message_findings(kind: str, artifact: Artifact, context: Context) -> list[Finding]:
    """What is worth knowing about a message that passed."""
    found = []
    candidate = context.get("candidate_name")
    if not is_blank(candidate) and not names_candidate(_text(artifact), str(candidate)):
        found.append(Finding("candidate.unnamed", "body", "the text does not name the candidate of the context"))
    if kind == "sms" and not is_assigned(artifact["to"]):
        found.append(Finding("sms.unassigned", "to", "the number lies in no range that its country gives out"))
    return found


def _recipient_fault(artifact: Artifact, rule: str, what: str, fault_of: Any) -> Refusal | None:
    to = artifact.get("to")
    if is_blank(to):
        return schema(rule, "to", f"to is missing; give {what}")
    if not isinstance(to, str):
        return schema(rule, "to", f"to must be {what} as text, not {type_name(to)}")
    fault = fault_of(to)
    return None if fault is None else schema(rule, "to", f"to is not {what}: {fault}")


def _subject_fault(artifact: Artifact) -> Refusal | None:
    fault = text_fault(artifact, "subject", "message.text")
    subject = artifact.get("subject")
    if fault is not None or subject is None:
        return fault
    if len(subject) > MAX_SUBJECT:
        reason = f"subject has {len(subject)} characters; at most {MAX_SUBJECT} are allowed"
        return schema("email.subject", "subject", reason)
    if _LINE_BREAK.search(subject) is not None:
        return schema("email.subject", "subject", "subject must be one line; a line break in it could add headers")
    return None


def _length_fault(artifact: Artifact) -> Refusal | None:
    body = artifact.get("body")
    if body is None:
        return None
    length = sms_length(body)
    if length.units <= length.limit:
        return None
    reason = f"body has {length.units} characters in {length.encoding}; one message holds {length.limit}"
    return schema("sms.length", "body", reason)


def _context_fault(context: Context) -> Refusal | None:
    allow_pay = context.get("allow_pay")
    if allow_pay is not None and not isinstance(allow_pay, bool):
        return schema("message.context", "context.allow_pay", "context.allow_pay must be true or false")
    name = context.get("candidate_name")
    if name is not None and (not isinstance(name, str) or len(name) > MAX_NAME):
        reason = f"context.candidate_name must be text of at most {MAX_NAME} characters"
        return schema("message.context", "context.candidate_name", reason)
    others = context.get("other_names")
    return None if others is None else name_list_fault(others, "context.other_names", "message.context")


def _missing(artifact: Artifact, field: str) -> Refusal | None:
    return Refusal("Completeness", "message.missing", f"{field} is empty") if is_blank(artifact.get(field)) else None


def _text_faults(artifact: Artifact, context: Context) -> Refusal | None:
    text = _text(artifact)
    candidate = context.get("candidate_name")
    name = None if is_blank(candidate) else candidate
    other = other_person(text, name, context.get("other_names") or ())
    if other is not None:
        than = "somebody else than the candidate of the context"
        return Refusal("Consistency", "candidate.name", f"the text names {quoted(shown(other))}, {than}")
    if holds_ssn(text):
        return Refusal("Policy", "message.ssn", "the text holds a US Social Security number; take it out")
    if context.get("allow_pay") is not True and discloses_pay(text):
        reason = "the text tells a pay rate; take it out, or send context.allow_pay: true where that is allowed"
        return Refusal("Policy", "message.pay", reason)
    return None


def _text(artifact: Artifact) -> str:
    """Subject and body as one: a number named in the one may stand in the other."""
    subject, body = artifact.get("subject"), artifact.get("body")
    return f"{subject}\n{body}" if subject else str(body)
