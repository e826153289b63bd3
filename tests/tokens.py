"""Tokens files for tests: each token's text is its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def write_tokens_file(path: Path, **scopes: list[str]) -> Path:
    """Write `[{name, token_sha256, scopes}]` with mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {"name": name, "token_sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": given}
        for name, given in scopes.items()
    ]
    path.write_text(json.dumps(entries))
    path.chmod(0o600)
    return path
