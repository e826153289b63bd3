"""Whether a text speaks of a subject: whole words, in any case, also where the text is JSON; whether it names a run.

Belongs here: the patterns. Not here: matching (see lakehouse/adapters/words.py), which columns are looked at (see
lakehouse/adapters/retracted_runs.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

# In JSON the letter before a word may be that of an escape: `\nAna` is a line that begins with her.
_BEFORE = r"(?:^|[^\pL\pN_]|\\[bfnrt]|\\u[0-9a-fA-F]{4})"
_AFTER = r"(?:$|[^\pL\pN_])"
# All that Python takes for white space; \s of RE2 is ASCII's alone.
_SPACE = r"(?:[\s\pZ\x0b\x1c-\x1f\x{85}]|\\[bfnrt]|\\u[0-9a-fA-F]{4})+"


def subject_pattern(subject: str, *, is_grouped: bool = False) -> str:
    """The pattern of a subject, in RE2's syntax, to be matched without regard to case.

    Args:
        subject: Words; any white space between them is any other.
        is_grouped: What stands before and behind the words are groups 1 and 2.
    """
    forms = dict.fromkeys(_words(form) for form in (subject, _escaped(subject), _escaped(subject, is_ascii=True)))
    spoken = f"(?:{'|'.join(forms)})"
    return f"({_BEFORE}){spoken}({_AFTER})" if is_grouped else f"{_BEFORE}{spoken}{_AFTER}"


def run_pattern(run_ids: Sequence[str]) -> str:
    """The pattern of runs: the id as a whole text of a JSON document, or of one within another, alone or as a tag."""
    forms = dict.fromkeys(re.escape(form) for one in run_ids for form in (_escaped(one), _escaped(one, is_ascii=True)))
    return rf'"(?:run:)?(?:{"|".join(forms)})\\*"'


def _words(text: str) -> str:
    return _SPACE.join(re.escape(word) for word in text.split())


def _escaped(text: str, *, is_ascii: bool = False) -> str:
    """As it stands within a JSON string."""
    return json.dumps(text, ensure_ascii=is_ascii)[1:-1]
