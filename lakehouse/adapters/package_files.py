"""Model files inside installed packages, found without importing them.

Belongs here: where such a file is, and what to do when it is not. Not here: reading it (see minilm_embedder.py,
static_embedder.py).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import Unavailable


def package_file(package: str, *parts: str) -> Path:
    """The path of a file that a package carries.

    The package's own code does not run: importing these would load frameworks, read the environment and set up logs.

    Args:
        package: Name of a top-level package.
        parts: Path of the file below it.

    Raises:
        Unavailable: The package or the file is missing; both are named, the machine's folders are not.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder, *parts)
        if path.is_file():
            return path
    what = "the package is not installed" if spec is None else "the installed package lacks it"
    raise Unavailable(
        f"the model file {'/'.join(parts)} of the package {package!r} is missing ({what});"
        " install the locked packages anew (`make setup`)"
    )
