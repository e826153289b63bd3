"""What stands in the text of a list or a structure: of JSON, or as the engine writes its own lists, structs and maps.

Belongs here: taking such a text apart, a cut off one too. Not here: what makes a member personal (see pii.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NESTED = ("[", "{")
# Nothing personal is without one of these.
_WORTH_A_LOOK = re.compile(r"[@\d]")
_MEMBER = re.compile(
    r"""(?:["']?([^\W\d][\w .-]{0,60}?)["']?\s*[:=]\s*\[?\s*)?"""
    r"""(?:"([^"]*)"?|'([^']*)'|([^\s"'\[\]{},:=][^"'\[\]{},]*))"""
)


def members(text: str) -> Iterator[tuple[str | None, str]]:
    """Key and value of each member that holds a digit or an `@`, in the order they stand; the key is None in a list.

    Keys of inner structures are values here, too: they are words, and no harm.
    """
    if not _WORTH_A_LOOK.search(text):
        return
    for key, *values in _MEMBER.findall(text):
        value = "".join(values).strip()
        if _WORTH_A_LOOK.search(value):
            yield key or None, value
