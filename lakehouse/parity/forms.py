"""The two forms of a validation error, and the mapping between them (CONTRACTS.md section 6).

| tagged, the canonical form | flat, with `Accept: application/vnd.lakehouse.flat+json` |
| --- | --- |
| `{"Schema": {"field": f, "reason": r}}` | `{"Kind": "schema", "Field": f, "Reason": r}` |
| `{"Completeness": {"reason": r}}` | `{"Kind": "completeness", "Field": "", "Reason": r}` |
| `{"Consistency": {"reason": r}}` | `{"Kind": "consistency", "Field": "", "Reason": r}` |
| `{"Policy": {"reason": r}}` | `{"Kind": "policy", "Field": "", "Reason": r}` |

The kinds are the same words, in lower case in the flat form; `Field` is "" where the tagged form has no field. Every
other answer is the same in both.

Belongs here: the forms and their mapping. Not here: comparing (see comparison.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

KINDS = ("Schema", "Completeness", "Consistency", "Policy")
_BY_FLAT_KIND = {kind.lower(): kind for kind in KINDS}
_FLAT_MEMBERS = {"Kind", "Field", "Reason"}


class Form(StrEnum):
    """How a service is asked to write validation errors."""

    TAGGED = "tagged"
    FLAT = "flat"

    @property
    def accept(self) -> str:
        """The value of the header `Accept`."""
        return "application/vnd.lakehouse.flat+json" if self is Form.FLAT else "application/json"


class NotInForm(Exception):
    """A body is not in the form that was asked for; the text says why."""


def tagged_of(body: object, form: Form) -> dict[str, Any]:
    """A validation error in the tagged form.

    Args:
        body: The error as it came.
        form: In which it should be.

    Raises:
        NotInForm: It is not in that form.
    """
    return _tagged_of_flat(body) if form is Form.FLAT else _checked(body)


def _tagged_of_flat(body: object) -> dict[str, Any]:
    if not isinstance(body, Mapping) or set(body) != _FLAT_MEMBERS:
        raise NotInForm("is not {Kind, Field, Reason}")
    kind, field, reason = body["Kind"], body["Field"], body["Reason"]
    if not isinstance(kind, str) or kind not in _BY_FLAT_KIND:
        raise NotInForm(f"has a Kind other than {', '.join(_BY_FLAT_KIND)}")
    if not isinstance(field, str) or not isinstance(reason, str):
        raise NotInForm("has a Field or a Reason that is not text")
    if kind == "schema":
        return {"Schema": {"field": field, "reason": reason}}
    if field:
        raise NotInForm(f"has a Field, which an error of Kind {kind} has not")
    return {_BY_FLAT_KIND[kind]: {"reason": reason}}


def _checked(body: object) -> dict[str, Any]:
    if not isinstance(body, Mapping) or len(body) != 1 or next(iter(body)) not in KINDS:
        raise NotInForm(f"is not one of {', '.join(KINDS)} and what is said of it")
    ((kind, said),) = body.items()
    members = ("field", "reason") if kind == "Schema" else ("reason",)
    if not isinstance(said, Mapping) or set(said) != set(members) or not all(isinstance(v, str) for v in said.values()):
        raise NotInForm(f"has a {kind} that is not {{{', '.join(members)}}} with texts")
    return {kind: dict(said)}


def error_of(body: object) -> tuple[str | None, str | None]:
    """Kind and field of an error in the tagged form; None and None for any other body."""
    if not isinstance(body, Mapping) or len(body) != 1:
        return None, None
    ((kind, said),) = body.items()
    if kind not in KINDS or not isinstance(said, Mapping):
        return None, None
    field = said.get("field")
    return kind, field if isinstance(field, str) else None
