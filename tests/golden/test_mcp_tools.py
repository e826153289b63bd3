"""The list of tools at `/mcp`, byte for byte: what language models are told, and what clients generate code from.

`python -m tests.golden.test_mcp_tools` writes the file anew, for a change that is meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lakehouse_api.app  # noqa: F401 - a tool is a route, and the application is what declares them

GOLDEN = Path(__file__).with_name("mcp_tools.json")


def rendered() -> str:
    from lakehouse_api.mcp.server import listed_tools  # loads the SDK, which no collection needs

    document: dict[str, Any] = listed_tools().model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(document["tools"], indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def test_tools_are_listed_as_before() -> None:
    assert rendered() == GOLDEN.read_text(), "if the change is meant: python -m tests.golden.test_mcp_tools"


def test_every_field_of_a_tool_is_described() -> None:
    for tool in json.loads(GOLDEN.read_text()):
        assert tool["inputSchema"]["type"] == tool["outputSchema"]["type"] == "object", tool["name"]
        assert tool["inputSchema"]["additionalProperties"] is False, tool["name"]
        assert tool["inputSchema"]["examples"], tool["name"]
        assert "$ref" not in json.dumps(tool), tool["name"]
        assert 100 < len(tool["description"]) < 1000, tool["name"]


if __name__ == "__main__":
    GOLDEN.write_text(rendered())
