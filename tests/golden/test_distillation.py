"""Corpora of a few runs: the files that trainers, embedders and later versions read.

After a change of a form that is meant (and raises `CODE_VERSION`): `python -m tests.golden.test_distillation`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.distill_build import build_corpus
from lakehouse.distillation.parameters import KINDS, corpus_parameters
from tests.distilling import all_bytes, lake, lines_of, rows_of, run

FOLDER = Path(__file__).parent / "distillation"
TOOL = {
    "type": "function",
    "function": {"name": "find_worker", "description": "Find workers.", "parameters": {"type": "object"}},
}
CALLS = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "abc", "type": "function", "function": {"name": "find_worker", "arguments": '{"day":"Monday"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "abc", "name": "find_worker", "content": "Ann, ann@example.org"},
]
ASKED = [{"role": "system", "content": "You fill shifts."}, {"role": "user", "content": "Who can start on Monday?"}]
RUNS = [
    run("a1", ASKED, [*CALLS, {"role": "assistant", "content": "Ann can: ann@example.org."}], task_id="t1",
        settings={"tools": [TOOL]}),
    run("a2", ASKED, [*CALLS, {"role": "assistant", "content": "Nobody can."}, {"role": "user", "content": "Oh."}],
        score="rejected", task_id="t1", settings={"tools": [TOOL]}),
    run("b1", "How long is a shift?", "Eight hours. A break is half an hour. Nights are ten.", stream="replay_runs"),
    run("c1", ASKED, "Ann can.", stream="agent_trajectories", source="tau", licence="MIT", task_id="t2"),
    run("d1", ASKED, "", task_id="t3"),
]  # fmt: skip


def made_of(kind: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        made = build_corpus(lake(RUNS), corpus_parameters(kind, chunk_tokens=8, chunk_overlap=2), Path(folder))
        shown: dict[str, Any] = {}
        for name in all_bytes(made.folder):
            path = made.folder / name
            if path.suffix == ".jsonl":
                shown[name] = lines_of(path)
            elif path.suffix == ".parquet":
                shown[name] = rows_of(path)
            elif path.suffix in (".yaml", ".md"):
                shown[name] = path.read_text().splitlines()
        manifest = json.loads((made.folder / "manifest.json").read_bytes())
        # Bytes of Parquet and of pictures are their libraries'.
        manifest["files"] = [[file["name"], file["rows"]] for file in manifest["files"]]
        shown["manifest.json"] = manifest
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_runs_give_the_known_corpus(kind: str) -> None:
    assert made_of(kind) == (FOLDER / f"{kind}.json").read_text()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in KINDS:
        (FOLDER / f"{one}.json").write_text(made_of(one))
