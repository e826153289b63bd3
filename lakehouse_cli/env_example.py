"""`.env.example`: every setting with its default and meaning, written from `Settings` itself.

Belongs here: this rendering. Not here: the settings (see lakehouse/settings.py).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticUndefined

from lakehouse.settings import PREFIX, Settings

_HEAD = """\
# Every setting with its default and meaning. Copy this file to .env and uncomment what you change.
# The environment wins over .env. A wrong value or an unknown name stops the start and is named.
# Written by: lakehouse doctor --write-env-example .env.example
"""


def render_env_example() -> str:
    """The file's text: a comment and a commented-out line for each setting, in the order of the code."""
    lines = [_HEAD]
    own = [name for name in Settings.__annotations__ if name in Settings.model_fields]
    for name in (*own, *(name for name in Settings.model_fields if name not in own)):
        field = Settings.model_fields[name]
        default = field.get_default(call_default_factory=True)
        lines.append(f"# {field.description}\n#{PREFIX}{name.upper()}={_text(default)}\n")
    return "\n".join(lines)


def _text(default: Any) -> str:
    if default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, dict):
        return json.dumps(default) if default else ""
    return str(default)
