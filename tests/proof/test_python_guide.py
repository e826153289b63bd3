"""The code of docs/guides/python-client.md, run as it is printed, against an API of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import TOKEN, api_process, clean_environ
from tests.retrieving import STATIC

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "python-client.md"


@pytest.mark.slow
def test_code_of_the_guide_works_as_printed(objects: S3ObjectStore, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.M | re.S)
    assert len(blocks) >= 5
    with api_process(objects, tmp_path / "api", **STATIC) as api:
        given = {"LAKEHOUSE_API_PORT": str(api.port), "AUTH_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
            cwd=tmp_path, env=clean_environ() | given, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
