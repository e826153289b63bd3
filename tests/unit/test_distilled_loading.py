"""What a build's card tells who has only the folder: messages that templates take, files and ids to be checked."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lakehouse.adapters.distill_build import Build, build_corpus
from lakehouse.distillation.card_use import PLAIN_MESSAGE, loading_code
from lakehouse.distillation.parameters import KINDS, corpus_parameters
from tests.distilling import lake, rows_of, run

DOCS = Path(__file__).parents[2] / "docs/reference/corpora-distilled.md"
TOOL = {"type": "function", "function": {"name": "find", "description": "Find.", "parameters": {"type": "object"}}}
CALLS = [
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "x", "type": "function", "function": {"name": "find", "arguments": '{"day":"Monday"}'}}]},
    {"role": "tool", "tool_call_id": "x", "name": "find", "content": "Ann"},
]  # fmt: skip
RUNS = [
    run("a", "Who can?", [*CALLS, {"role": "assistant", "content": "Ann can."}], task_id="t", tools=[TOOL]),
    run("b", "Who can?", "Nobody can.", score="rejected", task_id="t"),
    run("c", "How long is a shift?", "Eight hours."),
]
# What templates of the field do with calls: the first writes arguments as JSON, the second asks whether the member is
# there, the third goes through arguments, the fourth joins contents.
TEMPLATES = {
    "Qwen2.5": "{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}",
    "Llama 3.1": "{% if 'tool_calls' in m %}{{ m.tool_calls | length }}{% endif %}",
    "GLM 4.5": "{% for c in m.tool_calls or [] %}{{ c.function.arguments.items() | list }}{% endfor %}",
    "ChatML": "{{ m.role + ': ' + m.content }}",
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    folder = tmp_path_factory.mktemp("builds")
    params = {kind: corpus_parameters(kind, split_shares=(1.0, 0.0, 0.0)) for kind in KINDS}
    return {kind: build_corpus(lake(RUNS), one, folder / kind) for kind, one in params.items()}


def plain(message: dict[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {"json": json}
    exec(PLAIN_MESSAGE, scope)
    made: dict[str, Any] = scope["plain"](message)
    return made


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Qwen2.5", ["", '{"day": "Monday"}', "", ""]),
        ("Llama 3.1", ["", "1", "", ""]),
        ("GLM 4.5", ["", "[('day', 'Monday')]", "", ""]),
        ("ChatML", ["user: Who can?", "assistant: ", "tool: Ann", "assistant: Ann can."]),
    ],
)
def test_plain_messages_are_taken_by_chat_templates(builds: dict[str, Build], template: str, said: list[str]) -> None:
    rows = rows_of(builds["sft"].folder / "trl/train.parquet")
    talk = next(row["messages"] for row in rows if row["tools"])
    render = ImmutableSandboxedEnvironment().from_string(TEMPLATES[template]).render
    assert [render(m=plain(message)) for message in talk] == said


def test_docs_and_cards_show_the_same_code(builds: dict[str, Build]) -> None:
    assert f"```python\n{loading_code('sft')}```" in DOCS.read_text()
    for build in builds.values():
        card = (build.folder / "README.md").read_text()
        code = loading_code(build.manifest.parameters.kind)
        assert code in card
        compile(code, "README.md", "exec")
    assert "## Loading" not in (builds["rag"].folder / "README.md").read_text()


def test_cards_command_finds_the_file_that_was_changed(builds: dict[str, Build]) -> None:
    folder = builds["preference"].folder
    command = next(line[2:] for line in (folder / "README.md").read_text().splitlines() if line.startswith("$ python3"))

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=30, check=False)

    assert (check().returncode, check().stdout) == (0, "")
    file = folder / "provenance.parquet"
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + b"x")
    assert "provenance.parquet: FAILED" in check().stdout
    file.write_bytes(kept)


def test_ids_of_samples_can_be_computed_from_provenance_alone(builds: dict[str, Build]) -> None:
    for build in builds.values():
        for row in rows_of(build.folder / "provenance.parquet"):
            other = [row["other_run_id"], row["other_sha256"]] if row["other_run_id"] else []
            parts = [row["form"], row["reason"] or "", row["run_id"], row["sha256"], *other]
            assert hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32] == row["sample_id"]


@pytest.mark.parametrize(
    ("licences", "front"),
    [
        (("MIT",), {"license": "mit"}),
        (("MIT", "CC-BY-4.0"), {"license": ["cc-by-4.0", "mit"]}),
        (("MIT", "LicenseRef-Our terms"), {"license": "other", "license_name": "licenseref-our-terms-and-mit"}),
    ],
)
def test_licences_stand_on_the_card_as_the_hub_takes_them(
    licences: tuple[str, ...], front: dict[str, Any], tmp_path: Path
) -> None:
    rows = [
        run(f"r{n}", f"question {n} {one}", f"answer {n}", stream="agent_trajectories", source="s", licence=one)
        for n, one in enumerate(licences)
    ]
    card = (build_corpus(lake(rows), corpus_parameters("sft"), tmp_path).folder / "README.md").read_text()
    shown = yaml.safe_load(card.split("---\n")[1])
    assert {name: value for name, value in shown.items() if name.startswith("license")} == front
