"""The page of benchmarks: what a bench printed takes the place of what it printed before.

A block that belongs to a bench is the fenced one below a line `<!-- printed by bench/NAME.py -->`; all else on the page
is written by people and stays.

Belongs here: finding and replacing the block. Not here: running benches (see _run.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lakehouse.errors import BadInput


def with_output(page: str, script: str, lines: Sequence[str]) -> str:
    """The page with the lines that `bench/<script>.py` printed; unchanged where it has no block of that bench.

    Raises:
        BadInput: The mark is there, but no closed block follows it, or the lines would close the block.
    """
    mark = f"<!-- printed by bench/{script}.py -->"
    if mark not in page:
        return page
    if any(line.startswith("```") for line in lines):
        raise BadInput(f"bench/{script}.py printed a line of three backticks, which would end its block on the page")
    block = re.compile(re.escape(mark) + r"\n```\n.*?^```$", re.DOTALL | re.MULTILINE)
    text = "\n".join([mark, "```", *(line.rstrip() for line in lines), "```"])
    found, count = block.subn(lambda _: text, page, count=1)
    if not count:
        raise BadInput(f"below {mark} there must be a block between two lines of three backticks")
    return found
