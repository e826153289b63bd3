"""Settings of retrieval and of the memory log; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from lakehouse.settings_types import GIB, MIB, Bytes, Count, Seconds, Share

_DECLARATIONS = Path("corpora")


class EmbeddingEndpoint(BaseModel):
    """An OpenAI-compatible embedding endpoint; `key_env` names the environment variable that holds its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    model: str = Field(min_length=1)
    dimension: int = Field(ge=1, le=8192)
    key_env: str | None = None
    api_key: SecretStr | None = Field(None, exclude=True)

    def with_key(self, env: Mapping[str, str]) -> EmbeddingEndpoint:
        """The same with the key that its variable holds."""
        key = env.get(self.key_env or "")
        return self.model_copy(update={"api_key": SecretStr(key)}) if key else self


class RetrievalSettings(BaseModel):
    """Fields of `Settings`; see `.env.example` for the annotated list."""

    # One setting, one line.
    # fmt: off

    # Retrieval
    default_embedder: str = Field("minilm", min_length=1, description="Embedder of an index that names none: minilm, static, or an endpoint's name.")
    playbook_embedder: str = Field("minilm", min_length=1, description="Embedder of playbook queries.")
    pathway_embedder: str = Field("minilm", min_length=1, description="Embedder of pathway contents.")
    embedding_endpoints: dict[str, EmbeddingEndpoint] = Field(default_factory=dict, description='OpenAI-compatible endpoints by name, as JSON: {"nomic": {"url": "http://127.0.0.1:11434/v1", "model": "nomic-embed-text", "dimension": 768}}.')
    embedding_timeout_s: Seconds = Field(30, description="Deadline of one call to an embedding endpoint.")
    embedding_threads: Count = Field(2, description="Threads that embed.")
    embedding_cache_entries: Count = Field(20_000, description="Embeddings of queries kept in memory, per embedder.")
    embedding_cache_bytes: Bytes = Field(64 * MIB, description="What these may take, per embedder; the least recently used go first.")
    answer_cache_bytes: Bytes = Field(64 * MIB, description="What whole answers of searches may take that are kept, for seconds, for the next that ask the same; the least recently used go first.")
    corpora_dir: Path = Field(_DECLARATIONS, description="Folder of the corpus declarations (YAML), from where a process is started; the command reads it, and Dagster makes its assets of it when it loads the code location.")
    index_memory_bytes: Bytes = Field(2 * GIB, description="Memory for hot indexes; a corpus that does not fit is served by its Lance index.")
    search_log_share: Share = Field(1.0, description="Share of searches that are logged.")
    holdout_share: Share = Field(0.05, description='Share of searches with use_playbook "auto" that are served without playbooks, to measure their lift.')
    trace_key: SecretStr | None = Field(None, description="Key that signs trace ids, the same on every machine of one bucket; unset: one is made in the data folder.")

    # Memory log
    memory_poll_s: Annotated[float, Field(gt=0, le=1.5)] = Field(0.5, description="How often other processes' memory and index changes are looked for.")
    memory_fold_s: Seconds = Field(60, description="How often acknowledged memory is folded into Lance.")

    # fmt: on

    @field_validator("corpora_dir")
    @classmethod
    def _check_declarations(cls, value: Path) -> Path:
        if value == _DECLARATIONS:
            return value  # who has no corpora names none
        absolute = value.expanduser().absolute()
        if not absolute.is_dir():
            raise ValueError(f"there is no folder {value}")
        return absolute
