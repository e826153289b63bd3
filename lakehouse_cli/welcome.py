"""What `lakehouse up` ends with: where things are, what was loaded, three commands to try.

Belongs here: this text. Not here: how it came about (see start.py, sample_load.py).
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal

from lakehouse.client.installation import api_url, token_file
from lakehouse.counted import counted
from lakehouse.settings import Settings
from lakehouse_cli.children import Child
from lakehouse_cli.sample_load import Loaded

_TITLES = {"store": "S3 store", "api": "API", "dagster-webserver": "Dagster"}


def print_welcome(settings: Settings, children: Sequence[Child], loaded: Sequence[Loaded], console: Console) -> None:
    """Print the summary."""
    console.print("\n[bold]Lakehouse is up[/]")
    for child in children:
        if child.url and child.name in _TITLES:
            console.print(f"  {_TITLES[child.name]:<9}{child.url}", soft_wrap=True)
        if child.url and child.name == "api":
            console.print(f"  {'pages':<9}{child.url}/ui", soft_wrap=True)
    for item in loaded:
        what = f"{item.name}: {counted(item.row_count, 'row')}, {decimal(item.size_bytes)} of Parquet"
        how = "already there" if item.seconds is None else f"loaded in {item.seconds:.1f} s"
        console.print(f"  sample   {what}, {how}", soft_wrap=True)
    console.print("\nTry:")
    for command in example_commands(settings, has_sample=bool(loaded)):
        console.print(f"  {command}", soft_wrap=True, markup=False)


def example_commands(settings: Settings, *, has_sample: bool) -> list[str]:
    """Three shell commands that work as printed, from the folder where `up` ran."""
    program = shlex.quote(_program())
    token = shlex.quote(str(_relative(token_file(settings))))
    bearer = f'curl -H "Authorization: Bearer $(cat {token})" {api_url(settings)}/v1/catalog'
    if not has_sample:
        return [f"{program} status", f"{program} sample workers --rows 1000 --out workers.csv", bearer]
    query = "SELECT role, count(*) AS workers, round(avg(hourly_rate), 2) AS rate FROM workers GROUP BY ALL ORDER BY 2"
    return [f'{program} sql "{query}"', f"{program} datasets workers", bearer]


def _program() -> str:
    if shutil.which("lakehouse"):
        return "lakehouse"
    return str(_relative(Path(sys.executable).with_name("lakehouse")))


def _relative(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
