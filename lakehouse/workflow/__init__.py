"""Workflows: a file of nodes, checked with line numbers before anything runs, and run as a graph.

Belongs here: files, templates, the graph, the runner, modes over Protocols. Not here: the real services (see
lakehouse/adapters/workflow_scoring.py, lakehouse_api/compose_workflows.py), HTTP.
"""

from lakehouse.workflow.catalog import ModeCatalog, default_catalog
from lakehouse.workflow.document import InputSpec, NodeSpec, Workflow
from lakehouse.workflow.reading import read_workflow
from lakehouse.workflow.record import NodeResult, RunResult
from lakehouse.workflow.runner import WorkflowRunner

__all__ = [
    "InputSpec", "ModeCatalog", "NodeResult", "NodeSpec", "RunResult", "Workflow", "WorkflowRunner",
    "default_catalog", "read_workflow",
]  # fmt: skip
