"""Ids of imported runs: parts joined by slashes, so that each part can be told from the next.

Belongs here: quoting of parts, limits. Not here: which parts a format has.
"""

from __future__ import annotations

import re

from lakehouse.errors import BadInput
from lakehouse.evidence.transform import MAX_ID_CHARACTERS
from lakehouse.trajectories.run import Unusable

MAX_SOURCE_CHARACTERS = 128
_QUOTED = re.compile(r"[/%\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BAD_SOURCE = re.compile(r"[%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def quoted(part: str | int) -> str:
    """A part as it stands in an id: slashes, percent signs, control characters and lone surrogates as `%XX`.

    Two parts that differ stay different.

    Raises:
        Unusable: It is empty.
    """
    text = str(part)
    if not text:
        raise Unusable("an id is empty")
    return _QUOTED.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode("utf-8", "surrogatepass")), text)


def joined(source: str, *parts: str | int) -> str:
    """An id of a source and parts behind it.

    Raises:
        Unusable: A part is empty, or the id is longer than evidence takes.
    """
    made = "/".join((source, *map(quoted, parts)))
    if len(made) > MAX_ID_CHARACTERS:
        raise Unusable(f"its id has {len(made):,} characters; at most {MAX_ID_CHARACTERS} are allowed")
    return made


def check_source(source: str) -> str:
    """Return the name of a data set when ids may begin with it.

    Raises:
        BadInput: It is empty, too long, or has control characters, percent signs or empty components.
    """
    is_fit = 0 < len(source) <= MAX_SOURCE_CHARACTERS and not _BAD_SOURCE.search(source) and all(source.split("/"))
    if not is_fit:
        raise BadInput(
            f"source {source[:80]!r} cannot be the begin of ids: give 1 to {MAX_SOURCE_CHARACTERS} characters without"
            " '%', control characters and empty components, such as --source support/2026"
        )
    return source
