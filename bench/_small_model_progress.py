"""How far bench/small_model.py has come: a line for each answer and each fold-back, so that a killed run goes on.

Belongs here: reading and writing the file. Not here: what is done (see small_model.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Progress:
    """What is done.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.is_loaded = False
        self.folded: dict[int, Mapping[str, Any]] = {}
        self._path = path
        self._right: dict[str, list[float]] = defaultdict(list)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            self._take(json.loads(line))

    def right(self, part: str) -> list[float]:
        """Whether each answer so far of an arm or of a round's own questions was right, in their order."""
        return self._right[part]

    def loaded(self) -> None:
        """The table and its corpus are there."""
        self._write({"loaded": True})

    def answered(self, part: str, said: Mapping[str, Any], *, is_right: bool) -> None:
        """The next question of a part was answered, and all that it leads to was done."""
        self._write({"part": part, "is_right": is_right, **said})

    def fold(self, number: int, report: Mapping[str, Any]) -> None:
        """A round was folded back."""
        self._write({"folded": number, "report": report})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        if "part" in line:
            self._right[line["part"]].append(float(line["is_right"]))
        elif "folded" in line:
            self.folded[line["folded"]] = line["report"]
        else:
            self.is_loaded = True
