"""Asking two services the same: each case of both at the same time, several cases at once.

Belongs here: `POST /v1/validate` of both, what broke on the way. Not here: comparing (see lakehouse/parity/).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from lakehouse.errors import BadInput, Unavailable
from lakehouse.parity.cases import Case
from lakehouse.parity.comparison import Answer
from lakehouse.parity.forms import Form
from lakehouse_cli.remote import Remote

_PATH = "/v1/validate"
_CONNECT_TIMEOUT_S = 5.0
_MAX_BODY_BYTES = 1 << 20


def ask_both(
    cases: Sequence[Case],
    services: tuple[Remote, Remote],
    *,
    forms: tuple[Form, Form],
    timeout_s: float,
    concurrency: int,
) -> list[tuple[Answer, Answer]]:
    """The answers of both services to each case, in the cases' order.

    Args:
        cases: What is asked.
        services: Left and right.
        forms: In which form each is asked for errors.
        timeout_s: Longest time for one answer, whole.
        concurrency: Cases in flight at once.

    Raises:
        Unavailable: A service cannot be reached; the message says which one.
    """
    return asyncio.run(_ask_all(cases, services, forms=forms, timeout_s=timeout_s, concurrency=concurrency))


async def _ask_all(
    cases: Sequence[Case],
    services: tuple[Remote, Remote],
    *,
    forms: tuple[Form, Form],
    timeout_s: float,
    concurrency: int,
) -> list[tuple[Answer, Answer]]:
    bodies = [json.dumps(case.request).encode() for case in cases]
    answers: dict[int, tuple[Answer, Answer]] = {}
    numbers = iter(range(len(bodies)))
    left, right = (
        _Service(name, remote, form, timeout_s=timeout_s)
        for name, remote, form in zip(("left", "right"), services, forms, strict=True)
    )

    async def work() -> None:
        for number in numbers:
            one, other = await asyncio.gather(left.ask(bodies[number]), right.ask(bodies[number]))
            answers[number] = one, other

    async with left.http, right.http:
        await asyncio.gather(*(work() for _ in range(min(concurrency, len(bodies)))))
    return [answers[number] for number in range(len(bodies))]


class _Service:
    """One side."""

    def __init__(self, name: str, remote: Remote, form: Form, *, timeout_s: float) -> None:
        import httpx

        self._name = name
        self._url = remote.url
        self._timeout_s = timeout_s
        self._has_answered = False
        headers = {"Content-Type": "application/json", "Accept": form.accept}
        if remote.token is not None:
            headers["Authorization"] = f"Bearer {remote.token}"
        self.http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
            trust_env=not remote.is_on_loopback,  # a proxy must not see the token of a call to this machine
        )

    async def ask(self, body: bytes) -> Answer:
        """One answer, or why there is none."""
        import httpx

        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            reason = str(error) or type(error).__name__
            if self._has_answered:
                return Answer(failure=f"it can no longer be reached ({reason})")
            raise Unavailable(f"{self._name}: nothing answers at {self._url} ({reason})") from None
        except httpx.InvalidURL as error:
            raise BadInput(f"{self._name}: {self._url!r} is not an address ({error})") from None
        except (httpx.TimeoutException, TimeoutError):
            return Answer(failure=f"no answer within {self._timeout_s:g} s")
        except httpx.HTTPError as error:
            return Answer(failure=f"the connection broke ({type(error).__name__})")

    async def _ask(self, body: bytes) -> Answer:
        async with self.http.stream("POST", self._url + _PATH, content=body) as answer:
            self._has_answered = True
            gathered = b""
            async for chunk in answer.aiter_bytes():
                gathered += chunk
                if len(gathered) > _MAX_BODY_BYTES:
                    return Answer(failure=f"an answer of more than {_MAX_BODY_BYTES >> 20} MiB")
            return Answer(answer.status_code, gathered)
