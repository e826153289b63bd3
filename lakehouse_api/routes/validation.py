"""`/v1/validate`: whether what a model wrote may be sent or used (CONTRACTS.md section 6).

Belongs here: the route and the form of its answers. Not here: the rules (see lakehouse/validation), the workers that
fills are checked against (see lakehouse/adapters/roster.py).
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter

from lakehouse.clock import new_id
from lakehouse.validation.log_line import validation_line
from lakehouse_api import validating
from lakehouse_api.accepted import FLAT, wants_flat
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked, Reply
from lakehouse_api.schemas.validation import FlatRefusal, TaggedRefusal, ValidationPassed, ValidationRequest
from lakehouse_api.struct_bodies import Body, answers

router = APIRouter(prefix="/v1/validate", tags=["validation"])
_TYPES = {False: b"application/json", True: FLAT.encode()}


async def validate_artifact(asked: Asked) -> bytes | Reply:
    """Validate an e-mail, an SMS, a fill or a playbook; 422 says what is wrong with it."""
    body: ValidationRequest = asked.body
    services = asked.services
    services.require_writable()
    verdict = await validating.validate_artifact(body.kind, body.artifact, body.context, roster=services.roster)
    line = validation_line(
        verdict, body.artifact, body.context,
        run_id=new_id(), trace_id=asked.state["request_id"], task_id=asked.state["task_id"], actor=asked.principal.name,
    )  # fmt: skip
    asked.state["is_audited"] = True
    await services.events.append("validations", line, durable=True)
    refusal = verdict.refusal
    services.metrics.count_validation(verdict.kind, None if refusal is None else refusal.error)
    if refusal is None:
        return orjson.dumps(verdict.answer())
    is_flat = wants_flat(asked.accept)
    headers = ((b"content-type", _TYPES[is_flat]), (b"vary", b"Accept"))
    return Reply(orjson.dumps(refusal.flat() if is_flat else refusal.tagged()), 422, headers)


_EXAMPLE = {
    "kind": "sms",
    "artifact": {"to": "+14155550132", "body": "We have a shift on Monday at 7 am, reply YES to confirm."},
    "context": {},
}
_FINDING = {"rule": "personal.phone", "field": "body", "reason": "the text holds a phone number", "count": 1}
_TAGGED = {"Schema": {"field": "to", "reason": "to is missing; give a phone number"}}
_FLAT = {"Kind": "schema", "Field": "to", "Reason": "to is missing; give a phone number"}
_REFUSED = {
    "description": "The artifact is refused, in one of two forms.",
    "content": {
        **answers(TaggedRefusal, example=_TAGGED)["content"],
        FLAT: answers(FlatRefusal, example=_FLAT)["content"]["application/json"],
    },
}
HOT.declare(
    router, "", validate_artifact, body=Body(ValidationRequest, example=_EXAMPLE), scope="read",
    responses={
        200: answers(ValidationPassed, example={"findings": [_FINDING], "elapsed_ms": 0.21}),
        422: _REFUSED,
        **problems(507),
    },
)  # fmt: skip
