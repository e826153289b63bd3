"""Whether two contents say the same: the junk that fills a memory is what it knows already in slightly other words.

Embeddings hardly tell `worker 1017` from `worker 1018`, or `do` from `do not`, and one word of twenty may be the trade
that is looked for. So the words decide, in their order: equal are contents whose fields have the same names and say the
same but for case, punctuation, inflection and words that carry nothing. Paraphrases stay apart.

Belongs here: the rule. Not here: what becomes of it (see desk.py).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from lakehouse.retrieval.tokens import stem

# Not among them: what turns a meaning around (no, not, or, before, after, more), places and relations (in, on, by).
FILLERS = frozenset(
    """
    a an the this that these those it its to of and is are was were be been being will would shall do does did has have
    had please also just then now so very really quite simply basically actually kindly well here there
    """.split()  # noqa: SIM905 - words to read, not items to count
)
_TOKEN = re.compile(r"[-+−]?\d+(?:[.,:/]\d+)*%?|[^\W\d_]+(?:'[^\W\d_]+)*")


def wording_of(canonical: str) -> bytes:
    """A digest of what a content says: equal ones say the same.

    Args:
        canonical: The JSON document with its keys in order.
    """
    folded = canonical.casefold().replace("’", "'")
    said = " ".join(filter(None, map(_said, _TOKEN.findall(folded))))
    # A document of fillers alone says what they say.
    return hashlib.sha256((said or folded).encode()).digest()


@lru_cache(maxsize=1 << 16)
def _said(word: str) -> str:
    """What a word says; nothing for a filler."""
    return "" if word in FILLERS else stem(word)
