"""Phase 1, contracts: a live API is asked what it must answer, and every stored document is read.

Belongs here: asking. Not here: what the contract is (see lakehouse/audit/contract.py), reading documents (see
audit_full_formats.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.adapters.audit_full_formats import check_formats
from lakehouse.audit import contract
from lakehouse.clock import new_id
from lakehouse.counted import counted

if TYPE_CHECKING:
    import httpx

    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger

_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 3.0
_API, _DESCRIBED, _PROBES = "the routes of the contract", "the API is as described", "answers of the contract"
_RESTART = "The API that runs is not the program that is installed: lakehouse down && lakehouse up"


def check_contracts(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Look at the live API, where one answers, and at the documents in the store."""
    check_api(parts, ledger)
    check_formats(parts.store, ledger)


def check_api(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Hold a live API against the contract."""
    import httpx

    address = parts.api
    headers = {} if address.token is None else {"Authorization": f"Bearer {address.token}"}
    timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    # trust_env off: a proxy named by the environment must not see the token of a call to this machine.
    with httpx.Client(base_url=address.url, timeout=timeout, trust_env=False) as http:
        try:
            answer = http.get("/openapi.json", headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            for name in (_API, _DESCRIBED, _PROBES):
                ledger.skipped(name, f"no API answers at {address.url}")
            return
        except httpx.HTTPError as error:
            ledger.failed(_API, f"{address.url} breaks off ({type(error).__name__})", "see its log; lakehouse doctor")
            return
        if answer.status_code != httpx.codes.OK:
            what = f"{address.url}/openapi.json answers {answer.status_code}"
            ledger.failed(_API, what, "Is it this installation's API, and the token its own? lakehouse doctor")
            return
        live = _document(answer.content)
        if live is None:
            what = f"{address.url}/openapi.json answers no OpenAPI document"
            ledger.failed(_API, what, "Something else listens there: lakehouse doctor")
            return
        _check_routes(parts, live, ledger)
        _check_probes(http, headers, ledger)


def _check_routes(parts: AuditParts, live: dict[str, Any], ledger: PhaseLedger) -> None:
    there, wanted = contract.routes_of(live), contract.routes()
    ledger.measured("routes", len(there))
    missing = [f"{route} is not there" for route in wanted if route not in there]
    ledger.judge(_API, missing, looked_at=counted(len(wanted), "route"), remedy=_RESTART)
    if parts.openapi is None or not parts.openapi.is_file():
        ledger.skipped(_DESCRIBED, "no description of the API lies beside this program")
        return
    described = _document(parts.openapi.read_bytes())
    if described is None:
        ledger.failed(_DESCRIBED, f"{parts.openapi} is not an OpenAPI document", "make docs")
        return
    ledger.judge(
        _DESCRIBED, list(_differing(described, live)), looked_at=f"{len(there)} operations as in {parts.openapi.name}",
        remedy=_RESTART,
    )  # fmt: skip


def _document(body: bytes) -> dict[str, Any] | None:
    """An OpenAPI document; None where it is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    is_one = isinstance(document, dict) and isinstance(document.get("paths"), dict)
    return document if is_one and all(isinstance(one, dict) for one in document["paths"].values()) else None


def _differing(described: dict[str, Any], live: dict[str, Any]) -> Iterator[str]:
    """Operations that only one of the two documents has, or that have other answers in it."""
    one, other = (
        {(method.upper(), path): set(operation.get("responses", ())) for path, operations in document["paths"].items()
         for method, operation in operations.items() if isinstance(operation, dict)}
        for document in (described, live)
    )  # fmt: skip
    for method, path in sorted(one.keys() | other.keys(), key=lambda pair: (pair[1], pair[0])):
        known, found = one.get((method, path)), other.get((method, path))
        if found is None:
            yield f"{method} {path} is described and not served"
        elif known is None:
            yield f"{method} {path} is served and not described"
        elif known != found:
            yield f"{method} {path} answers others than described: {', '.join(sorted(known ^ found))}"


def _check_probes(http: httpx.Client, headers: dict[str, str], ledger: PhaseLedger) -> None:
    import httpx

    faults: list[str] = []
    is_open_to_all = not headers
    asked = [
        one for one in contract.probes(new_id()) if not (is_open_to_all and one.status == httpx.codes.UNAUTHORIZED)
    ]
    for probe in asked:
        try:
            answer = http.request(
                probe.method, probe.path, json=probe.body, content=probe.text, headers={} if probe.is_open else headers
            )
        except httpx.HTTPError as error:
            faults.append(f"{probe.name}: {probe.method} {probe.path} breaks off ({type(error).__name__})")
            continue
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        faults += contract.faults_of(probe, status=answer.status_code, media_type=media_type, body=answer.content)
    remedy = "See docs/guides/api.md for what each route answers, and the API's log for what it did"
    ledger.judge(_PROBES, faults, looked_at=counted(len(asked), "request"), remedy=remedy)
