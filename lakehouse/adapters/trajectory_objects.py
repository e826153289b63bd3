"""Files of runs in the bucket, below `files/trajectories/<format>/`, where `source.json` says whose they are.

Belongs here: listing, fetching one to a local file, the sidecar. Not here: importing (see trajectory_import.py).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.objects import ObjectStore, list_all
from lakehouse.trajectories.formats import Format, origin_of
from lakehouse.trajectories.run import Origin, Plan

FILES = "files/trajectories/"
SIDECAR = "source.json"
_FIELDS = frozenset({"source", "licence", "model", "judge"})


class FetchedFiles:
    """Objects as local files, each fetched when it is first opened; they go when this is closed.

    Args:
        objects: The bucket.
        folder: Where they lie.
    """

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        self._objects = objects
        self._made = tempfile.TemporaryDirectory(prefix="trajectories-", dir=folder)
        self._local: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._made.cleanup()

    def open(self, key: str) -> BinaryIO:
        """Open an object.

        Raises:
            NotFound, StoreUnavailable: As the store says.
        """
        if key not in self._local:
            path = Path(self._made.name) / str(len(self._local))
            with self._objects.open(key) as reader, path.open("wb") as stream:
                for chunk in reader.chunks():
                    stream.write(chunk)
            self._local[key] = path
        return self._local[key].open("rb")


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies below the folder of a format: the plan of its files, and whose they are or why nobody knows."""

    of: Format
    plan: Plan
    origin: Origin | None
    problem: str = ""


def read_folder(objects: ObjectStore, of: Format) -> Folder:
    """List a format's folder and read its sidecar.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    prefix = f"{FILES}{of.name}/"
    keys = sorted(info.key for info in list_all(objects, prefix) if not info.key.endswith("/"))
    plan = of.plan([key for key in keys if key != f"{prefix}{SIDECAR}"])
    try:
        return Folder(of, plan, _origin(objects, of, f"{prefix}{SIDECAR}"))
    except BadInput as error:
        return Folder(of, plan, None, error.detail)


def _origin(objects: ObjectStore, of: Format, key: str) -> Origin:
    try:
        given = _fields(objects.get(key).body, key)
    except NotFound:
        given = {}
    try:
        return origin_of(
            of,
            source=given.get("source"),
            licence=given.get("licence"),
            model=given.get("model"),
            judge=given.get("judge"),
        )
    except BadInput as error:
        raise BadInput(f'{error.detail}. Put it into {key}: {{"source": "…", "licence": "…"}}') from None


def _fields(body: bytes, key: str) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{key} is not JSON: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadInput(f"{key} is not a JSON object of texts")
    if unknown := sorted(given.keys() - _FIELDS):
        raise BadInput(f"{key}: field {unknown[0]!r} is unknown; fields are {', '.join(sorted(_FIELDS))}")
    return given
