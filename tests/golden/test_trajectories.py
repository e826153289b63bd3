"""Lines of imported files, format by format: what evidence has been made of, and imports are known by.

After a change of a format that is meant (and raises its `version`): `python -m tests.golden.test_trajectories`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from lakehouse.trajectories.formats import FORMATS
from tests.fakes.objects import MemoryObjects
from tests.trajectories import import_bytes

FOLDER = Path(__file__).parent / "trajectories"


def made_of(name: str) -> str:
    """The keys and bytes of all that an import writes."""
    folder = FOLDER / name
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    store = MemoryObjects()
    with tempfile.TemporaryDirectory() as made:
        assert not [one.error for one in import_bytes(name, files, Path(made), objects=store) if one.error]
    keys = [info.key for info in store.list("").objects]
    return f"version {FORMATS[name].version}\n" + "".join(f"{key}\n{store.get(key).body.decode()}" for key in keys)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_files_of_a_format_give_the_known_lines(name: str) -> None:
    assert made_of(name) == (FOLDER / f"{name}.txt").read_text()


if __name__ == "__main__":
    for known in FORMATS:
        (FOLDER / f"{known}.txt").write_text(made_of(known))
