"""How a file is to be read: the options of one ingest, checked and fingerprinted.

Belongs here: `IngestOptions` and the parsing of its text form. Not here: what the options do (see csv_scanner.py,
lakehouse/adapters/conversion_child.py).
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lakehouse.errors import BadInput

FIXED_TYPES = ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "VARCHAR")
FORMATS = ("csv", "jsonl", "json", "parquet")
# Codecs of host names, which Python counts among those of texts.
_NO_FILE_ENCODINGS = ("idna", "punycode", "undefined")
_BY_SUFFIX = {
    ".csv": ("csv", ","),
    ".tsv": ("csv", "\t"),
    ".tab": ("csv", "\t"),
    ".txt": ("csv", "auto"),
    ".json": ("json", ","),
    ".jsonl": ("jsonl", ","),
    ".ndjson": ("jsonl", ","),
    ".parquet": ("parquet", ","),
}
_BY_CONTENT_TYPE = {
    "text/tab-separated-values": ("csv", "\t"),
    "application/json": ("json", ","),
    "application/x-ndjson": ("jsonl", ","),
    "application/jsonl": ("jsonl", ","),
    "application/vnd.apache.parquet": ("parquet", ","),
}


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """The options of one ingest (CONTRACTS.md section 4).

    `delimiter` is one character or `auto`; `types` fixes columns to one of `FIXED_TYPES`; `pii` marks columns as
    personal data; `format` is one of `FORMATS`.
    """

    mode: str = "replace"
    encoding: str = "utf-8"
    delimiter: str = ","
    types: Mapping[str, str] = field(default_factory=dict)
    pii: frozenset[str] = frozenset()
    on_error: str = "refuse"
    evolve: bool = False
    allow_duplicate: bool = False
    format: str = "csv"

    @property
    def reading_fingerprint(self) -> str:
        """SHA-256 hex of what decides how bytes become rows; two ingests that agree in it read the same."""
        reading = [
            self.format,
            self.encoding,
            self.delimiter,
            sorted(self.types.items()),
            sorted(self.pii),
            self.on_error,
        ]
        return hashlib.sha256(json.dumps(reading).encode()).hexdigest()


def make_options(
    *,
    file_name: str = "",
    content_type: str = "",
    mode: str = "replace",
    encoding: str = "utf-8",
    delimiter: str | None = None,
    types: str | None = None,
    on_error: str = "refuse",
    evolve: bool = False,
    allow_duplicate: bool = False,
    format: str | None = None,  # noqa: A002 - the parameter's name on the wire
) -> IngestOptions:
    """Check the options as a user gave them; the format is the stated one, else the suffix's, else the content type's.

    Raises:
        BadInput: Naming the option and what it may be.
    """
    guessed, usual_delimiter = _guess_format(file_name, content_type)
    _check_choice("mode", mode, ("replace", "append"))
    _check_choice("on_error", on_error, ("refuse", "quarantine"))
    if format is not None:
        _check_choice("format", format, FORMATS)
    fixed, pii = parse_types(types)
    return IngestOptions(
        mode=mode,
        encoding=_check_encoding(encoding),
        delimiter=_check_delimiter(usual_delimiter if delimiter is None else delimiter),
        types=fixed,
        pii=pii,
        on_error=on_error,
        evolve=evolve,
        allow_duplicate=allow_duplicate,
        format=format or guessed,
    )


def parse_types(text: str | None) -> tuple[dict[str, str], frozenset[str]]:
    """Read `types=`: a JSON object from column to type, or to `{"type": …, "pii": true}`."""
    if not text:
        return {}, frozenset()
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f'types is not JSON ({error}); send an object such as {{"zip": "VARCHAR"}}') from None
    if not isinstance(given, dict):
        raise BadInput('types must be a JSON object from column to type, such as {"zip": "VARCHAR"}')
    fixed, pii = {}, set()
    for column, wanted in given.items():
        unknown = sorted(set(wanted) - {"type", "pii"}) if isinstance(wanted, dict) else []
        if unknown:
            raise BadInput(
                f"types[{column!r}] has the key {unknown[0]!r}; the keys are type and pii, in lower case",
                option="types",
            )
        type_, is_pii = (wanted.get("type"), wanted.get("pii", False)) if isinstance(wanted, dict) else (wanted, False)
        if type_ is not None:
            if not isinstance(type_, str):
                raise BadInput(f"types[{column!r}] must be the name of a type, in quotes", option="types")
            _check_choice(f"types[{column!r}]", type_.upper(), FIXED_TYPES)
            fixed[column] = type_.upper()
        if is_pii:
            pii.add(column)
    return fixed, frozenset(pii)


def _guess_format(file_name: str, content_type: str) -> tuple[str, str]:
    suffix = PurePosixPath(file_name).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    return _BY_CONTENT_TYPE.get(content_type.split(";", maxsplit=1)[0].strip().lower(), ("csv", ","))


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadInput(f"{name} is {value!r}; it must be one of {', '.join(choices)}", option=name)


def _check_encoding(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        # Of a byte, since of none every codec makes an empty text; codecs that are for no text refuse it.
        b"a".decode(name, "ignore")
        if name in _NO_FILE_ENCODINGS or codecs.lookup(name).incrementaldecoder is None:
            raise LookupError(name)
    except (LookupError, UnicodeError, ValueError):
        raise BadInput(
            f"encoding {encoding[:40]!r} is unknown; use utf-8, latin-1, cp1252, utf-16 or another of Python's codecs",
            option="encoding",
        ) from None
    return name


def _check_delimiter(delimiter: str) -> str:
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
    delimiter = named.get(delimiter, delimiter)
    is_usable = len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n\x00'
    if delimiter != "auto" and not is_usable:
        raise BadInput(
            f"delimiter {delimiter[:20]!r} is refused: one ASCII character, no quote and no line break, or `auto`",
            option="delimiter",
        )
    return delimiter
