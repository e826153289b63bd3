"""`setup/make_venv.py`: which Python 3.11 is taken, and what is said where there is none; interpreters are scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "setup" / "make_venv.py"
FAKE = """#!/bin/sh
echo "$0 $*" | head -1 >>"{log}"
case "$1 $2" in
  "-c import ensurepip"*) [ {no_ensurepip} = 0 ] && echo 1 ;;
  "-c import platform"*) echo {version} ;;
  -c*) [ {wrong_version} = 0 ] || exit 1; echo {us} "$0" ;;
  "-m venv") for folder; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python" ;;
  "-m pip") if [ "$3" = --python ]; then [ {no_pip} = 0 ] && echo pip || exit 1; fi ;;
esac
exit 0
"""


class Machine:
    """A PATH with interpreters that say how quick they are, and note what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.path: list[str] = []

    def add(
        self, place: str, us: int | str, *, has_ensurepip: bool = True, has_pip: bool = True, version: str = "3.11.9"
    ) -> Path:
        python = self.folder / place / "python3.11"
        python.parent.mkdir()
        no = {"no_ensurepip": int(not has_ensurepip), "no_pip": int(not has_pip)}
        wrong = int(not version.startswith("3.11."))
        python.write_text(FAKE.format(log=self.log, us=us, version=version, wrong_version=wrong, **no))
        python.chmod(0o755)
        self.path.append(str(python.parent))
        return python

    def make(self, *named: str) -> subprocess.CompletedProcess[str]:
        # No interpreter of this machine: the scripts need `head`, `mkdir` and `cp` alone.
        tools = self.folder / "tools"
        tools.mkdir()
        for name in ("head", "mkdir", "cp"):
            (tools / name).symlink_to(next(p for p in (Path("/bin", name), Path("/usr/bin", name)) if p.exists()))
        return subprocess.run(
            [sys.executable, str(SCRIPT), str(self.folder / "venv"), "0.1.2", *named],
            env={"PATH": os.pathsep.join([*self.path, str(tools)])}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    def used(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if " -m " in line and "--version" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_of_much_the_same_speed_is_taken_without_a_word(machine: Machine) -> None:
    first = machine.add("a", 1000)
    machine.add("b", 850)
    done = machine.make()
    assert (done.returncode, done.stderr) == (0, "")
    venv = machine.folder / "venv"
    assert machine.used() == [
        f"{first} -m venv --clear {venv}",
        f"{venv}/bin/python -m pip install --quiet --disable-pip-version-check uv==0.1.2",
    ]


def test_one_that_is_quicker_by_a_fifth_is_taken_and_named(machine: Machine) -> None:
    first = machine.add("a", 1000)
    machine.add("b", 790)
    quick = machine.add("c", 500)
    machine.add("d", 499)
    done = machine.make()
    assert done.returncode == 0
    assert done.stderr == f"taking {quick}, 100 % quicker than {first} (another: PYTHON=/path/to/python3.11)\n"
    assert machine.used()[0].startswith(f"{quick} -m venv ")


def test_another_version_and_one_that_breaks_are_no_candidates(machine: Machine) -> None:
    machine.add("a", 10, version="3.12.1")
    machine.add("b", "nonsense")
    right = machine.add("c", 1000)
    assert machine.make().returncode == 0
    assert machine.used()[0].startswith(f"{right} -m venv ")


def test_without_ensurepip_the_pip_of_another_puts_uv_into_it(machine: Machine) -> None:
    first = machine.add("a", 1000)
    quick = machine.add("b", 500, has_ensurepip=False, has_pip=False)
    assert machine.make().returncode == 0
    venv = machine.folder / "venv"
    assert machine.used() == [
        f"{quick} -m venv --clear --without-pip {venv}",
        f"{first} -m pip --python {venv}/bin/python install --quiet --disable-pip-version-check uv==0.1.2",
    ]


def test_a_quick_one_that_no_pip_can_fill_is_passed_over(machine: Machine) -> None:
    first = machine.add("a", 1000, has_pip=False)
    machine.add("b", 500, has_ensurepip=False, has_pip=False)
    assert machine.make().returncode == 0
    assert machine.used()[0].startswith(f"{first} -m venv ")


def test_one_with_pip_is_taken_before_one_that_no_pip_can_fill(machine: Machine) -> None:
    machine.add("a", 1000, has_ensurepip=False, has_pip=False)
    whole = machine.add("b", 1100, has_pip=False)
    assert machine.make().returncode == 0
    assert machine.used()[0].startswith(f"{whole} -m venv ")


def test_the_only_one_without_any_pip_is_refused_with_what_to_install(machine: Machine) -> None:
    python = machine.add("a", 1000, has_ensurepip=False, has_pip=False)
    done = machine.make()
    assert done.returncode == 1
    assert str(python) in done.stderr
    assert "python3.11-venv" in done.stderr
    assert not (machine.folder / "venv").exists()


def test_what_an_interrupted_setup_left_by_another_python_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "python3", "python3.11"):
        (folder / "bin" / name).symlink_to("/nowhere/python3.11")
    # No index: uv is not got, but the environment is there, and says what it could not do.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), "0.0.0", sys.executable], capture_output=True,
        text=True, timeout=120, check=False, env={"PATH": os.defpath, "PIP_NO_INDEX": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "setup ended with" in done.stderr
    version = [str(folder / "bin" / "python"), "-c", "import sys; print(sys.version_info[:2])"]
    assert subprocess.run(version, capture_output=True, text=True, check=True).stdout == "(3, 11)\n"


def test_none_at_all_is_said(machine: Machine) -> None:
    machine.add("a", 10, version="3.13.0")
    done = machine.make()
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 is needed, and there is none on PATH")


def test_the_one_that_is_named_is_taken_however_slow(machine: Machine) -> None:
    slow = machine.add("a", 9000)
    machine.add("b", 100)
    assert machine.make(str(slow)).returncode == 0
    assert machine.used()[0].startswith(f"{slow} -m venv ")


@pytest.mark.parametrize("name", ["other", "/nowhere/python3.11"])
def test_a_named_one_that_cannot_be_it_is_refused(machine: Machine, name: str) -> None:
    machine.add("a", 100)
    other = machine.add("other", 100, version="3.10.2")
    done = machine.make(str(other) if name == "other" else name)
    assert done.returncode == 1
    assert ("is 3.10.2;" if name == "other" else "there is no /nowhere/python3.11;") in done.stderr
    assert "PYTHON=/path/to/python3.11" in done.stderr
