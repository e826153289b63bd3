"""Text files in any encoding, as UTF-8.

Belongs here: the transcoding. Not here: what the text says (see conversion_csv.py, conversion_json.py).
"""

from __future__ import annotations

import codecs
from pathlib import Path

from lakehouse.errors import Unprocessable
from lakehouse.ingest.ways_out import ENCODING

_CHUNK_BYTES = 1 << 20
# Stands for what could not be decoded. It is no UTF-8, so the reader of the copy stops there and names record and line.
_UNREADABLE = "\udc80"
_ON_ERROR = "lakehouse-mark"


def as_utf8(source: Path, work_dir: Path, encoding: str) -> Path:
    """The file itself when it is UTF-8, else a transcoded copy; bytes that are not in the encoding stay invalid.

    Raises:
        Unprocessable: The bytes cannot be of this encoding at all.
    """
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return source
    codecs.register_error(_ON_ERROR, _mark)
    decoder = codecs.getincrementaldecoder(encoding)(_ON_ERROR)
    target, line = work_dir / "utf8.txt", 1
    with source.open("rb") as reader, target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        while True:
            chunk = reader.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
                out.write(text)
            except UnicodeError as error:
                reason = f"bytes that are not {encoding} ({error.args[0]}); {ENCODING}"
                detail = f"near line {line}: {reason}. Nothing was loaded"
                raise Unprocessable(detail, line=line, reason=reason) from None
            line += text.count("\n")
            if not chunk:
                return target


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNREADABLE, error.end
