"""The transforms, one for each raw stream.

Belongs here: finding one by its stream. Not here: rules (each module holds those of its stream).
"""

from __future__ import annotations

from lakehouse.errors import BadInput
from lakehouse.evidence.transform import Transform
from lakehouse.evidence.transforms.agent_trajectories import AGENT_TRAJECTORIES
from lakehouse.evidence.transforms.audits import AUDITS
from lakehouse.evidence.transforms.chat_calls import CHAT_CALLS
from lakehouse.evidence.transforms.observer_events import OBSERVER_EVENTS
from lakehouse.evidence.transforms.outcomes import OUTCOMES
from lakehouse.evidence.transforms.pathway_events import PATHWAY_EVENTS
from lakehouse.evidence.transforms.playbook_events import PLAYBOOK_EVENTS
from lakehouse.evidence.transforms.replay_runs import REPLAY_RUNS
from lakehouse.evidence.transforms.reviews import REVIEWS
from lakehouse.evidence.transforms.searches import SEARCHES
from lakehouse.evidence.transforms.validations import VALIDATIONS
from lakehouse.evidence.transforms.workflow_nodes import WORKFLOW_NODES

TRANSFORMS: dict[str, Transform] = {
    transform.stream: transform
    for transform in (
        CHAT_CALLS, VALIDATIONS, SEARCHES, PLAYBOOK_EVENTS, PATHWAY_EVENTS, OBSERVER_EVENTS, WORKFLOW_NODES,
        REPLAY_RUNS, REVIEWS, AUDITS, OUTCOMES, AGENT_TRAJECTORIES,
    )
}  # fmt: skip


def transform_of(stream: str) -> Transform:
    """The transform of a stream.

    Raises:
        BadInput: There is no such stream.
    """
    try:
        return TRANSFORMS[stream]
    except KeyError:
        raise BadInput(f"stream {stream!r} is unknown; streams are {', '.join(sorted(TRANSFORMS))}") from None
