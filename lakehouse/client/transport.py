"""What both clients do with a call, whatever carries it: its request, its answer, its errors.

Belongs here: httpx's side of a call. Not here: sending and waiting (see sync_client.py, async_client.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lakehouse.client.call import Call
from lakehouse.client.installation import find_installation
from lakehouse.client.problems import LakehouseConnectionError, LakehouseInputError, read_problem
from lakehouse.client.retry import RetryPolicy, parse_retry_after
from lakehouse.client.upload import FileBody, Upload
from lakehouse.jitter import draw

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
_CONNECT_TIMEOUT_S = 5.0
# When a server answers and closes while the body is still being sent, the answer can be lost.
_REFUSED_UNREAD = "; a file that is refused before it is read, such as one over the size that is allowed, may end so"


class Wire:
    """Makes requests of calls, and results of answers.

    Args:
        url: Of the API, with the sub-path behind a proxy; None: this machine's installation, with its token.
        token: Bearer token; None sends none.
        timeout_s: Longest wait for the next bytes of an answer.
        retry: When refused calls are made again.
        task_id: Sent with every call: it ties what happens to a task.

    Raises:
        LakehouseInputError: The address is none of HTTP, or a character of the token cannot be sent.
    """

    def __init__(
        self, url: str | None, token: str | None, *, timeout_s: float, retry: RetryPolicy, task_id: str | None
    ) -> None:
        # The installation's token is sent to that installation only.
        self.url, found = (url, None) if url is not None else find_installation()
        if not self.url.lower().startswith(("http://", "https://")):
            raise LakehouseInputError(f"the API's address must begin with http:// or https://; {self.url!r} does not")
        bearer = token if token is not None else found
        self._headers = {} if bearer is None else {"Authorization": f"Bearer {_sendable(bearer)}"}
        if task_id is not None:
            self._headers["X-Task-Id"] = task_id
        self._timeout_s = timeout_s
        self._retry = retry
        # A proxy named by the environment must not see the token of a call to this machine.
        self._is_proxied = url is not None

    def options(self) -> dict[str, Any]:
        """Arguments of httpx's client."""
        return {
            "base_url": self.url,
            "headers": self._headers,
            "timeout": self._timeouts(has_deadline=True),
            "trust_env": self._is_proxied,
        }

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """Arguments of httpx's `build_request`, without a file."""
        arguments: dict[str, Any] = {
            "method": call.method,
            "url": call.path,
            "params": dict(call.params),
            "timeout": self._timeouts(has_deadline=call.has_deadline),
            "headers": dict(call.headers),
        }
        if call.body is not None:
            arguments["content"] = call.body
            arguments["headers"]["Content-Type"] = call.content_type
        return arguments

    def upload_request(self, call: Call[Any], upload: Upload | FileBody, content: Any) -> dict[str, Any]:
        """The same for a call with a file; `content` gives the chunks of `upload`."""
        request = self.request(call)
        return request | {"content": content, "headers": request["headers"] | upload.headers}

    def wait_s(self, call: Call[Any], answer: httpx.Response, *, attempt: int) -> float | None:
        """Seconds until the call is made again, None when this answer stands."""
        if not call.is_repeatable or answer.status_code in call.accepted:
            return None
        after_s = _retry_after_s(answer)
        return self._retry.wait_s(attempt, answer.status_code, after_s, jitter=draw)

    @contextmanager
    def translated(self, *, is_upload: bool = False) -> Iterator[None]:
        """Turn httpx's errors into ours."""
        import httpx

        try:
            yield
        except httpx.ConnectError as error:
            raise LakehouseConnectionError(f"no API answers at {self.url} ({error})") from error
        except httpx.TimeoutException as error:
            kind = type(error).__name__
            raise LakehouseConnectionError(f"the API at {self.url} did not answer in time ({kind})") from error
        except httpx.HTTPError as error:
            kind = type(error).__name__
            hint = _REFUSED_UNREAD if is_upload else ""
            raise LakehouseConnectionError(f"the connection to {self.url} broke ({kind}: {error}){hint}") from error

    def _timeouts(self, *, has_deadline: bool) -> httpx.Timeout:
        import httpx

        return httpx.Timeout(self._timeout_s if has_deadline else None, connect=_CONNECT_TIMEOUT_S)


def _sendable(token: str) -> str:
    """A token without the line break that a file ends with; no message of this or of httpx shows one that is wrong."""
    text = token.strip()
    wrong = next((at for at, character in enumerate(text) if not " " <= character <= "~"), None)
    if wrong is not None:
        raise LakehouseInputError(f"the token cannot be sent: character {wrong} of it is not printable ASCII")
    return text


def result_of(call: Call[T], answer: httpx.Response) -> T:
    """The call's result.

    Raises:
        LakehouseApiError: The answer is a problem.
    """
    require_success(call, answer)
    return answered(call, answer)


def answered(call: Call[T], answer: httpx.Response) -> T:
    """The call's result from an answer that is known to be a success."""
    return call.read(answer.content) if call.read_headers is None else call.read_headers(answer.headers)


def require_success(call: Call[Any], answer: httpx.Response) -> None:
    """Raise `LakehouseApiError` for an answer (read already) that is a problem."""
    if not answer.is_success and answer.status_code not in call.accepted:
        after_s = _retry_after_s(answer)
        raise read_problem(answer.status_code, answer.reason_phrase, answer.content, retry_after_s=after_s)


def _retry_after_s(answer: httpx.Response) -> float | None:
    return parse_retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC))
