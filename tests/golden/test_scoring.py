"""Scores of crafted runs of every scored stream, from raw lines by way of evidence: what the rules say, run by run.

After a change of the rules that is meant (and raises their `version`): `python -m tests.golden.test_scoring`.
"""

from __future__ import annotations

import json
from pathlib import Path

from lakehouse.scoring.streams import SCORED
from tests.evidence import Maker
from tests.scoring import Scorer

FOLDER = Path(__file__).parent / "scoring"


def scored_lines() -> str:
    """The rows and the refused labels of lines.jsonl, whose lines name their `stream` and `day`."""
    objects: dict[tuple[str, str], list[str]] = {}
    for text in (FOLDER / "lines.jsonl").read_text().splitlines():
        line = json.loads(text)
        stream, day = line.pop("stream"), line.pop("day")
        line["recorded_at"] = f"{day}T{line.pop('time', '09:00:00')}Z"
        objects.setdefault((stream, day), []).append(json.dumps(line) + "\n")
    maker, scorer, records = Maker(), Scorer(), []
    try:
        for (stream, day), lines in objects.items():
            made = maker.make(stream, {f"raw/{stream}/dt={day}/a.jsonl": "".join(lines).encode()})
            assert made.refused == []
            records += made.records
        told = scorer.score(records)
    finally:
        maker.close()
        scorer.close()
    assert {row["stream"] for row in told.rows} == set(SCORED)
    shown = {"rows": told.rows, "quarantine": told.refused}
    return json.dumps(shown, indent=1, default=str, ensure_ascii=False) + "\n"


def test_crafted_runs_have_the_known_scores() -> None:
    assert scored_lines() == (FOLDER / "scores.json").read_text()


if __name__ == "__main__":
    (FOLDER / "scores.json").write_text(scored_lines())
