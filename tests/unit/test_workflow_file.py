"""Workflow files: what is refused before anything runs, with its line."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import BadInput
from lakehouse.workflow.catalog import GROUP, default_catalog
from lakehouse.workflow.graph import ancestors, find_cycle
from lakehouse.workflow.reading import read_workflow, workflow_of
from tests.workflows import workflow

RENDER = "{id: a, mode: render, with: {text: x}}"
GOOD = """\
name: fill-review
version: 3
inputs:
  text: {type: text, meaning: what is read}
  least: {type: number, default: 0.5}
concurrency: 2
nodes:
  - id: facts
    mode: extract
    with: {text: "{{ inputs.text }}", fields: [name, city]}
    retries: 1
    timeout_s: 30
  - id: shown
    mode: render
    needs: [facts]
    when: "{{ nodes.facts.output.data.name != '' }}"
    with:
      text: |
        {% for path in nodes.facts.output.not_in_text %}
        - {{ path }}
        {% endfor %}
output: {shown: "{{ nodes.shown.output.text }}", least: "{{ inputs.least }}"}
"""


def read(text: str) -> Any:
    return read_workflow(text, name="w.yaml", catalog=default_catalog())


def test_a_good_file_is_read_whole() -> None:
    found = read(GOOD)
    assert (found.name, found.version, found.concurrency) == ("fill-review", 3, 2)
    assert [(n.id, n.mode, n.needs, n.retries, n.timeout_s) for n in found.nodes] == [
        ("facts", "extract", (), 1, 30.0), ("shown", "render", ("facts",), 0, 120.0),
    ]  # fmt: skip
    assert found.take({"text": "a"}) == {"text": "a", "least": 0.5}
    assert read(GOOD).sha256 == found.sha256


def test_an_object_is_the_same_workflow_as_its_file() -> None:
    node = {"id": "a", "mode": "render", "with": {"text": "{{ inputs.x }}\u2028\x7f\u0085 😀 'q' #no comment"}}
    found = workflow_of({"name": "w", "version": 1, "inputs": ["x"], "nodes": [node]}, catalog=default_catalog())
    assert found.nodes[0].given == node["with"]
    assert found.output == "{{ nodes.a.output }}"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: w\nversion: 1\n", 1, "'nodes' is missing"),
        ("name: w\nversion: 1\nnodes: []\n", 3, "one node at least"),
        ("name: W w\nversion: 1\nnodes:\n  - {id: a, mode: render, with: {text: x}}\n", 1, "a name is"),
        ("name: w\nversion: 0\nnodes:\n  - {id: a, mode: render, with: {text: x}}\n", 2, "whole number from 1"),
        ("name: w\nversion: 1\nnodes:\n  - {id: a, mode: render, with: {text: x}, retries: x}\n", 4, "'retries' must"),
        ("name: w\nversion: true\nnodes:\n  - {id: a, mode: render, with: {text: x}}\n", 2, "whole number"),
        ("name: w\nname: v\n", 2, "stands twice"),
        ("name: [\n", 2, "is not YAML"),
        ("name: &a w\nversion: 1\n", 1, "anchors"),
        ("name: w\n---\nname: w\n", 2, "second document"),
        ("x: " + "[" * 40 + "]" * 40 + "\n", 1, "nested deeper"),
        ("", 1, "is empty"),
        (workflow("{id: a, mode: no.such}"), 6, "there is no mode 'no.such'; there are consensus, "),
        (workflow("{id: A, mode: render, with: {text: x}}"), 6, "an id is"),
        (workflow("{id: output, mode: render, with: {text: x}}"), 6, "run's own row"),
        (workflow("{id: a, mode: render}"), 6, "needs with.text"),
        (workflow("{id: a, mode: render, with: {text: x, colour: red}}"), 6, "takes no 'colour'; it takes text"),
        (workflow("{id: a, mode: extract, with: {text: [1], fields: [a]}}"), 6, "must be of type text, not list"),
        (workflow(RENDER, RENDER), 7, "stands twice"),
        (workflow("{id: a, mode: render, needs: [b], with: {text: x}}"), 6, "there is no node 'b'"),
        (workflow("{id: a, mode: render, needs: [a], with: {text: x}}"), 6, "in a circle: a needs a"),
        (workflow("{id: a, mode: render, with: {text: '{{ inputs.y }}'}}", inputs="[x]"), 6, "'y'; inputs are x"),
        (workflow("{id: a, mode: render, with: {text: '{{ nodes.b.output }}'}}"), 6, "no node of this workflow"),
        (workflow("{id: a, mode: render, with: {text: '{{ 1 +'}}"), 6, "is not a template"),
        (workflow("{id: a, mode: render, with: {text: '{{ x() }}'}}"), 6, "a call cannot stand"),
        (workflow("{id: a, mode: render, when: yes please, with: {text: x}}"), 6, "'when' is true, false"),
        (workflow("{id: a, mode: render, when: 'a {{ 1 }}', with: {text: x}}"), 6, "one expression"),
        (workflow("{id: a, mode: render, retries: 11, with: {text: x}}"), 6, "from 0 to 10"),
        (workflow("{id: a, mode: render, timeout_s: 0, with: {text: x}}"), 6, "from 0.001"),
        (workflow("{id: a, mode: render, with: {text: x}}", concurrency=17), 4, "from 1 to 16"),
        (workflow("{id: a, mode: render, with: {text: x}}", inputs="{x: {type: colour}}"), 3, "none of text"),
        (workflow("{id: a, mode: render, with: {text: x}}", inputs="{x: {type: text, default: 1}}"), 3, "of type text"),
        (workflow("{id: a, mode: render, with: {text: x}}", output="'{{ nodes.b.output }}'"), 7, "no node 'b'"),
        (workflow("{id: a, mode: extract, with: {text: x, schema: {type: 7}}}"), 6, "not a JSON schema"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(text)
    assert says in refused.value.detail
    assert refused.value.detail.startswith(f"w.yaml, line {line}: ")


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = workflow(
        "{id: a, mode: no.such}", "{id: B, mode: render, with: {text: x}}",
        "{id: c, mode: render, with: {colour: red, size: 3}}", concurrency=17,
    )  # fmt: skip
    with pytest.raises(BadInput) as refused:
        read(text)
    assert [line.partition(": ")[0] for line in refused.value.detail.splitlines()] == [
        "w.yaml, line 4", "w.yaml, line 6", "w.yaml, line 7", "w.yaml, line 8", "w.yaml, line 8", "w.yaml, line 8",
    ]  # fmt: skip
    assert refused.value.fields["line"] == 4
    assert refused.value.fields["faults"] == refused.value.detail.splitlines()


def test_references_that_lead_nowhere_are_told_together() -> None:
    text = workflow(
        "{id: a, mode: render, with: {text: '{{ inputs.y }} {{ nodes.z.output }}'}}",
        "{id: b, mode: render, with: {text: '{{ nodes.a.output }}'}}", output="'{{ nodes.q.output }}'",
    )  # fmt: skip
    with pytest.raises(BadInput) as refused:
        read(text)
    told = refused.value.fields["faults"]
    assert [one.partition(": ")[0] for one in told] == ["w.yaml, line 6"] * 2 + ["w.yaml, line 7", "w.yaml, line 8"]


def test_faults_of_one_node_and_around_the_nodes_are_told_together() -> None:
    node = "  - {id: B, mode: no.such, needs: 3, when: 4, retries: 99, timeout_s: -1, colour: red}"
    with pytest.raises(BadInput) as refused:
        read(f"name: X\nversion: 0\nsize: 3\ninputs: {{A: text, b: bar}}\nnodes:\n{node}\n")
    told = [one.partition(": ")[0] for one in refused.value.fields["faults"]]
    assert told == [f"w.yaml, line {line}" for line in (1, 2, 3, 4, 4, *[6] * 7)]
    with pytest.raises(BadInput) as refused:
        read("name: X\nversion: 0\nnodes: 3\n")
    assert len(refused.value.fields["faults"]) == 3


def test_what_is_wrong_in_a_workflow_inside_is_told_with_the_lines_of_the_file() -> None:
    inside = "{name: Inner, version: 1, nodes: [{id: x, mode: no.such}]}"
    with pytest.raises(
        BadInput, match=r"w\.yaml, line 6: 'Inner' is refused(.|\n)*line 6: there is no mode 'no\.such'"
    ):
        read(workflow(f"{{id: a, mode: pipeline, with: {{workflow: {inside}}}}}"))


def test_what_is_told_of_ten_thousand_faults_stays_small() -> None:
    needs = ",".join(["a"] * 100)
    text = workflow(*(f"{{id: n{'x' * 50}{i}, mode: render, with: {{text: x}}, needs: [{needs}]}}" for i in range(100)))
    with pytest.raises(BadInput, match=r"\nand 9980 more$") as refused:
        read(text)
    assert len(refused.value.fields["faults"]) == 20


@pytest.mark.parametrize("value", ["!!timestamp x", "!!bool x", "!!int ''", "!!float ''", "!!python/name:os.system ''"])
def test_tag_that_its_text_does_not_bear_is_refused_with_its_line(value: str) -> None:
    with pytest.raises(BadInput, match=r"w\.yaml, line 6: cannot be read"):
        read(workflow(f"{{id: a, mode: render, with: {{text: {value}}}}}"))


def test_a_file_full_of_faults_tells_the_first_ones_and_how_many_there_are() -> None:
    with pytest.raises(BadInput, match=r"\nand 30 more$"):
        read(workflow(*("{id: a, mode: no.such}" for _ in range(50))))


def test_a_circle_is_told_with_the_nodes_on_it() -> None:
    text = workflow(
        "{id: a, mode: render, with: {text: x}}", "{id: b, mode: render, needs: [a, d], with: {text: x}}",
        "{id: c, mode: render, needs: [b], with: {text: x}}", "{id: d, mode: render, needs: [c], with: {text: x}}",
    )  # fmt: skip
    with pytest.raises(BadInput, match="line 7: nodes wait for each other in a circle: b needs d needs c needs b"):
        read(text)


def test_a_template_may_look_at_what_has_ended_and_at_nothing_else() -> None:
    first = "{id: a, mode: render, with: {text: x}}"
    read(workflow(first, "{id: b, mode: render, needs: [a], with: {text: y}}",
                  "{id: c, mode: render, needs: [b], with: {text: '{{ nodes.a.output }}'}}"))  # fmt: skip
    with pytest.raises(
        BadInput, match="line 7: it looks at node 'a', which 'b' does not wait for; write 'a' into 'needs'"
    ):
        read(workflow(first, "{id: b, mode: render, with: {text: '{{ nodes.a.output }}'}}"))


@pytest.mark.parametrize(
    "given", [{}, {"text": 1}, {"text": "a", "more": 1}, {"text": None}, {"text": "a", "least": True}]
)
def test_inputs_that_are_missing_unknown_or_of_another_type_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        read(GOOD).take(given)


def test_too_large_a_file_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 256 KiB"):
        read("name: " + "x" * 300_000)


def test_graphs_without_a_circle_have_none() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c"]}
    assert find_cycle(needs) is None
    assert ancestors("d", needs) == {"a", "b", "c"}


def test_a_mode_of_an_installed_package_is_in_the_catalog(tmp_path: Path) -> None:
    """A real distribution on the path, as an installer leaves it; another process, since modes are looked up once."""
    (tmp_path / "shouting.py").write_text(
        textwrap.dedent("""
            from lakehouse.workflow.fields import Field
            from lakehouse.workflow.mode import Mode

            async def _shout(given, call):
                return given["text"].upper()

            SHOUT = Mode("text.shout", "Shouts.", {"text": Field("text", "what", is_required=True)}, _shout)
        """)
    )
    info = tmp_path / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nshout = shouting:SHOUT\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tests.workflows import Bench, workflow\n"
        "print(Bench().run(workflow(\"{id: a, mode: text.shout, with: {text: '{{ inputs.x }}'}}\", inputs='[x]'),"
        " x='hi').output)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "HI\n"
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nshout = shouting:_shout\n")
    broken = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "the workflow mode 'shout' (shouting:_shout) is not a lakehouse.workflow.mode.Mode" in broken.stderr


@pytest.mark.parametrize("number", [1e22, -1e-7, 1e300, 1.5e-9])
def test_a_large_or_small_number_of_an_object_stays_a_number(number: float) -> None:
    node = {"id": "a", "mode": "render", "with": {"text": {"x": [number]}}}
    found = workflow_of({"name": "w", "version": 1, "nodes": [node]}, catalog=default_catalog())
    assert found.nodes[0].given == {"text": {"x": [number]}}


@pytest.mark.parametrize(("number", "says"), [(".inf", "not finite"), (".nan", "not finite"), ("9" * 20, "64 bits")])
def test_a_number_that_json_has_not_is_refused_with_its_line(number: str, says: str) -> None:
    text = f"name: w\nversion: 1\nnodes:\n  - {{id: a, mode: render, with: {{text: {number}}}}}\n"
    with pytest.raises(BadInput, match=f"line 4: is not .*{says}"):
        read(text)
