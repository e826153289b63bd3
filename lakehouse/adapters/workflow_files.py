"""Workflow files of a folder, found by the name of the file.

Belongs here: reading them. Not here: what is in them (see lakehouse/workflow/reading.py).
"""

from __future__ import annotations

import re
from pathlib import Path

from lakehouse.errors import NotFound
from lakehouse.workflow.catalog import ModeCatalog
from lakehouse.workflow.document import Workflow
from lakehouse.workflow.reading import read_workflow

SHIPPED = Path(__file__).resolve().parents[2] / "workflows"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class WorkflowFiles:
    """The workflows of a folder; a file is read when it is asked for, so that a changed one counts at once.

    Args:
        folder: Where they lie; one that is missing has none.
        catalog: The modes there are.
    """

    def __init__(self, folder: Path, catalog: ModeCatalog) -> None:
        self._folder = folder
        self._catalog = catalog

    def names(self) -> list[str]:
        """The names there are."""
        if not self._folder.is_dir():
            return []
        return sorted(path.stem for path in self._folder.glob("*.yaml") if _NAME.fullmatch(path.stem))

    def find(self, name: str) -> Workflow:
        """A workflow by the name of its file.

        Raises:
            NotFound: There is no such file.
            BadInput: The file is wrong, with the line.
        """
        path = self._folder / f"{name}.yaml"
        if _NAME.fullmatch(name) is None or not path.is_file():
            known = ", ".join(self.names()) or "none"
            raise NotFound(
                f"there is no workflow {name[:80]!r}; there are {known} (LAKEHOUSE_WORKFLOWS_DIR)", name=name[:80]
            )
        return read_workflow(path.read_text("utf-8", "replace"), name=path.name, catalog=self._catalog)
