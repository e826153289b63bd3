"""The facts of a run that rules may ask for, each with its type and meaning.

Belongs here: the vocabulary of conditions. Not here: where facts come from (see lakehouse/adapters/scoring_facts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FactKind = Literal["text", "number", "boolean"]
SAYS = ("success", "failure", "partial", "redo", "unread")
"""What a label can say; `unread` is one that the table of labels does not hold."""
_OF_REWARD = ("success", "failure", "partial")


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact.

    Attributes:
        kind: Its type; a boolean is false and a number null where nothing is known.
        meaning: What it says.
        values: The values of a text.
    """

    kind: FactKind
    meaning: str
    values: tuple[str, ...] = ()


FACTS: Mapping[str, Fact] = {
    # people
    "human": Fact("text", "the latest word of a person (`human_override`)", SAYS),
    "people_disagree": Fact("boolean", "another person's latest word is another one"),
    # ground truth
    "reward": Fact("text", "its own reward: 1 or more, 0 or less, or between", _OF_REWARD),
    "label": Fact("text", "`outcome` or `label` in its metadata; `redo` where the two contradict", SAYS[:-1]),
    "outcomes": Fact("number", "how many outcomes count"),
    "outcome_least": Fact("number", "the lowest score of an outcome"),
    "outcome_most": Fact("number", "the highest score of an outcome"),
    "outcomes_disputed": Fact("boolean", "of one answer, one outcome is above 0 and another below"),
    # validators
    "validator_passed": Fact("boolean", "a validator passed it"),
    "validator_failed": Fact("boolean", "a validator refused it, or its own validation did"),
    "passed_own_validation": Fact(
        "boolean", "its own record says so (of a replay), which need not have asked more than that it is grounded"
    ),
    "unread_labels": Fact("number", "how many words about it are not in the table of labels"),
    # judges: models, and observers that do not say who they are; those less sure than half do not count
    "judges_accept": Fact("number", "judges who accept it"),
    "judges_partial": Fact("number", "judges who accept it in part"),
    "judges_reject": Fact("number", "judges who reject it"),
    "judges_redo": Fact("number", "judges who want it done again"),
    "judges_of_another_lineage": Fact(
        "number", "lineages of judges who accept it, other than that of the model that ran; both must be known"
    ),
    # what the run shows by itself
    "has_failed": Fact("boolean", "its call, node or run failed"),
    "was_cancelled": Fact("boolean", "its call was cancelled"),
    "was_cut": Fact("boolean", "its answer was cut at the limit of tokens"),
    "was_retried": Fact("boolean", "its node took more than one attempt"),
    "is_empty": Fact("boolean", "nothing came of it; of a trajectory: its agent neither spoke nor called a tool"),
    "is_silent": Fact("boolean", "a trajectory has no message of its agent: what it did is not known"),
    "has_injection": Fact("boolean", "its input bears signs of orders to a model"),
    "gives_up": Fact("boolean", "its answer, of a trajectory the last one, says that it cannot be done"),
    "hands_over": Fact("boolean", "a tool was called that hands the task to a person"),
    "tool_errors": Fact("number", "tools that answered with an error"),
    "tool_errors_open": Fact("number", "tools whose last answer was an error"),
    "repeated_calls": Fact("number", "how often the same tool was called with the same arguments, at most"),
    "ends_in_tool": Fact("boolean", "its agent said nothing behind the last answer of a tool"),
}
