"""What every table on the terminal has in common: its console, how values stand in it, and the column of ids.

Belongs here: how wide they are, and that a value is text and nothing else to the terminal. Not here: what is shown (see
the modules of tables).
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from lakehouse.control_characters import visible

# Rich takes what is no terminal for one of 80 columns, and would cut what a pipe or a file is to have whole.
_PIPE_COLUMNS = 10_000


def output_console() -> Console:
    """Standard output: as wide as the terminal; without one so wide that nothing is wrapped or cut."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    return console


def shown(value: object, *, keeps_lines: bool = False) -> str:
    """A value for a console: no markup, and its control characters escaped."""
    return escape(visible(str(value), keeps_lines=keeps_lines))


def id_column(title: str) -> Column:
    """A column of UUIDs, whole on however narrow a terminal: they are copied into the next command."""
    return Column(title, no_wrap=True, min_width=36)
