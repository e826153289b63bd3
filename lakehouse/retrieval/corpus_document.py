"""Reading a corpus's declaration from a document: every refusal names the file, the line, the key and the remedy.

Belongs here: keys, their forms, their checks. Not here: YAML and folders (see lakehouse/adapters/corpus_files.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lakehouse.catalog.names import check_dataset_name
from lakehouse.errors import BadInput
from lakehouse.retrieval.chunking import Chunking, Unit
from lakehouse.retrieval.corpus import (
    DISTANCES,
    TYPES,
    CorpusDeclaration,
    DatasetSource,
    Distance,
    FileFormat,
    FilesSource,
    MetadataColumn,
    ValueType,
)
from lakehouse.retrieval.corpus_rows import OWN_MEMBERS
from lakehouse.retrieval.live_table import check_table_name
from lakehouse.retrieval.text_template import parse_template

KEYS = (
    "name", "description", "source", "id", "text", "metadata", "embedder", "rerank_embedder", "distance", "chunking",
    "partitions",
)  # fmt: skip
FORMATS: dict[str, FileFormat] = {
    ".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".parquet": "parquet",
}  # fmt: skip
UNITS: tuple[Unit, ...] = ("words", "tokens")
MAX_PARTITIONS = 256


class Document:
    """One declaration's document, with the line of each key.

    Args:
        values: The mapping.
        file: How messages call it.
        lines: Line by path of keys, such as `("source", "dataset")`.
    """

    def __init__(
        self, values: Mapping[str, Any], *, file: str, lines: Mapping[tuple[str, ...], int] | None = None
    ) -> None:
        self.values = values
        self.file = file
        self._lines = lines or {}

    def wrong(self, path: tuple[str, ...], problem: str) -> BadInput:
        """The refusal of a key."""
        line = next((self._lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._lines), None)
        where = self.file if line is None else f"{self.file} line {line}"
        return BadInput(f"{where}: {'.'.join(path)}: {problem}", file=self.file, key=".".join(path), line=line)

    def text(self, path: tuple[str, ...], value: Any) -> str:
        """A value that must be a text with something in it."""
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(path, f"must be a text, not {_shown(value)}; put it in quotes")
        return value

    def only(self, path: tuple[str, ...], values: Any, known: tuple[str, ...]) -> dict[str, Any]:
        """A value that must be a mapping of known keys."""
        if not isinstance(values, Mapping):
            raise self.wrong(path, f"must be a mapping of {', '.join(known)}, not {_shown(values)}")
        for key in values:
            if key not in known:
                raise self.wrong((*path, str(key)), f"is not a key here; the keys are {', '.join(known)}")
        return dict(values)

    def whole(self, path: tuple[str, ...], value: Any) -> int:
        """A value that must be a whole number."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(path, f"must be a whole number, not {_shown(value)}")
        return value


def read_declaration(document: Document, *, folder: Path) -> CorpusDeclaration:
    """Check a document and make a declaration of it.

    Args:
        document: The document.
        folder: What relative paths of files start from.

    Raises:
        BadInput: Naming file, line and key.
    """
    given = document.only((), document.values, KEYS)
    for key in ("name", "source", "id", "text"):
        if given.get(key) is None:
            raise document.wrong((key,), "is missing; every corpus has name, source, id and text")
    partitions = document.whole(("partitions",), given.get("partitions", 1))
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise document.wrong(("partitions",), f"is {partitions}; it must be 1 to {MAX_PARTITIONS}")
    declaration = CorpusDeclaration(
        name=_checked(document, ("name",), lambda: check_table_name(document.text(("name",), given["name"]))),
        source=_source(document, given["source"], folder),
        id_column=document.text(("id",), given["id"]),
        text=_checked(document, ("text",), lambda: parse_template(_lines_of_text(document, given["text"]))),
        metadata=_metadata(document, given.get("metadata")),
        embedder=_optional_text(document, "embedder", given),
        rerank_embedder=_optional_text(document, "rerank_embedder", given),
        distance=_distance(document, given.get("distance", "cosine")),
        chunking=_chunking(document, given.get("chunking")),
        partitions=partitions,
        description=_optional_text(document, "description", given) or "",
        file=document.file,
    )
    for column in declaration.metadata:
        if declaration.chunking is not None and column.name in OWN_MEMBERS:
            raise document.wrong(("metadata", column.name), "is a member that chunks get by themselves; rename it")
    return declaration


def _checked(document: Document, path: tuple[str, ...], make: Any) -> Any:
    try:
        return make()
    except BadInput as error:
        if "file" in error.fields:
            raise
        raise document.wrong(path, error.detail) from None


def _source(document: Document, value: Any, folder: Path) -> DatasetSource | FilesSource:
    path = ("source",)
    given = document.only(path, value, ("dataset", "files", "format"))
    if ("dataset" in given) == ("files" in given):
        raise document.wrong(path, "needs either `dataset: <name>` or `files: [<path>, …]`")
    if "dataset" in given:
        if "format" in given:
            raise document.wrong((*path, "format"), "is for files; a dataset needs none")
        name = document.text((*path, "dataset"), given["dataset"])
        return DatasetSource(_checked(document, (*path, "dataset"), lambda: check_dataset_name(name)))
    files = given["files"]
    if not isinstance(files, list) or not files:
        raise document.wrong((*path, "files"), f"must be a list of paths, not {_shown(files)}")
    wanted = given.get("format")
    if wanted is not None and wanted not in FORMATS.values():
        raise document.wrong((*path, "format"), f"is {_shown(wanted)}; it must be csv, tsv, jsonl or parquet")
    paths = tuple(folder / document.text((*path, "files"), file) for file in files)
    for file in paths:
        if wanted is None and file.suffix.lower() not in FORMATS:
            raise document.wrong(
                (*path, "files"), f"the suffix of {file.name!r} says nothing; add `format: csv`, tsv, jsonl or parquet"
            )
    return FilesSource(paths, wanted)


def _lines_of_text(document: Document, value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [document.text(("text",), line) for line in value]
    return document.text(("text",), value)


def _metadata(document: Document, value: Any) -> tuple[MetadataColumn, ...]:
    path = ("metadata",)
    if value is None:
        return ()
    if isinstance(value, list):
        value = {document.text(path, name): None for name in value}
    if not isinstance(value, Mapping):
        raise document.wrong(path, f"must be a list of columns, or a mapping of names, not {_shown(value)}")
    return tuple(_metadata_column(document, document.text(path, name), options) for name, options in value.items())


def _metadata_column(document: Document, name: str, options: Any) -> MetadataColumn:
    path = ("metadata", name)
    given = document.only(path, {} if options is None else options, ("column", "split", "type", "optional"))
    split, type_, optional = given.get("split"), given.get("type"), given.get("optional", False)
    if split is not None and (not isinstance(split, str) or not split):
        raise document.wrong((*path, "split"), f'must be the text between two elements, as ", ", not {_shown(split)}')
    if type_ is not None and type_ not in TYPES:
        raise document.wrong((*path, "type"), f"is {_shown(type_)}; it must be one of {', '.join(TYPES)}")
    if not isinstance(optional, bool):
        raise document.wrong((*path, "optional"), f"must be true or false, not {_shown(optional)}")
    column = document.text((*path, "column"), given.get("column", name))
    return MetadataColumn(name, column, split, cast("ValueType | None", type_), optional)


def _chunking(document: Document, value: Any) -> Chunking | None:
    path = ("chunking",)
    if value is None:
        return None
    given = document.only(path, value, ("max_words", "max_tokens", "overlap"))
    units: list[Unit] = [unit for unit in UNITS if f"max_{unit}" in given]
    if len(units) != 1:
        raise document.wrong(path, "needs either max_words or max_tokens")
    most = document.whole((*path, f"max_{units[0]}"), given[f"max_{units[0]}"])
    overlap = document.whole((*path, "overlap"), given.get("overlap", 0))
    chunking: Chunking = _checked(document, path, lambda: Chunking(most, overlap, units[0]))
    return chunking


def _distance(document: Document, value: Any) -> Distance:
    if value not in DISTANCES:
        raise document.wrong(("distance",), f"is {_shown(value)}; it must be one of {', '.join(DISTANCES)}")
    return cast("Distance", value)


def _optional_text(document: Document, key: str, given: Mapping[str, Any]) -> str | None:
    return None if given.get(key) is None else document.text((key,), given[key])


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
