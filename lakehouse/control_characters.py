"""Characters that would change how what stands beside them is shown: ends of lines, escapes of terminals, overrides.

A name or a value with one of them could break a table, paint a terminal, or read backwards; it is shown escaped.

Belongs here: which they are, and how they are shown. Not here: what may be in a key (see storage/keys.py).
"""

from __future__ import annotations

import re

# Embeddings, overrides and isolates of the bidirectional algorithm; its marks change nothing that is read.
_BIDI = "\u202a-\u202e\u2066-\u2069"
_SEPARATORS = "\u2028\u2029"
_ALL = re.compile(f"[\x00-\x1f\x7f-\x9f{_SEPARATORS}{_BIDI}]")
_WITHIN_LINES = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BIDI}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, keeps_lines: bool = False) -> str:
    r"""The text with its control characters as escapes: `\n`, `\x1b`, `\u202e`.

    Args:
        text: What is shown.
        keeps_lines: Ends of lines and tabs stay, where what shows it has a place for them.
    """
    return (_WITHIN_LINES if keeps_lines else _ALL).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
