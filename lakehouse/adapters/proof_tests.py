"""Tests as evidence: pytest runs them, or has run them; what its JUnit file says of each becomes an assertion.

Belongs here: starting pytest, reading its file. Not here: which tests show what (see lakehouse/proof/claims.py).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from lakehouse.errors import BadInput
from lakehouse.proof.verdicts import Assertion, Outcome

_MOST_DETAIL = 500
_TIMEOUT_S = 3600.0


def run_tests(nodes: Sequence[str], root: Path, environ: Mapping[str, str]) -> list[Assertion]:
    """Run tests in a process of their own; an assertion for each node and parameter.

    Args:
        nodes: Node ids without parameters.
        root: The checkout.
        environ: Of the process.
    """
    if not nodes:
        return []
    with tempfile.TemporaryDirectory(prefix="lakehouse-proof-") as folder:
        junit = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={junit}", *nodes]
        done = subprocess.run(
            command, cwd=root, env=dict(environ), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if not junit.is_file():
            raise BadInput(f"pytest has written nothing: {(done.stdout + done.stderr)[-_MOST_DETAIL:]}")
        return read_junit(junit, nodes)


def read_junit(path: Path, nodes: Sequence[str]) -> list[Assertion]:
    """What a JUnit file of pytest says of nodes; one that is not in it leaves no assertion.

    Raises:
        BadInput: It is no such file.
    """
    try:
        tree = ElementTree.parse(path)  # noqa: S314 - pytest of this checkout wrote it
    except (OSError, ElementTree.ParseError) as error:
        raise BadInput(f"{path} cannot be read as a JUnit file: {error}; write it with pytest --junit-xml") from None
    by_node: dict[str, list[ElementTree.Element]] = defaultdict(list)
    for case in tree.iter("testcase"):
        name = case.get("name", "").partition("[")[0]
        by_node[f"{case.get('classname', '').replace('.', '/')}.py::{name}"].append(case)
    return [_assertion(node, case) for node in dict.fromkeys(nodes) for case in by_node.get(node, ())]


def _assertion(node: str, case: ElementTree.Element) -> Assertion:
    outcome, detail = Outcome.PASS, ""
    for tag, given in (("skipped", Outcome.SKIP), ("failure", Outcome.FAIL), ("error", Outcome.FAIL)):
        for found in case.iter(tag):
            outcome, detail = given, (found.get("message") or found.text or tag)[:_MOST_DETAIL]
    return Assertion(node, 1, case.get("name", ""), outcome, detail, float(case.get("time", "0")) * 1000)
