"""A build of a training corpus as a folder of this machine: `lakehouse export --to`.

Belongs here: copying it there in place of another build. Not here: building (see lakehouse/adapters/corpus_exports.py).
"""

from __future__ import annotations

import json
from pathlib import Path

from lakehouse.storage.objects import ObjectStore, list_all

_MANIFEST = "manifest.json"


def copy_build(objects: ObjectStore, prefix: str, to: Path) -> None:
    """Copy a build into a folder. Files of a build that was there before go; what else lies there stays.

    Args:
        objects: The bucket.
        prefix: Of the build.
        to: The folder; made if missing.
    """
    to.mkdir(parents=True, exist_ok=True)
    names = {info.key.removeprefix(prefix): info.key for info in list_all(objects, prefix)}
    _leave(to, names)
    for name in sorted(names, key=lambda name: name == _MANIFEST):  # the manifest last: with it the folder is whole
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        with objects.open(names[name]) as reader, partial.open("wb") as stream:
            for chunk in reader.chunks():
                stream.write(chunk)
        partial.replace(path)


def _leave(to: Path, names: dict[str, str]) -> None:
    """Remove the files that another build's manifest names: a split of it would stand among those of the new one."""
    try:
        named = [str(file["name"]) for file in json.loads((to / _MANIFEST).read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return  # there was no build
    (to / _MANIFEST).unlink()
    for name in named:
        path = to / name
        if name not in names and path.resolve().is_relative_to(to.resolve()):
            path.unlink(missing_ok=True)
