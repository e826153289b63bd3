"""A lineage as a drawing: raw lines at the left, what was made of them to the right.

Belongs here: which nodes and edges there are, and where they stand. Not here: finding (see lakehouse/lineage), markup
(see templates/_lineage.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lakehouse.lineage.answer import Lineage, PlacedSample, RawLine, RunLineage
from lakehouse_api.ui.formats import cell

LAYERS = ("raw line", "run", "score", "sample", "corpus", "memory")
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 196, 46, 44, 14
_MOST_OF_A_KIND = 40
_SHOWN = 22


@dataclass(frozen=True, slots=True)
class Node:
    """A box: what it is, what stands in it, where, and where it leads; `state` colours it."""

    kind: str
    title: str
    said: str
    x: int
    y: int
    link: str | None = None
    state: str = ""
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes and the paths between them, in pixels; `hidden` boxes have no room."""

    nodes: Sequence[Node]
    paths: Sequence[str]
    width: int
    height: int
    box_width: int
    box_height: int
    hidden: int


@dataclass(slots=True)
class _Drawing:
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
    hidden: int = 0

    def box(self, key: str, layer: int, title: str, said: str, *, link: str | None = None, state: str = "") -> None:
        if key in self.places:
            return
        row = self.rows.get(layer, 0)
        if row >= _MOST_OF_A_KIND:
            self.hidden += 1
            return
        self.rows[layer] = row + 1
        x, y = layer * (_WIDTH + _GAP_X), row * (_HEIGHT + _GAP_Y)
        self.places[key] = x, y
        shown = title if len(title) <= _SHOWN else f"…{title[-_SHOWN + 1 :]}"
        self.nodes.append(Node(LAYERS[layer], shown, cell(said), x, y, link, state, is_asked=layer == 1))

    def edge(self, one: str, other: str) -> None:
        if (one, other) not in self.edges:
            self.edges.append((one, other))

    def paths(self) -> list[str]:
        made = []
        for one, other in self.edges:
            if one in self.places and other in self.places:
                (x1, y1), (x2, y2) = self.places[one], self.places[other]
                x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
                half = (x1 + x2) // 2
                made.append(f"M{x1},{y1}C{half},{y1} {half},{y2} {x2},{y2}")
        return made


def graph_of(lineage: Lineage) -> Graph:
    """The drawing of a lineage."""
    drawing = _Drawing()
    for line in lineage.lines:
        _line(drawing, line)
    for run in lineage.runs:
        _run(drawing, run)
    for sample in lineage.samples:
        _sample(drawing, sample, f"run {sample.run_id}")
    rows = max(drawing.rows.values(), default=1)
    return Graph(
        nodes=drawing.nodes,
        paths=drawing.paths(),
        width=len(LAYERS) * (_WIDTH + _GAP_X) - _GAP_X,
        height=rows * (_HEIGHT + _GAP_Y) - _GAP_Y,
        box_width=_WIDTH,
        box_height=_HEIGHT,
        hidden=drawing.hidden,
    )


def _run(drawing: _Drawing, run: RunLineage) -> None:
    key = f"run {run.run_id}"
    drawing.box(key, 1, run.run_id, "sound" if run.is_sound else "not sound", state="good" if run.is_sound else "bad")
    for line in run.lines:
        drawing.edge(_line(drawing, line), key)
    for number, score in enumerate(run.scores):
        name = f"{key} score {number}"
        drawing.box(name, 2, score.score, f"{score.rule}, rules {score.rules_version}")
        drawing.edge(key, name)
    before = f"{key} score 0" if run.scores else key
    for sample in run.samples:
        _sample(drawing, sample, before)
    for uid in run.memory.pathways:
        drawing.box(f"pathway {uid}", 5, uid, "pathway", link=f"/ui/memory/pathways/{uid}")
        drawing.edge(key, f"pathway {uid}")
    for playbook in run.memory.playbooks:
        drawing.box(f"playbook {playbook}", 5, playbook, "playbook", link=f"/ui/memory/playbooks/{playbook}")
        drawing.edge(key, f"playbook {playbook}")


def _line(drawing: _Drawing, line: RawLine) -> str:
    key = f"line {line.source_key}:{line.line}"
    state = "good" if line.check == "verified" else "bad"
    drawing.box(key, 0, f"{line.source_key}:{line.line}", f"{line.check}, {line.status}", state=state)
    return key


def _sample(drawing: _Drawing, sample: PlacedSample, before: str) -> None:
    name, build = f"sample {sample.build_id} {sample.sample_id}", f"build {sample.build_id}"
    drawing.box(name, 3, sample.sample_id, f"{sample.form}, {sample.split}, row {sample.row}")
    drawing.box(build, 4, sample.build_id, sample.kind, link=f"/ui/corpora/{sample.kind}/{sample.build_id}")
    drawing.edge(before, name)
    drawing.edge(name, build)
