"""Declarations of corpora in a folder of YAML files.

Belongs here: YAML with its lines, the folder. Not here: what a document may say (see
lakehouse/retrieval/corpus_document.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import BadInput, LakehouseError, NotFound
from lakehouse.retrieval.corpus import CorpusDeclaration
from lakehouse.retrieval.corpus_document import Document, read_declaration
from lakehouse.retrieval.live_table import is_table_name

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Declared:
    """A file of the folder: its declaration, or why there is none."""

    name: str
    file: Path
    declaration: CorpusDeclaration | None
    problem: str = ""

    def require(self) -> CorpusDeclaration:
        """The declaration.

        Raises:
            BadInput: The file's problem.
        """
        if self.declaration is None:
            raise BadInput(self.problem, file=str(self.file))
        return self.declaration


def read_folder(folder: Path) -> list[Declared]:
    """Every declaration of a folder, by name; a folder that is missing declares none. No file's fault hides another."""
    if not folder.is_dir():
        return []
    files = sorted(f for f in folder.iterdir() if f.suffix in SUFFIXES and is_table_name(f.stem))
    return [_read(file) for file in files]


def find_declaration(folder: Path, name: str) -> CorpusDeclaration:
    """The declaration of one corpus.

    Raises:
        NotFound: There is none of that name.
        BadInput: It is wrong; names file, line and key.
    """
    declared = {d.name: d for d in read_folder(folder)}
    if name not in declared:
        known = ", ".join(declared) or "none"
        raise NotFound(f"no corpus {name!r} is declared in {folder}/ (declared: {known}); add {name}.yaml", name=name)
    return declared[name].require()


def read_file(file: Path) -> CorpusDeclaration:
    """Read one declaration.

    Raises:
        BadInput: Naming file, line and key.
    """
    import yaml

    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = str(file) if mark is None else f"{file} line {mark.line + 1}"
        raise BadInput(f"{where}: not YAML: {error.problem or error.context}", file=str(file)) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{file}: cannot be read: {error}", file=str(file)) from None
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{file}: a declaration is a mapping with name, source, id and text", file=str(file))
    lines: dict[tuple[str, ...], int] = {}
    for path, line in _keys(node, ()):
        if path in lines:
            raise BadInput(f"{file} line {line}: {'.'.join(path)}: the key stands here a second time", file=str(file))
        lines[path] = line
    try:
        values: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BadInput(f"{file}: cannot be read: {error}", file=str(file)) from None
    document = Document(values, file=str(file), lines=lines)
    declaration = read_declaration(document, folder=file.parent)
    if declaration.name != file.stem:
        raise document.wrong(("name",), f"is {declaration.name!r}, but the file is called {file.name}; they must agree")
    return declaration


def _read(file: Path) -> Declared:
    try:
        return Declared(file.stem, file, read_file(file))
    except LakehouseError as error:
        return Declared(file.stem, file, None, error.detail)


def _keys(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            own = (*path, str(key.value))
            yield own, key.start_mark.line + 1
            yield from _keys(value, own)
