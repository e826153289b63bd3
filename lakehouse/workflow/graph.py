"""The graph of a workflow's nodes: what each waits for, and that none waits for itself.

Belongs here: order and cycles. Not here: running it (see runner.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A way round from a node back to it, or None.

    Args:
        needs: For each node those that it needs, all of them nodes.

    Returns:
        Ids along the way, the first one again at the end.
    """
    waiting = {node: set(of) for node, of in needs.items()}
    while free := [node for node, of in waiting.items() if not of]:
        for node in free:
            del waiting[node]
        for of in waiting.values():
            of.difference_update(free)
    if not waiting:
        return None
    # Every node that is left waits for another that is left: going on must come back.
    path = [next(iter(waiting))]
    while (following := next(one for one in needs[path[-1]] if one in waiting)) not in path:
        path.append(following)
    return [*path[path.index(following) :], following]


def ancestors(node: str, needs: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """All nodes that have ended when this one begins."""
    found: set[str] = set()
    left = list(needs[node])
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += needs[one]
    return frozenset(found)
