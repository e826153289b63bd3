"""Reading the source of a corpus a batch at a time in flat memory: a dataset's data files, or files of the user.

Belongs here: formats and where the bytes are. Not here: what becomes of a row (see lakehouse/retrieval/corpus_rows.py).
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from lakehouse.catalog.manifest import Manifest
from lakehouse.catalog.service import Catalog
from lakehouse.counted import counted
from lakehouse.errors import BadInput, NotFound
from lakehouse.receipts.receipt import ReceiptItem
from lakehouse.retrieval.corpus import CorpusDeclaration, FilesSource
from lakehouse.retrieval.corpus_document import FORMATS
from lakehouse.retrieval.corpus_rows import SourceBatch
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import hash_file

BATCH_ROWS = 4096
MAX_FIELD_CHARACTERS = 16_000_000


class CorpusSource(Protocol):
    """Rows of a source.

    `fingerprint` is the same exactly when rows and personal columns are the same; `total` is the number of rows, None
    where it is not known beforehand; `personal` are the columns that hold personal data.
    """

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def total(self) -> int | None: ...

    @property
    def personal(self) -> frozenset[str]: ...

    @property
    def items(self) -> tuple[ReceiptItem, ...]: ...

    def batches(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """The rows in their order, with these columns."""
        ...


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """One version of a dataset; each data file is copied to the disk while it is read.

    Args:
        objects: The bucket.
        manifest: The version.
        work_dir: Where the copy lies.
    """

    objects: ObjectStore
    manifest: Manifest
    work_dir: Path

    @property
    def columns(self) -> Sequence[str]:
        return [c.name for c in self.manifest.columns]

    @property
    def fingerprint(self) -> str:
        return dataset_fingerprint(self.manifest)

    @property
    def total(self) -> int | None:
        return self.manifest.row_count

    @property
    def personal(self) -> frozenset[str]:
        return personal_columns(self.manifest)

    @property
    def items(self) -> tuple[ReceiptItem, ...]:
        return tuple(ReceiptItem(o.key, o.sha256, o.row_count) for o in self.manifest.objects)

    def batches(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        first = 1
        for data in self.manifest.objects:
            with tempfile.TemporaryDirectory(dir=self.work_dir) as folder:
                copy = Path(folder) / "data.parquet"
                with self.objects.open(data.key) as reader, copy.open("wb") as stream:
                    stream.writelines(reader.chunks())
                for batch in _parquet(copy, columns, first):
                    yield batch
                    first = batch.first + batch.count


class FileRows:
    """Files of the user, read one after the other as one table; a column that some lack is null in them.

    Args:
        source: The files.
        file: The declaration's file, for messages.

    Raises:
        BadInput: A file is missing or has no header.
    """

    def __init__(self, source: FilesSource, *, file: str) -> None:
        self._file = file
        self._files = [(path, source.format or FORMATS[path.suffix.lower()]) for path in source.paths]
        for path, _ in self._files:
            if not path.is_file():
                raise BadInput(f"{file}: source.files: there is no file {path}; put it there, or change the path")
        self.items = tuple(ReceiptItem(path.name, hash_file(path), None) for path, _ in self._files)
        names = [_columns(path, form, file) for path, form in self._files]
        self.columns: Sequence[str] = list(dict.fromkeys(itertools.chain.from_iterable(names)))
        self.fingerprint = hashlib.sha256("".join(item.sha256 for item in self.items).encode()).hexdigest()
        self.total: int | None = None
        self.personal: frozenset[str] = frozenset()

    def batches(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        first = 1
        for path, form in self._files:
            for batch in self._read(path, form, columns, first):
                yield batch
                first = batch.first + batch.count

    def _read(self, path: Path, form: str, columns: Sequence[str], first: int) -> Iterator[SourceBatch]:
        if form == "parquet":
            return _parquet(path, columns, first)
        rows = _json_rows(path, self._file) if form == "jsonl" else _text_rows(path, form, self._file)
        return _gathered(rows, columns, first)


def dataset_fingerprint(manifest: Manifest) -> str:
    """The fingerprint of a dataset as a source: the same exactly when content and marks of personal data are."""
    digest = hashlib.sha256(manifest.schema_fingerprint.encode())
    for part in (*(o.sha256 for o in manifest.objects), *sorted(personal_columns(manifest))):
        digest.update(b"\x1f" + part.encode())
    return digest.hexdigest()


def personal_columns(manifest: Manifest) -> frozenset[str]:
    """The columns that hold personal data."""
    return frozenset(c.name for c in manifest.columns if c.pii)


def open_source(
    declaration: CorpusDeclaration, *, objects: ObjectStore, catalog: Catalog, work_dir: Path
) -> CorpusSource:
    """The source of a corpus as it is now.

    Raises:
        NotFound: There is no such dataset; names the declaration.
        BadInput: A file is missing; names it and the declaration.
    """
    source = declaration.source
    if isinstance(source, FilesSource):
        return FileRows(source, file=declaration.file)
    manifest = catalog.find(source.name)
    if manifest is None:
        raise NotFound(
            f"{declaration.file}: source.dataset: there is no dataset {source.name!r}; load one with: lakehouse ingest"
            f" FILE --name {source.name}",
            name=source.name,
        )
    return DatasetRows(objects, manifest, work_dir)


def _gathered(rows: Iterator[dict[str, Any]], columns: Sequence[str], first: int) -> Iterator[SourceBatch]:
    while some := list(itertools.islice(rows, BATCH_ROWS)):
        yield SourceBatch({name: [row.get(name) for row in some] for name in columns}, len(some), first)
        first += len(some)


def _parquet(path: Path, columns: Sequence[str], first: int) -> Iterator[SourceBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            for batch in file.iter_batches(BATCH_ROWS, columns=there, use_threads=False):
                values = {name: _values(batch.column(name)) for name in there}
                yield SourceBatch(
                    {name: values.get(name, [None] * batch.num_rows) for name in columns}, batch.num_rows, first
                )
                first += batch.num_rows
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path.name} is not a Parquet file, or is damaged: {error}") from None


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's times have microseconds.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _columns(path: Path, form: str, file: str) -> list[str]:
    if form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise BadInput(f"{file}: source.files: {path} is not a Parquet file: {error}") from None
    if form == "jsonl":
        return list(dict.fromkeys(name for row in _json_rows(path, file) for name in row))
    header, _ = _open_text(path, form, file)
    return header


def _text_rows(path: Path, form: str, file: str) -> Iterator[dict[str, Any]]:
    header, rows = _open_text(path, form, file)
    for number, row in enumerate(rows, start=2):
        if not row:
            continue  # a blank line
        if len(row) != len(header):
            raise BadInput(
                f"{file}: source.files: {path} record {number} has {counted(len(row), 'field')},"
                f" the header has {len(header)}"
            )
        yield {name: value or None for name, value in zip(header, row, strict=True)}


def _open_text(path: Path, form: str, file: str) -> tuple[list[str], Iterator[list[str]]]:
    rows = _records(path, form, file)
    header = next(rows, [])
    if not header or len(set(header)) != len(header) or not all(header):
        raise BadInput(f"{file}: source.files: the first line of {path} must name the columns, each once")
    return header, rows


def _records(path: Path, form: str, file: str) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if form == "tsv":  # IANA's TSV has no quoting: a quote is a character like any other
                yield from csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                yield from csv.reader(stream, strict=True)
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: source.files: {path} is not UTF-8 ({error.reason}); save it as UTF-8") from None
    except csv.Error as error:
        raise BadInput(f"{file}: source.files: {path} is not {form.upper()}: {error}") from None


def _json_rows(path: Path, file: str) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadInput(f"{file}: source.files: {path} line {number} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise BadInput(f"{file}: source.files: {path} line {number} is not a JSON object")
            yield row
