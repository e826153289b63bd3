"""What the nodes and the output of a workflow refer to: nodes that they wait for, inputs and outputs in templates.

Belongs here: whether it is there, and no circle. Not here: reading nodes (see reading.py), graphs (see graph.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lakehouse.workflow.document import InputSpec, NodeSpec
from lakehouse.workflow.graph import ancestors, find_cycle
from lakehouse.workflow.values import FoundTemplate
from lakehouse.yaml_lines import Faults, Located


@dataclass(frozen=True, slots=True)
class Draft:
    """A node whose references have not been checked."""

    node: NodeSpec
    place: Located
    needs: tuple[Located, ...]
    templates: tuple[FoundTemplate, ...]


def check_nodes(drafts: Sequence[Draft], inputs: Mapping[str, InputSpec], faults: Faults) -> None:
    """Check what nodes wait for, and what their templates name.

    Args:
        drafts: The nodes, in order.
        inputs: Those of the workflow.
        faults: Where what is wrong is gathered.

    Raises:
        BadInput: Ids stand twice, or nodes wait for others that are not there, or in a circle.
    """
    by_id: dict[str, Draft] = {}
    for draft in drafts:
        with faults.gathered():
            if earlier := by_id.get(draft.node.id):
                draft.place.refuse(
                    f"the id {draft.node.id!r} stands twice, here and in line {earlier.place.line}; rename one"
                )
            by_id[draft.node.id] = draft
        for need in draft.needs:
            with faults.gathered():
                if need.scalar() not in {one.node.id for one in drafts}:
                    need.refuse(f"there is no node {need.scalar()!r}; nodes are {_listed(drafts)}")
    faults.tell()
    graph = {draft.node.id: draft.node.needs for draft in drafts}
    cycle = find_cycle(graph)
    if cycle is not None:
        by_id[cycle[0]].place.refuse(f"nodes wait for each other in a circle: {' needs '.join(cycle)}")
    for draft in drafts:
        _check_inputs(draft.templates, inputs, faults)
        behind = ancestors(draft.node.id, graph)
        for found in draft.templates:
            for name in sorted(found.template.names.nodes - behind):
                with faults.gathered():
                    _refuse_node(found.place, name, draft, drafts)


def check_output(
    templates: Iterable[FoundTemplate], drafts: Sequence[Draft], inputs: Mapping[str, InputSpec], faults: Faults
) -> None:
    """Check what the output's templates name; arguments as `check_nodes`."""
    _check_inputs(templates, inputs, faults)
    ids = {draft.node.id for draft in drafts}
    for found in templates:
        for name in sorted(found.template.names.nodes - ids):
            with faults.gathered():
                found.place.refuse(f"there is no node {name!r}; nodes are {_listed(drafts)}")


def _check_inputs(templates: Iterable[FoundTemplate], inputs: Mapping[str, InputSpec], faults: Faults) -> None:
    for found in templates:
        for name in sorted(found.template.names.inputs - set(inputs)):
            with faults.gathered():
                found.place.refuse(f"there is no input {name!r}; inputs are {', '.join(inputs) or 'none'}")


def _refuse_node(place: Located, name: str, draft: Draft, drafts: Sequence[Draft]) -> None:
    if name not in {one.node.id for one in drafts}:
        place.refuse(f"it looks at node {name!r}, no node of this workflow; nodes are {_listed(drafts)}")
    place.refuse(
        f"it looks at node {name!r}, which {draft.node.id!r} does not wait for; write {name!r} into 'needs' of"
        f" {draft.node.id!r}"
    )


def _listed(drafts: Sequence[Draft]) -> str:
    return ", ".join(dict.fromkeys(draft.node.id for draft in drafts))
