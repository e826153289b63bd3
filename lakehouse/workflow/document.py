"""A workflow as it was read and checked.

Belongs here: the shapes, their limits. Not here: reading (see reading.py), running (see runner.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakehouse.errors import BadInput
from lakehouse.workflow.fields import bounded_json, fits, named
from lakehouse.workflow.templates import Template

MAX_FILE_BYTES = 256 << 10
MAX_NODES = 100
MAX_INPUTS = 50
MAX_CONCURRENCY = 16
MAX_RETRIES = 10
MAX_TIMEOUT_S = 3600
DEFAULT_TIMEOUT_S = 120.0
OUTPUT = "output"
"""The name under which a run's own row is recorded; no node may bear it."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a run is given. `default` counts where `is_required` is false."""

    kind: str = "any"
    meaning: str = ""
    is_required: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node.

    Attributes:
        mode: Name of its mode in the catalog.
        needs: Ids of the nodes that must have ended before it begins.
        when: A condition; where it is false the node is skipped. None: always.
        given: `with`, templates not rendered.
        retries: Further attempts after one that failed for now.
        line: Where it stands in the file.
    """

    id: str
    mode: str
    needs: tuple[str, ...] = ()
    when: Template | bool | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    timeout_s: float = DEFAULT_TIMEOUT_S
    line: int = 0


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that may run; `sha256` is of what was read."""

    name: str
    version: int
    inputs: Mapping[str, InputSpec]
    concurrency: int
    nodes: Sequence[NodeSpec]
    output: Any
    sha256: str

    def take(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a run: what was given, and the defaults.

        Raises:
            BadInput: One is missing, unknown, or of another type; the message names it.
            TooLarge: All of them are too large for a line.
        """
        unknown = sorted(set(given) - set(self.inputs))
        if unknown:
            known = ", ".join(self.inputs) or "none"
            raise BadInput(f"workflow {self.name!r} has no input {unknown[0]!r}; it takes {known}", field=unknown[0])
        taken: dict[str, Any] = {}
        for name, spec in self.inputs.items():
            if name not in given:
                if spec.is_required:
                    says = f" ({spec.meaning})" if spec.meaning else ""
                    raise BadInput(f"workflow {self.name!r} needs the input {name!r}{says}; give it", field=name)
                taken[name] = spec.default
                continue
            value = given[name]
            if not fits(spec.kind, value):
                raise BadInput(
                    f"the input {name!r} of workflow {self.name!r} must be of type {spec.kind}, not {named(value)}",
                    field=name,
                )
            taken[name] = value
        bounded_json(taken, "the input of a workflow")
        return taken
