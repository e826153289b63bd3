"""Evidence of real-looking lines, stream by stream: what other machines and years read.

After a change of a transform that is meant (and raises its `version`): `python -m tests.golden.test_evidence`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lakehouse.adapters.evidence_engine import Counts
from lakehouse.evidence.transforms import TRANSFORMS
from tests.evidence import Maker

FOLDER = Path(__file__).parent / "evidence"


def made_of(stream: str) -> str:
    maker = Maker()
    try:
        made = maker.make(stream, {f"raw/{stream}/dt=2026-03-04/a.jsonl": (FOLDER / f"{stream}.jsonl").read_bytes()})
    finally:
        maker.close()
    shown = {
        "version": TRANSFORMS[stream].version, "counts": _told(made.counts), "records": made.records,
        "quarantine": made.refused,
    }  # fmt: skip
    return json.dumps(shown, indent=1, default=str, ensure_ascii=False) + "\n"


def _told(counts: Counts) -> dict[str, int]:
    """The accounts as manifests have them: lines of loads where there are any."""
    return {name: number for name, number in asdict(counts).items() if number or name != "left_out"}


@pytest.mark.parametrize("stream", sorted(TRANSFORMS))
def test_lines_of_a_stream_give_the_known_evidence(stream: str) -> None:
    assert made_of(stream) == (FOLDER / f"{stream}.json").read_text()


if __name__ == "__main__":
    for name in TRANSFORMS:
        (FOLDER / f"{name}.json").write_text(made_of(name))
