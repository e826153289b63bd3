"""Every promise of README.md has a proof that exists, and every proof belongs to a claim that is still made."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lakehouse.adapters.proof_files import ProofFiles
from lakehouse.proof.claims import README, Claim, Mode

ROOT = Path(__file__).resolve().parents[2]
FILES = ProofFiles(ROOT / "tests" / "proof")
CLAIMS = FILES.claims()
CASES = FILES.cases()
PROMISES = re.findall(
    r"^- (.+)$", (ROOT / README).read_text().split("## What it promises")[1].split("\n## ")[0], flags=re.M
)


def test_readme_promises_something() -> None:
    assert len(PROMISES) >= 10


def test_there_are_claims_enough_and_each_page_of_them_is_there() -> None:
    assert len(CLAIMS) >= 40
    for claim in CLAIMS:
        assert claim.source.startswith("CONTRACTS.md section ") or (ROOT / claim.source).is_file(), claim.id


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_has_a_proof(promise: str) -> None:
    of_the_page = [claim.statement for claim in CLAIMS if claim.source == README]
    assert promise in of_the_page, "add it to tests/proof/claims.yaml with its proof"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_proof_exists_and_its_promise_is_made(claim: Claim) -> None:
    assert claim.source != README or (claim.statement in PROMISES and claim.tests)
    assert claim.has_evidence
    for node in claim.tests:
        file, _, name = node.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}, node
    assert set(claim.cases) <= set(CASES)


def test_every_case_shows_a_claim() -> None:
    assert set(CASES) == {name for claim in CLAIMS for name in claim.cases}
    assert {case.mode for case in CASES.values()} == set(Mode)


def test_golden_rankings_are_those_that_cases_ask_for() -> None:
    asked = {
        str(one.wanted)
        for case in CASES.values()
        for step in case.steps
        for one in step.expects
        if one.operation == "ranking"
    }
    assert asked
    assert set(FILES.rankings()) == asked
