"""The Python of docs/guides/mcp.md, run as it is printed, against an API of its own; its table against the tools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_api.app import create_app  # noqa: F401 - declares the routes that tools are
from lakehouse_api.mcp.tool_table import offered_tools
from tests.api import TOKEN, api_process, clean_environ
from tests.retrieving import STATIC

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "mcp.md").read_text()


def test_code_of_the_guide_works_as_printed(objects: S3ObjectStore, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.M | re.S)
    token = tmp_path / ".lakehouse" / "token"
    token.parent.mkdir()
    token.write_text(f"{TOKEN}\n")
    with api_process(objects, tmp_path / "api", **STATIC) as api:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code.replace("127.0.0.1:8000", f"127.0.0.1:{api.port}")],
            cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    names, _, wrong = done.stdout.splitlines()
    assert "matrix_search" in names
    assert wrong.startswith("True {")
    assert "max_rows" in wrong


def test_table_of_the_guide_names_every_tool_with_its_scopes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|(]+?) (?:\([^|]*\) )?\| ([^|]+) \|$", GUIDE, flags=re.M)
    listed = {
        name: (set(re.findall(r"`(\w+)`", scopes)), changes.startswith("nothing")) for name, scopes, changes in rows
    }
    for tool in offered_tools():
        scopes, changes_nothing = listed.pop(tool.name)
        assert scopes == set(tool.scopes), tool.name
        assert changes_nothing or not tool.is_read_only, tool.name
    assert not listed
