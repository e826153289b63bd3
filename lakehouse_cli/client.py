"""The API's client, as the commands use it: the token, streaming both ways, problems turned into our errors.

Belongs here: HTTP to our own API. Not here: what is printed (see the command modules).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lakehouse.client.installation import api_url, find_token
from lakehouse.errors import LakehouseError, NotFound, TimedOut, Unavailable
from lakehouse.settings import Settings, process_environ

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 3.0
CHUNK_BYTES = 1 << 20


class ApiProblem(LakehouseError):
    """The API refused; the fields are its problem document and `status`, the HTTP status."""


class ApiClient:
    """Calls the API of an installation.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        token: Bearer token, None to send none.
        timeout_s: Deadline of each wait for bytes.
        task_id: Ties what these calls do to a task, in the event log.
    """

    def __init__(
        self, base_url: str, token: str | None, *, timeout_s: float = 60.0, task_id: str | None = None
    ) -> None:
        import httpx

        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if task_id is not None:
            headers["X-Task-Id"] = task_id
        # trust_env off: a proxy named by the environment must not see the token of a call to this machine.
        self._http = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )
        self.base_url = base_url

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def json(self, method: str, path: str, **request: Any) -> Any:
        """Call a route and return its JSON.

        Raises:
            NotFound: On 404.
            ApiProblem: On any other refusal.
            Unavailable: When nothing answers.
        """
        with self._translated():
            answer = self._http.request(method, path, **request)
        _raise_problem(answer)
        return answer.json() if answer.content else None

    def find(self, path: str) -> Any | None:
        """GET a route's JSON, None on 404."""
        try:
            return self.json("GET", path)
        except NotFound:
            return None

    def upload(
        self, path: str, file: Path, *, params: Mapping[str, str], on_bytes: Callable[[int], None] | None = None
    ) -> Any:
        """POST a file as the multipart field `file`, streaming; `on_bytes` is called with the bytes of each read."""
        with file.open("rb") as stream:
            parts = {"file": (file.name, _Counted(stream, on_bytes))}
            # The answer comes after the conversion, however long that takes; the server limits the time.
            return self.json("POST", path, params=dict(params), files=parts, timeout=None)

    def put(self, path: str, file: Path, *, on_bytes: Callable[[int], None] | None = None) -> Any:
        """PUT a file's bytes, streaming."""
        with file.open("rb") as stream:
            headers = {"Content-Length": str(file.stat().st_size), "Content-Type": "text/csv"}
            return self.json("PUT", path, content=_chunks(_Counted(stream, on_bytes)), headers=headers)

    @contextmanager
    def stream(self, method: str, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        """Call a route and yield its body's chunks; a body that breaks off raises."""
        with self._opened(method, path, **request) as answer:
            yield answer.iter_bytes(CHUNK_BYTES)

    @contextmanager
    def lines(self, method: str, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        """Call a route and yield its body's lines, each as soon as it has come; a body that breaks off raises."""
        with self._opened(method, path, **request) as answer:
            yield _lines(answer.iter_bytes())  # without a size, as a size would wait until so many bytes have come

    @contextmanager
    def _opened(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """Call a route and yield its answer, whose body has not been read."""
        with self._translated(), self._http.stream(method, path, **request) as answer:
            if answer.is_error:
                answer.read()
                _raise_problem(answer)
            yield answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.ConnectError:
            raise Unavailable(f"no API answers at {self.base_url}; start it with: lakehouse up") from None
        except httpx.TimeoutException:
            raise TimedOut(f"the API at {self.base_url} did not answer in time; see: lakehouse doctor") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"the connection to {self.base_url} broke ({type(error).__name__})") from None


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def connect_api(settings: Settings) -> ApiClient:
    """A client for the API that these settings describe."""
    return ApiClient(api_url(settings) + settings.root_path, find_token(settings, process_environ()))


class _Counted:
    """A file that reports how much has been read of it."""

    def __init__(self, stream: IO[bytes], on_bytes: Callable[[int], None] | None) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if self._on_bytes is not None:
            self._on_bytes(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def fileno(self) -> int:
        return self._stream.fileno()


def _chunks(stream: _Counted) -> Iterator[bytes]:
    while data := stream.read(CHUNK_BYTES):
        yield data


def _raise_problem(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = answer.json()
        detail = problem.pop("detail", None) or problem.get("title") or answer.reason_phrase
    except (ValueError, AttributeError):
        problem, detail = {}, f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code == 401:
        has_token = "authorization" in answer.request.headers
        why = detail if has_token else "it needs a token, and none is set or found here"
        detail = f"{why} (the token of this installation: lakehouse token)"
    fields = {**problem, "status": answer.status_code}
    raise (NotFound if answer.status_code == 404 else ApiProblem)(str(detail), **fields)
