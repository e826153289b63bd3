"""Every promise of README.md has a proof that exists, and every proof belongs to a promise that is still made."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = yaml.safe_load((ROOT / "tests" / "proof" / "claims.yaml").read_text()) or []
PROMISES = re.findall(
    r"^- (.+)$", (ROOT / "README.md").read_text().split("## What it promises")[1].split("\n## ")[0], flags=re.M
)


def test_readme_promises_something() -> None:
    assert len(PROMISES) >= 10


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_has_a_proof(promise: str) -> None:
    assert promise in [claim["promise"] for claim in CLAIMS], "add it to tests/proof/claims.yaml with its proof"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["promise"][:40])
def test_proof_exists_and_its_promise_is_made(claim: dict[str, object]) -> None:
    assert claim["promise"] in PROMISES
    assert claim["proof"]
    for node in claim["proof"]:  # type: ignore[attr-defined]
        file, _, name = node.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}, node
