"""The files of a proof: claims, cases and golden rankings in a folder; the record and the report that a run leaves.

Belongs here: reading and writing them. Not here: what they mean (see lakehouse/proof/).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lakehouse.errors import BadInput, NotFound
from lakehouse.proof.cases import Case, read_cases
from lakehouse.proof.claims import Claim, Mode, read_claims

CLAIMS = "claims.yaml"
RANKINGS = "rankings.json"


@dataclass(frozen=True, slots=True)
class ProofFiles:
    """What a proof is made of; `folder` is `tests/proof` of a checkout."""

    folder: Path

    def claims(self) -> tuple[Claim, ...]:
        """All claims, in their order."""
        return read_claims(_yaml(self.folder / CLAIMS))

    def cases(self) -> dict[str, Case]:
        """Cases of all modes, by name.

        Raises:
            BadInput: A name is there twice.
        """
        found: dict[str, Case] = {}
        for mode in Mode:
            for case in read_cases(_yaml(self.folder / "cases" / f"{mode}.yaml"), mode):
                if case.name in found:
                    raise BadInput(f"the case {case.name!r} is there twice; give each a name of its own")
                found[case.name] = case
        return found

    def rankings(self) -> dict[str, list[str]]:
        """Golden rankings by name; none when there is no file yet."""
        path = self.folder / RANKINGS
        if not path.is_file():
            return {}
        return {str(name): [str(i) for i in ids] for name, ids in json.loads(path.read_text()).items()}

    def write_rankings(self, rankings: Mapping[str, list[str]]) -> None:
        """Replace the golden rankings."""
        (self.folder / RANKINGS).write_text(json.dumps(dict(sorted(rankings.items())), indent=1) + "\n")


def write_lines(path: Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON line for each."""
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            file.write(json.dumps(document, ensure_ascii=False) + "\n")


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise NotFound(f"{path} is not there; a proof needs a checkout of the product, with its tests") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML: {error}") from None
