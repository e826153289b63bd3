"""Cases over HTTP: each step is asked, each expectation becomes an assertion with its request, answer and time.

Belongs here: asking, asking again until it holds, what is kept for later steps. Not here: what is right (see
lakehouse/proof/checks.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx

from lakehouse.errors import BadInput
from lakehouse.proof.cases import Case, Expectation, Step, fill
from lakehouse.proof.checks import Answer, Missing, check, find
from lakehouse.proof.rankings import Rankings
from lakehouse.proof.verdicts import Assertion, Outcome

_TIMEOUT_S = 60.0
_ASK_AGAIN_S = 0.1
_MOST_KEPT = 4000


class HttpCases:
    """Runs cases against one service.

    Args:
        url: Its base URL.
        token: Bearer token of steps that are not anonymous; never part of a record.
        mark: A word of this run, which cases have as `${run}`, so that runs on one store do not meet.
        rankings: Golden rankings.
    """

    def __init__(self, url: str, token: str | None, *, mark: str, rankings: Rankings) -> None:
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
        self._token = token
        self._mark = mark
        self._rankings = rankings

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def run(self, case: Case) -> Iterator[Assertion]:
        """Take a case's steps in turn; the first step of which something is wrong is the last."""
        kept: dict[str, Any] = {"run": self._mark}
        for number, step in enumerate(case.steps, start=1):
            found = self._take(case.name, number, step, kept)
            yield from found
            if any(one.outcome is Outcome.FAIL for one in found):
                return

    def _take(self, name: str, number: int, step: Step, kept: dict[str, Any]) -> list[Assertion]:
        try:
            request = self._request(step, kept)
            expects = [replace(one, wanted=fill(one.wanted, kept), at=str(fill(one.at, kept))) for one in step.expects]
        except BadInput as error:
            return [Assertion(name, number, "the step can be asked", Outcome.FAIL, error.detail, 0.0)]
        shown = _shown_request(request, step)
        deadline = time.monotonic() + (step.within_s or 0.0)
        while True:
            begun = time.perf_counter()
            try:
                answer = self._ask(request, step.repeat)
            except httpx.HTTPError as error:
                answer, problem = None, f"no answer: {type(error).__name__}"
            elapsed_ms = (time.perf_counter() - begun) * 1000
            if answer is None:
                found = [Assertion(name, number, "it answers", Outcome.FAIL, problem, elapsed_ms, shown)]
            else:
                found = [self._assert(name, number, one, answer, elapsed_ms, shown) for one in expects]
            if all(one.outcome is Outcome.PASS for one in found) or time.monotonic() >= deadline:
                break
            time.sleep(_ASK_AGAIN_S)
        if answer is not None and all(one.outcome is Outcome.PASS for one in found):
            found += _keep(name, number, step, answer, kept)
        return found

    def _request(self, step: Step, kept: Mapping[str, Any]) -> httpx.Request:
        headers = {k: str(fill(v, kept)) for k, v in step.headers.items()}
        if self._token is not None and not step.is_anonymous:
            headers.setdefault("Authorization", f"Bearer {self._token}")
        more: dict[str, Any] = {}
        if step.file is not None:
            more["files"] = {"file": (fill(step.file[0], kept), str(fill(step.file[1], kept)).encode())}
        elif step.text is not None:
            more["content"] = str(fill(step.text, kept)).encode()
        elif step.json is not None:
            more["json"] = fill(step.json, kept)
        request = self._client.build_request(step.method, str(fill(step.path, kept)), headers=headers, **more)
        request.read()  # turns the parts of a file into bytes, which can be sent again
        return request

    def _ask(self, request: httpx.Request, repeat: int) -> Answer:
        times_ms: list[float] = []
        first = 0
        for _ in range(repeat):
            begun = time.perf_counter()
            came = self._client.send(request)
            times_ms.append((time.perf_counter() - begun) * 1000)
            first = first or came.status_code
            if came.status_code != first:
                break  # of repeated requests the one that fails is the answer that counts
        return Answer(came.status_code, dict(came.headers), _body(came), times_ms)

    def _assert(  # noqa: PLR0917 - one call, above
        self, name: str, number: int, one: Expectation, answer: Answer, elapsed_ms: float, shown: Mapping[str, Any]
    ) -> Assertion:
        wrong = check(one, answer, self._rankings)
        outcome = Outcome.PASS if wrong is None else Outcome.FAIL
        response = {"status": answer.status, "body": _short(answer.body), "times": len(answer.times_ms)}
        return Assertion(name, number, one.words, outcome, wrong or "", elapsed_ms, shown, response)


def _keep(name: str, number: int, step: Step, answer: Answer, kept: dict[str, Any]) -> list[Assertion]:
    lost = []
    for key, path in step.keep.items():
        value = find(answer.body, path)
        if isinstance(value, Missing):
            lost.append(Assertion(name, number, f"keep {path}", Outcome.FAIL, f"there is no {path!r}", 0.0))
        else:
            kept[key] = value
    return lost


def _body(came: httpx.Response) -> Any:
    if "json" in came.headers.get("content-type", ""):
        try:
            return came.json()
        except ValueError:
            return came.text
    return came.text


def _shown_request(request: httpx.Request, step: Step) -> dict[str, Any]:
    """What was sent, without the token."""
    body = request.content[:_MOST_KEPT].decode("utf-8", "replace") if request.content else None
    return {
        "method": request.method, "path": request.url.raw_path.decode("ascii"), "body": body, "repeat": step.repeat,
        "is_anonymous": step.is_anonymous or "authorization" not in request.headers,
    }  # fmt: skip


def _short(body: Any) -> Any:
    """A body as it came, or the beginning of its text where it is long."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return body if len(text) <= _MOST_KEPT else text[:_MOST_KEPT]
