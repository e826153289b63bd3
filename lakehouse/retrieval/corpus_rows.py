"""Rows of a corpus out of rows of its source: ids, texts, metadata, hashes; refusals with their reasons.

Belongs here: what becomes of one row. Not here: reading sources (see lakehouse/adapters/corpus_source.py), which rows
are new (see build_plan.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.retrieval.chunking import split_text, word_lengths
from lakehouse.retrieval.corpus import CorpusDeclaration, MetadataColumn
from lakehouse.retrieval.embedding import MAX_TEXT_BYTES, Vectors
from lakehouse.retrieval.source_values import BadValue, json_value, read_value, split_value
from lakehouse.retrieval.text_template import text_of
from lakehouse.tables.corpus import corpus_schema

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ID_BYTES = 512
OWN_MEMBERS = ("source_id", "chunk")
"""Members that the metadata of chunks gets by itself."""
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """Some rows of a source, by column; `first` is the number of the first one, counted from 1."""

    columns: Mapping[str, Sequence[Any]]
    count: int
    first: int


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be in the corpus."""

    record: int
    reason: str
    raw: Mapping[str, Any]

    def to_line(self) -> bytes:
        """A line of the quarantine."""
        document = {
            "format_version": 1,
            "raw": orjson.dumps(self.raw, default=str).decode(),
            "reason": self.reason,
            "record": self.record,
            "line": None,
        }
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class MadeRows:
    """Rows of the corpus, column by column; `text_digests` and `digests` are of 16 bytes."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    text_digests: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    def pick(self, indexes: Iterable[int]) -> MadeRows:
        """Some of the rows, without the refused ones."""
        chosen = [int(i) for i in indexes]
        columns = (self.ids, self.texts, self.metadata, self.text_digests, self.digests)
        return MadeRows(*([column[i] for i in chosen] for column in columns))  # type: ignore[arg-type]

    def to_table(self, vectors: Vectors, *, op_id: str) -> pa.Table:
        """The rows as the corpus stores them (`corpus_schema`), with their vectors and the write that makes them."""
        import pyarrow as pa

        hashes = [content_hash(t, d) for t, d in zip(self.text_digests, self.digests, strict=True)]
        schema = corpus_schema(vectors.shape[1])
        matrix = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        columns = [self.ids, [op_id] * len(hashes), self.texts, matrix, self.metadata, hashes]
        arrays = [pa.array(c, f.type) if isinstance(c, list) else c for c, f in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def refuse(self, batch: SourceBatch, index: int, reason: str) -> None:
        """Set a row of the source aside."""
        raw = {name: json_value(values[index]) for name, values in batch.columns.items()}
        self.refused.append(RefusedRow(batch.first + index, reason, raw))


class RowMaker:
    """Makes rows by a declaration.

    Args:
        declaration: What is declared.
        embedder: The name of the embedder.
        columns: The source's columns.
        part: Only rows of this part, of as many as the declaration has.
        lengths: Lengths of words in the chunking's unit.

    Raises:
        BadInput: The declaration names columns that the source has not.
    """

    def __init__(
        self,
        declaration: CorpusDeclaration,
        *,
        embedder: str,
        columns: Sequence[str],
        part: int = 0,
        lengths: Callable[[Sequence[str]], Sequence[int]] = word_lengths,
    ) -> None:
        self._declaration = declaration
        self._metadata = present_metadata(declaration, columns)
        self._part = part
        self._lengths = lengths
        self._fingerprint = bytes.fromhex(declaration.fingerprint(embedder))
        self._embedder = embedder.encode()
        self._seen: set[bytes] = set()

    def make(self, batch: SourceBatch) -> MadeRows:
        """The rows that a batch of the source gives.

        An id that occurred before, in any batch, is refused: the first row of an id counts.
        """
        made = MadeRows()
        texts = {name: [text_of(v) for v in batch.columns[name]] for name in self._declaration.text.fields}
        for index in self._own_rows(batch, made):
            try:
                members = {m.name: _member(m, batch.columns[m.column][index]) for m in self._metadata}
            except BadValue as error:
                made.refuse(batch, index, str(error))
                continue
            text = self._declaration.text.fill({name: values[index] for name, values in texts.items()})
            if not text or text.isspace():
                made.refuse(batch, index, "the text is blank")
                continue
            self._add(made, batch, index, text, members)
        return made

    def _own_rows(self, batch: SourceBatch, made: MadeRows) -> Iterator[int]:
        parts = self._declaration.partitions
        for index, value in enumerate(batch.columns[self._declaration.id_column]):
            source_id = text_of(value)
            if not source_id.strip():
                if self._part == 0:
                    made.refuse(batch, index, f"no id in {self._declaration.id_column!r}")
                continue
            digest = id_digest(source_id)
            if part_of(digest, parts) != self._part:
                continue
            if digest in self._seen:
                made.refuse(batch, index, f"the id {source_id[:80]!r} has occurred before")
                continue
            self._seen.add(digest)
            if len(source_id.encode()) > MAX_ID_BYTES:
                made.refuse(batch, index, f"the id has more than {MAX_ID_BYTES} bytes")
                continue
            yield index

    def _add(self, made: MadeRows, batch: SourceBatch, index: int, text: str, members: dict[str, Any]) -> None:
        source_id = text_of(batch.columns[self._declaration.id_column][index])
        chunking = self._declaration.chunking
        if chunking is None:
            if len(text) > MAX_TEXT_BYTES // 4 and len(text.encode()) > MAX_TEXT_BYTES:
                made.refuse(batch, index, f"the text has more than {MAX_TEXT_BYTES} bytes; declare chunking")
                return
            self._append(made, source_id, text, members)
            return
        for number, chunk in enumerate(split_text(text, chunking, self._lengths)):
            own = {**members, "source_id": source_id, "chunk": number}
            self._append(made, chunk_id(source_id, number), chunk, own)

    def _append(self, made: MadeRows, row_id: str, text: str, members: dict[str, Any]) -> None:
        metadata = orjson.dumps(members)
        text_digest = hashlib.sha256(self._embedder + b"\0" + text.encode()).digest()[:DIGEST_BYTES]
        digest = hashlib.sha256(self._fingerprint + text_digest + metadata).digest()[:DIGEST_BYTES]
        made.ids.append(row_id)
        made.texts.append(text)
        made.metadata.append(metadata.decode())
        made.text_digests.append(text_digest)
        made.digests.append(digest)


def present_metadata(declaration: CorpusDeclaration, columns: Sequence[str]) -> tuple[MetadataColumn, ...]:
    """The declared metadata whose columns the source has.

    Raises:
        BadInput: The source lacks a column that is not optional; names the file, the key and the columns there are.
    """
    there = set(columns)
    optional = {m.column for m in declaration.metadata if m.is_optional}
    needed = {"id": (declaration.id_column,), "text": declaration.text.fields}
    needed |= {f"metadata.{m.name}": (m.column,) for m in declaration.metadata if not m.is_optional}
    for key, names in needed.items():
        for name in names:
            if name not in there and (name not in optional or key in ("id", "text")):
                raise BadInput(
                    f"{declaration.file or declaration.name}: {key}: the source has no column {name!r}; it has"
                    f" {', '.join(columns)}",
                    file=declaration.file,
                    key=key,
                )
    return tuple(m for m in declaration.metadata if m.column in there)


def content_hash(text_digest: bytes, digest: bytes) -> str:
    """What a row's `content_hash` holds: 32 hex digits of its text under its embedder, 32 of the whole row."""
    return (text_digest + digest).hex()


def id_digest(source_id: str) -> bytes:
    """16 bytes that stand for an id."""
    return hashlib.blake2b(source_id.encode(), digest_size=DIGEST_BYTES).digest()


def part_of(digest: bytes, parts: int) -> int:
    """The part of a corpus that a row of the source belongs to."""
    return 0 if parts == 1 else int.from_bytes(digest[:8], "big") % parts


def chunk_id(source_id: str, number: int) -> str:
    """Id of a chunk; `number` counts from 0."""
    return f"{source_id}#{number}"


def source_id_of(row_id: str, *, is_chunked: bool) -> str:
    """The source's id of a row of the corpus."""
    return row_id.rpartition("#")[0] if is_chunked else row_id


def _member(column: MetadataColumn, value: Any) -> Any:
    if column.split is not None:
        return split_value(value, column.split)
    if column.type is not None:
        return read_value(value, column.type, column.name)
    return json_value(value)
