"""What somebody asks the lineage of: a raw line, a sample of a build, a chunk of one, or a run.

Belongs here: reading the id. Not here: looking it up (see lakehouse/adapters/lineage_reader.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lakehouse.errors import BadInput

Kind: TypeAlias = Literal["line", "sample", "chunk", "run"]
MAX_CHARACTERS = 2048
# No bucket has objects of more lines than fit 15 digits.
_LINE = re.compile(r"(raw/[^/]+/dt=\d{4}-\d\d-\d\d/[\s\S]+):([1-9]\d{0,14})")
_SAMPLE = re.compile(r"([0-9a-f]{32})(?:#(0|[1-9]\d{0,8}))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """An id as it was read.

    Attributes:
        kind: What it is by its form; an id of a sample may be that of a run all the same.
        text: As it was given.
        name: The raw object's key, the sample's id, or the run's.
        number: The line, from 1, or the chunk, from 0; None for others.
    """

    kind: Kind
    text: str
    name: str
    number: int | None = None


def read_reference(text: str) -> Reference:
    """Read an id: `raw/<stream>/dt=…/x.jsonl:17`, a sample's 32 hex digits, `<sample>#<chunk>`; any other is a run's.

    Raises:
        BadInput: It is empty, too long, or has characters that no id has.
    """
    if not text or len(text) > MAX_CHARACTERS:
        raise BadInput(f"an id has 1 to {MAX_CHARACTERS} characters, this one has {len(text)}")
    if "\x00" in text or not _is_utf8(text):
        raise BadInput("an id has no NUL and is valid UTF-8; give the id of a run, a sample, a chunk or a raw line")
    if line := _LINE.fullmatch(text):
        return Reference("line", text, line[1], int(line[2]))
    if sample := _SAMPLE.fullmatch(text):
        if sample[2] is None:
            return Reference("sample", text, sample[1])
        return Reference("chunk", text, sample[1], int(sample[2]))
    return Reference("run", text, text)


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
