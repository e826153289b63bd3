"""First bytes by which a file shows that it is no text in the stated encoding, and what to do with it.

Belongs here: the signatures. Not here: text itself (see csv_scanner.py), Parquet (see ../adapters/parquet_footer.py).
"""

from __future__ import annotations

from lakehouse.ingest.ways_out import UTF_16

HEAD_BYTES = 8
"""As many first bytes as tell."""
_OTHER = (
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive, as .xlsx and .ods are, too; unpack it first, or save the table as CSV"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"PAR1\x15", "a Parquet file; name it .parquet, or send format=parquet"),
    (b"ARROW1\x00\x00", "an Arrow file; write it as Parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Office file, as .xls is; save the table as CSV"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def other_than_text(head: bytes, *, encoding: str) -> str | None:
    """Say what a file is that was sent as text and is none.

    Args:
        head: Its first bytes.
        encoding: The one that was stated, as Python's codecs name it.

    Returns:
        What it is and what to do; None where it may be text: no text begins with such bytes.
    """
    for signature, said in _OTHER:
        if head.startswith(signature):
            return said
    if encoding == "utf-8" and head.startswith(_UTF_16):
        return f"text in UTF-16; {UTF_16}"
    return None
