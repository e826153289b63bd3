"""The matcher of reviews on Code Review Bench: findings of 12 tools on 50 pull requests against what people found.

People wrote 137 golden comments; for each tool and pull request one judge said which candidates say the same as which
of them (`../shared/data/reviews`). Candidates have no place there: the judge's pairs are what is "the same"; the
matcher makes pairs, precision and recall of it. Beside the shares stands what the publisher printed, with the figures
that its own lists contradict.

Limits: precision and recall equal those of the judged matches in all 600 evaluations; published recall likewise.

    python bench/reviews.py [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _findings import Match, match

REVIEWS = Path(__file__).resolve().parents[2] / "shared" / "data" / "reviews"
_SAME = 1e-9


@dataclass(frozen=True)
class Evaluated:
    """One tool on one pull request: our match, what the judge's own lists give, what was published."""

    pull_request: str
    tool: str
    made: Match
    judged: tuple[float, float]
    published: tuple[float, float]
    unknown: int

    @property
    def shares(self) -> tuple[float, float]:
        """Precision and recall of our match."""
        return self.made.precision, self.made.recall


def evaluate(folder: Path) -> Iterator[Evaluated]:
    """Hold every evaluation against the golden comments."""
    golden: dict[str, list[str]] = {}
    for path in sorted((folder / "golden_comments").glob("*.json")):
        golden |= {one["url"]: [c["comment"] for c in one["comments"]] for one in json.loads(path.read_text())}
    candidates = json.loads((folder / "candidates.json").read_text())
    for pull_request, tools in json.loads((folder / "evaluations.json").read_text()).items():
        for tool, said in tools.items():
            known = {one["text"] for one in candidates[pull_request].get(tool, [])}
            yield _one(pull_request, tool, said, golden[pull_request], known)


def _one(pull_request: str, tool: str, said: dict[str, Any], golden: list[str], known: set[str]) -> Evaluated:
    same = {(one["matched_candidate"], one["golden_comment"]) for one in said["true_positives"]}
    matched = sorted({candidate for candidate, _ in same})
    # A text may stand in both lists where a tool said it twice: they are two findings, one of which says nothing.
    found = [*((text, True) for text in matched), *((one["candidate"], False) for one in said["false_positives"])]
    made = match(found, golden, lambda one, comment: one[1] and (one[0], comment) in same)
    hits, missed = len(said["true_positives"]), len(said["false_negatives"])
    judged = (
        len(matched) / len(found) if found else 0.0,
        hits / (hits + missed) if hits + missed else 0.0,
    )
    unknown = sum(text not in known for text, _ in found)
    return Evaluated(pull_request, tool, made, judged, (said["precision"], said["recall"]), unknown)


def _sums(rows: list[Evaluated]) -> dict[str, float]:
    """Over all of some evaluations: findings and comments pooled."""
    found, golden = sum(row.made.found for row in rows), sum(row.made.expected for row in rows)
    right = sum(len({one for one, _ in row.made.pairs}) for row in rows)
    hit = sum(len({one for _, one in row.made.pairs}) for row in rows)
    return {
        "findings": found, "golden": golden, "precision": round(right / found, 4) if found else 0.0,
        "recall": round(hit / golden, 4) if golden else 0.0,
    }  # fmt: skip


def _print(result: dict[str, Any]) -> None:
    print(f"{'tool':<14}{'findings':>9}{'golden':>8}{'precision':>11}{'recall':>8}")
    for tool, sums in result["by_tool"].items():
        print(f"{tool:<14}{sums['findings']:>9}{sums['golden']:>8}{sums['precision']:>11.3f}{sums['recall']:>8.3f}")
    for what in ("judged", "published"):
        precision, recall = (result[f"{share}_as_{what}"] for share in ("precision", "recall"))
        print(f"as {what}: precision {precision}, recall {recall} of {result['evaluations']}")
    print(f"judged candidates that candidates.json lacks: {result['candidates_not_published']}; {result['ms']} ms")


def main() -> None:
    """Measure, print, and fail where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    begun = time.perf_counter()
    rows = list(evaluate(REVIEWS))
    elapsed_ms = (time.perf_counter() - begun) * 1000
    by_tool: dict[str, list[Evaluated]] = defaultdict(list)
    for row in rows:
        by_tool[row.tool].append(row)
    table = {tool: _sums(of) for tool, of in sorted(by_tool.items())} | {"all": _sums(rows)}
    agrees = [sum(abs(row.shares[of] - row.judged[of]) < _SAME for row in rows) for of in (0, 1)]
    published = [sum(abs(row.shares[of] - row.published[of]) < _SAME for row in rows) for of in (0, 1)]
    result = {
        "evaluations": len(rows), "precision_as_judged": agrees[0], "recall_as_judged": agrees[1],
        "precision_as_published": published[0], "recall_as_published": published[1],
        "candidates_not_published": sum(row.unknown for row in rows), "by_tool": table, "ms": round(elapsed_ms, 1),
    }  # fmt: skip
    is_met = agrees == [len(rows)] * 2 and published[1] == len(rows) == 600
    if as_json:
        print(json.dumps({**result, "ok": is_met}, indent=2))
    else:
        _print(result)
        print("PASS" if is_met else "FAIL")
    raise SystemExit(not is_met)


if __name__ == "__main__":
    main()
