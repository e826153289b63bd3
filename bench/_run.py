"""Run benches one after the other, and hold the ratios that they print against `baseline.json`.

    python bench/_run.py [SCRIPT …] [--write-baseline]

Exit code 1: a bench failed, or a ratio is worse by more than 20 %, or is not measured any more. A bench that failed or
has such a ratio is run once more before that is told, and the better measurement counts: others may have used the
machine. `--write-baseline` takes the ratios of those that ran into the file; review its diff like code. What a bench
printed takes the place of its block in docs/benchmarks.md, where it has one and did not fail.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _page import with_output
from _ratios import Ratio, better_of, read_ratios, regressions

ROOT = Path(__file__).resolve().parents[1]

BASELINE = ROOT / "bench" / "baseline.json"
PAGE = ROOT / "docs" / "benchmarks.md"
# Hours with a model each, or minutes of load: they are run by themselves.
BY_THEMSELVES = {"small_model", "soak", "scale"}
# Shorter than by themselves: ratios need no five minutes.
ARGUMENTS = {"load": ["--seconds", "20"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", help="names without .py; default: all but those run by themselves")
    parser.add_argument("--write-baseline", action="store_true")
    given = parser.parse_args()
    every = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
    scripts = given.scripts or [name for name in every if name not in BY_THEMSELVES]
    if unknown := sorted(set(scripts) - set(every)):
        parser.error(f"there is no bench {unknown[0]!r}; there are {', '.join(every)}")
    before = json.loads(BASELINE.read_text())
    measured: dict[str, Ratio] = {}
    failed = []
    for script in scripts:
        found, is_failed = measure(script)
        if is_failed or regressions(before, found, [script]):
            print(f"== bench/{script}.py once more", flush=True)
            again, is_failed = measure(script)
            found = better_of(found, again)
        measured |= found
        if is_failed:
            failed.append(script)
    worse = regressions(before, measured, scripts)
    print(f"\n{len(measured)} ratios, {len(worse)} worse than {BASELINE.relative_to(ROOT)} by more than 20 % or gone")
    for one in worse:
        print(one.words)
    for script in failed:
        print(f"FAILED bench/{script}.py")
    if given.write_baseline:
        kept = {name: value for name, value in before.items() if name.partition(":")[0] not in scripts}
        write_baseline(kept | {name: ratio.value for name, ratio in measured.items()})
    return 1 if worse or failed else 0


def measure(script: str) -> tuple[dict[str, Ratio], bool]:
    """The ratios of one run of a bench, and whether it failed."""
    print(f"== bench/{script}.py", flush=True)
    lines, code = run(script)
    if code == 0:
        PAGE.write_text(with_output(PAGE.read_text(), script, lines))
    return read_ratios(script, lines), code != 0


def run(script: str) -> tuple[list[str], int]:
    """What a bench prints, shown as it comes, and its exit code."""
    lines = []
    command = [sys.executable, "-u", str(ROOT / "bench" / f"{script}.py"), *ARGUMENTS.get(script, [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    return lines, process.returncode


def write_baseline(ratios: dict[str, float]) -> None:
    BASELINE.write_text(json.dumps(dict(sorted(ratios.items())), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
