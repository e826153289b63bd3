"""A proof from start to end: the claims, a stack, cases and tests, verdicts, the record and the report.

Belongs here: the order of things. Not here: options and exit codes (see proof_commands.py), rules (lakehouse/proof/).
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from lakehouse.adapters.proof_files import ProofFiles, write_lines
from lakehouse.adapters.proof_http import HttpCases
from lakehouse.adapters.proof_tests import read_junit, run_tests
from lakehouse.counted import counted
from lakehouse.errors import NotFound
from lakehouse.proof.cases import Case
from lakehouse.proof.claims import Claim, Mode
from lakehouse.proof.rankings import Rankings, difference
from lakehouse.proof.report import to_document, write_report
from lakehouse.proof.verdicts import Assertion, Outcome, Verdict, evidence_of, judge
from lakehouse.settings import Settings, process_environ
from lakehouse_cli.proof_stack import Stack, clean_stack, running_stack


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """What was asked for.

    `only` is the id of a claim or the name of a case; `junit` a file of tests that ran already; `out` the folder of the
    record and the report.
    """

    mode: Mode
    only: str | None
    bootstraps: bool
    makes_rankings_anew: bool
    junit: Path | None
    out: Path


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it; `difference` is that of the golden rankings, where they were made anew."""

    verdicts: Sequence[Verdict]
    lines: Path
    report: Path
    difference: str | None


def run_proof(
    root: Path, options: ProofOptions, settings: Settings, *, tell: Callable[[str], None] = lambda _: None
) -> Proof:
    """Prove the claims of a checkout in one mode.

    Args:
        root: The checkout.
        options: What was asked for.
        settings: Of this installation, for a proof that starts nothing.
        tell: Hears what is being done.

    Raises:
        NotFound: There is no such claim or case, or no checkout.
        BadInput: The claims or cases cannot be read.
        Unavailable: The stack does not start.
    """
    files = ProofFiles(root / "tests" / "proof")
    cases = files.cases()
    claims, names = _chosen(files.claims(), cases, options)
    rankings = Rankings(files.rankings(), options.makes_rankings_anew)
    own = [cases[name] for name in names if name in cases]
    tests = [node for node in names if "::" in node]
    assertions: list[Assertion] = []
    where = "no service (tests alone)"
    if own:
        with _stack(root, options, settings, tell) as stack:
            where = "a clean stack" if stack.is_clean else stack.url
            assertions += _run_cases(own, stack, rankings, tell)
    tell(counted(len(tests), "test"))
    environ = {k: v for k, v in process_environ().items() if not k.startswith("LAKEHOUSE_")}
    assertions += run_tests(tests, root, environ) if options.junit is None else read_junit(options.junit, tests)
    verdicts = judge(claims, options.mode, cases, assertions)
    lines, report = _write(options, where, verdicts, assertions, cases)
    changes = None
    if options.makes_rankings_anew:
        after = {**rankings.golden, **rankings.seen}
        changes = difference(rankings.golden, after)
        # Rankings of a failed run must not become the standard for later ones.
        if not any(one.outcome is Outcome.FAIL for one in assertions):
            files.write_rankings(after)
    return Proof(verdicts, lines, report, changes)


def _chosen(
    claims: Sequence[Claim], cases: dict[str, Case], options: ProofOptions
) -> tuple[Sequence[Claim], list[str]]:
    """The claims to judge and the evidence to gather, each once; all cases of the mode where nothing is picked."""
    only = options.only
    if only is None:
        every = [name for name, case in cases.items() if case.mode is options.mode]
    else:
        claims = [claim for claim in claims if claim.id == only or only in claim.cases]
        if not claims:
            raise NotFound(f"there is neither a claim nor a claimed case {only!r}; see tests/proof/claims.yaml")
        every = []
    named = [name for claim in claims for name in evidence_of(claim, options.mode, cases)]
    return claims, list(dict.fromkeys([*every, *named]))


def _stack(
    root: Path, options: ProofOptions, settings: Settings, tell: Callable[[str], None]
) -> AbstractContextManager[Stack]:
    if not options.bootstraps:
        return nullcontext(running_stack(settings))
    tell("starting a clean stack")
    return clean_stack(root)


def _run_cases(cases: Sequence[Case], stack: Stack, rankings: Rankings, tell: Callable[[str], None]) -> list[Assertion]:
    runner = HttpCases(stack.url, stack.token, mark=secrets.token_hex(4), rankings=rankings)
    found: list[Assertion] = []
    try:
        for case in cases:
            tell(case.name)
            found += runner.run(case)
    finally:
        runner.close()
    return found


def _write(
    options: ProofOptions,
    where: str,
    verdicts: Sequence[Verdict],
    assertions: Sequence[Assertion],
    cases: dict[str, Case],
) -> tuple[Path, Path]:
    options.out.mkdir(parents=True, exist_ok=True)
    claimed: dict[str, list[str]] = defaultdict(list)
    for verdict in verdicts:
        for name in evidence_of(verdict.claim, options.mode, cases):
            claimed[name].append(verdict.claim.id)
    lines, report = options.out / f"{options.mode}.jsonl", options.out / f"{options.mode}.md"
    write_lines(lines, (to_document(one, options.mode, claimed[one.evidence]) for one in assertions))
    report.write_text(write_report(options.mode, where, verdicts))
    return lines, report
