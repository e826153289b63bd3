"""Cases: what is asked of both services, and what is expected of the answers where a case says so.

A file of cases is a JSON list of `{name, request, status, error, field}`. `request` is the body of `POST /v1/validate`,
of any JSON. The other members may be left out, and what is left out is not expected: `"error": null` says that the
answer is no validation error, and no `error` at all says nothing. `field` is the error's field, null for none.

Belongs here: reading cases, the built-in ones. Not here: comparing (see comparison.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NoReturn

from lakehouse.errors import BadInput
from lakehouse.parity.forms import KINDS

_MEMBERS = ("name", "request", "status", "error", "field")


@dataclass(frozen=True, slots=True)
class Case:
    """One request to both services.

    Args:
        name: As it is shown.
        request: The body, any JSON.
        expected: Of `status` (an HTTP status), `error` (one of `forms.KINDS`, or None for no validation error) and
            `field` (or None for no field), those that are expected.
    """

    name: str
    request: Any
    expected: Mapping[str, Any]


def builtin_cases() -> tuple[Case, ...]:
    """The cases of the package, at least six of each kind.

    Of data they need a dataset `workers`, whoever is in it.
    """
    return read_cases(files("lakehouse.parity").joinpath("cases.json").read_bytes(), source="the built-in cases")


def read_cases(content: bytes, *, source: str) -> tuple[Case, ...]:
    """Read a file of cases.

    Args:
        content: The file, UTF-8.
        source: What the file is called in errors.

    Raises:
        BadInput: It is no JSON list of cases; the message says which case, and what is wrong with it.
    """
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadInput(f"{source} is not JSON: {error}") from None
    except RecursionError:
        raise BadInput(f"{source} is nested too deep") from None
    if not isinstance(document, list):
        raise BadInput(f"{source} must be a JSON list of cases, each with a name and a request")
    if not document:
        raise BadInput(f"{source} has no case")
    return tuple(_read_case(case, f"{source}, case {number}") for number, case in enumerate(document, 1))


def _read_case(case: object, where: str) -> Case:
    if not isinstance(case, dict):
        raise BadInput(f"{where} must be an object with a name and a request")
    name = case.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadInput(f"{where} needs a name, a text")
    where = f"{where} ({name!r})"
    unknown = sorted(case.keys() - set(_MEMBERS))
    if unknown:
        raise BadInput(f"{where} has an unknown member {unknown[0]!r}; there are {', '.join(_MEMBERS)}")
    if "request" not in case:
        raise BadInput(f"{where} needs a request, the body that both services are sent")
    _check_expected(case, where)
    return Case(name, case["request"], {key: case[key] for key in ("status", "error", "field") if key in case})


def _check_expected(case: Mapping[str, Any], where: str) -> None:
    status, error, field = case.get("status", 200), case.get("error"), case.get("field")
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise BadInput(f"{where}: status must be an HTTP status, not {status!r}")
    if error is not None and error not in KINDS:
        raise BadInput(f"{where}: error must be one of {', '.join(KINDS)}, or null, not {error!r}")
    if field is not None and not isinstance(field, str):
        raise BadInput(f"{where}: field must be a text or null, not {field!r}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
