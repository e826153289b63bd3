"""Make a virtual environment of Python 3.11 with uv in it: `make_venv.py FOLDER UV_VERSION [PYTHON]`.

Without PYTHON it is the first Python 3.11 on PATH, or one there that is quicker by a fifth or more. Builds of one
version differ: one made without profile-guided optimization (as pyenv makes them unless told otherwise) takes half as
long again for the same code. Each candidate runs the same loops in turns with the others, since a busy machine has slow
moments, and its best round counts.

Belongs here: which Python, and getting uv into its environment. Not here: the packages (see uv.lock). Any Python from
3.7 on runs this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REMEDY = "install python3.11, or: make up PYTHON=/path/to/python3.11"
OTHERWISE = "another: PYTHON=/path/to/python3.11"
NAMES = ("python3.11", "python3")
TURNS = 5
# One that is quicker than the first by less is not worth a surprise.
LEAST_GAIN, MUCH_THE_SAME = 1.2, 1.05
PROBE = """
import os, sys, time
if sys.version_info[:2] != (3, 11): sys.exit(1)
import sqlite3, ssl, venv
class Part:
    __slots__ = ("size",)
    def __init__(self, size): self.size = size
    def grown(self, by): return self.size + by
def loops():
    part, sums, rows = Part(1), {}, []
    for number in range(20000):
        name = "k%d" % (number & 255)
        sums[name] = sums.get(name, 0) + part.grown(number)
        rows.append((name, number, number * 0.5))
        if len(rows) > 50: rows = [row for row in rows if row[1] & 1][:10]
def timed():
    began = time.process_time_ns()
    loops()
    return time.process_time_ns() - began
print(min(timed() for _ in range(9)), os.path.realpath(sys.executable))
"""


def main() -> None:
    """Make it, or end with what is missing."""
    folder, uv_version, named = sys.argv[1], sys.argv[2], sys.argv[3:]
    python = _named(named[0]) if named else quickest()
    uv = ["install", "--quiet", "--disable-pip-version-check", "uv==" + uv_version]
    inside = str(Path(folder, "bin", "python"))
    # What an interrupted setup has left may be of another Python, and the two do not mix.
    venv = [python, "-m", "venv", "--clear"]
    if has_ensurepip(python):
        run([*venv, folder])
        run([inside, "-m", "pip", *uv])
        return
    other = one_with_pip()
    if other is None:
        sys.exit(f"{python} cannot put pip into an environment; install its package python3.11-venv, or: {REMEDY}")
    run([*venv, "--without-pip", folder])
    run([other, "-m", "pip", "--python", inside, *uv])


def quickest() -> str:
    """The Python 3.11 to take."""
    pythons = on_path()
    paths: dict[str, str] = {}  # by file: one may be on PATH under several names
    best: dict[str, int] = {}
    for _ in range(TURNS):
        for python in pythons:
            said = output_of(python, "-c", PROBE).split(maxsplit=1)
            if len(said) == 2 and said[0].isdigit():
                paths.setdefault(said[1], python)
                best[said[1]] = min(int(said[0]), best.get(said[1], int(said[0])))
        pythons = list(paths.values())  # who has failed once is no candidate
    if not best:
        sys.exit("Python 3.11 is needed, and there is none on PATH; " + REMEDY)
    # Debian's comes without the module that puts pip into an environment; then another's pip must.
    usable = [one for one in best if has_ensurepip(paths[one]) or one_with_pip() is not None] or list(best)
    first = usable[0]
    least = min(best[one] for one in usable)
    if best[first] < LEAST_GAIN * least:
        return paths[first]
    taken = next(one for one in usable if best[one] < MUCH_THE_SAME * least)
    gain = f"{100 * best[first] / best[taken] - 100:.0f} %"
    print(f"taking {paths[taken]}, {gain} quicker than {paths[first]} ({OTHERWISE})", file=sys.stderr)
    return paths[taken]


def on_path() -> list[str]:
    """Every interpreter on PATH, in its order."""
    files = (Path(place, name) for place in os.get_exec_path() if place for name in NAMES)
    return [str(file) for file in files if os.access(file, os.X_OK) and file.is_file()]


def one_with_pip() -> str | None:
    """An interpreter whose pip installs into other environments (22.3 and later)."""
    return next((one for one in on_path() if output_of(one, "-m", "pip", "--python", one, "--version")), None)


def has_ensurepip(python: str) -> bool:
    """Whether it makes environments with pip in them."""
    return output_of(python, "-c", "import ensurepip; print(1)") != ""


def run(command: list[str]) -> None:
    """Run a command that must go through; what it says goes where this does."""
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(f"setup ended with {code} at: {' '.join(command)}")


def output_of(*command: str) -> str:
    """What a command prints; nothing where it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _named(python: str) -> str:
    found = shutil.which(python)
    if found is None:
        sys.exit(f"Python 3.11 is needed, and there is no {python}; {REMEDY}")
    version = output_of(found, "-c", "import platform; print(platform.python_version())")
    if not version.startswith("3.11."):
        sys.exit(f"Python 3.11 is needed, but {found} is {version or 'no Python'}; {REMEDY}")
    return found


if __name__ == "__main__":
    main()
