"""What `/v1/config` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: what the fields mean (see lakehouse/retrieval/search_config.py).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.retrieval.config_store import ConfigVersion
from lakehouse_api.schemas.request_body import RequestBody

_EXAMPLE: dict[str, Any] = {
    "name": "search",
    "version": 3,
    "config_version": "search/3",
    "config": {"k": 10, "mode": "hybrid"},
    "created_at": "2026-01-01T00:00:00Z",
    "by": "primary",
    "note": "wider",
    "is_live": True,
}


class ConfigAnswer(BaseModel):
    """One version of a config, every field with its value."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str = Field(examples=["search"])
    version: int = Field(description="0 is the built-in default.")
    config_version: str = Field(description="As answers name it.", examples=["search/3"])
    config: dict[str, Any]
    created_at: str = ""
    by: str = ""
    note: str = ""
    is_live: bool = False

    @classmethod
    def of(cls, version: ConfigVersion, config: dict[str, Any], *, is_live: bool) -> ConfigAnswer:
        """The answer for a version whose fields have been filled in."""
        named = f"{version.name}/{version.version}"
        return cls(
            name=version.name,
            version=version.version,
            config_version=named,
            config=config,
            created_at=version.created_at,
            by=version.by,
            note=version.note,
            is_live=is_live,
        )


class ConfigList(BaseModel):
    """The live version of every config."""

    model_config = ConfigDict(json_schema_extra={"example": {"configs": [_EXAMPLE]}})

    configs: list[ConfigAnswer]


class ConfigVersions(BaseModel):
    """Every version, newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"versions": [_EXAMPLE]}})

    versions: list[ConfigAnswer]


class ConfigChange(RequestBody):
    """Fields that replace those of the live version (`config`), or an older version to serve again (`version`).

    Fields of `playbook` that are left out keep their values, too; `text_weights` is replaced as a whole.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"config": {"k": 20}, "note": "wider"}})

    config: dict[str, Any] | None = None
    version: int | None = Field(None, ge=0)
    note: str = Field("", max_length=2000)
