"""Settings of chat; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks, the table of remote providers. Not here: reading them (see
settings.py), what providers are asked (see lakehouse/chat).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from lakehouse.settings_types import Count, Seconds


class ChatEndpoint(BaseModel):
    """An OpenAI-compatible chat provider; `key_env` names the environment variable that holds its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s@?#]+$")
    key_env: str | None = None
    is_key_needed: bool = True
    api_key: SecretStr | None = Field(None, exclude=True)

    def with_key(self, env: Mapping[str, str]) -> ChatEndpoint:
        """The same with the key that its variable holds."""
        key = env.get(self.key_env or "")
        return self.model_copy(update={"api_key": SecretStr(key)}) if key else self


CHAT_ENDPOINTS: Mapping[str, ChatEndpoint] = {
    "ollama": ChatEndpoint(url="http://127.0.0.1:11434/v1", is_key_needed=False),
    "ollama_cloud": ChatEndpoint(url="https://ollama.com/v1", key_env="OLLAMA_API_KEY"),
    "openrouter": ChatEndpoint(url="https://openrouter.ai/api/v1", key_env="OPENROUTER_API_KEY"),
    "opencode": ChatEndpoint(url="https://opencode.ai/zen/v1", key_env="OPENCODE_API_KEY"),
    "kimi": ChatEndpoint(url="https://api.moonshot.ai/v1", key_env="MOONSHOT_API_KEY"),
}
"""The remote providers as their makers run them."""


class ChatSettings(BaseModel):
    """Fields of `Settings`; see `.env.example` for the annotated list."""

    # One setting, one line.
    # fmt: off

    # Chat
    chat_model: str | None = Field(None, min_length=1, description="Model of a chat that names none; unset: the embedded one.")
    chat_providers: dict[str, ChatEndpoint] = Field(default_factory=dict, validate_default=True, description='Other URLs or key variables of remote providers (ollama, ollama_cloud, openrouter, opencode, kimi), as JSON: {"ollama": {"url": "http://gpu:11434/v1"}}.')
    chat_timeout_s: Seconds = Field(120, description="Deadline of one chat with one model, retries included; each of a fall-back chain has its own.")
    chat_attempts: Count = Field(3, description="Tries of one call to a remote provider; only status 429 and 5xx are tried again.")
    chat_fallbacks: dict[str, list[str]] = Field(default_factory=dict, description='Models asked after a model (or "*") has failed, as JSON: {"qwen2.5:3b": ["openrouter/openai/gpt-4o"]}; empty: none.')
    chat_escalation_budget_usd: Annotated[float, Field(ge=0)] = Field(1.0, description="What fall-backs from smaller to frontier models may cost in a day, in US dollars.")
    embedded_model_path: Path | None = Field(None, description="GGUF file of the embedded model; unset: SmolLM2-135M-Instruct, which is installed.")
    embedded_model_parallel: Count = Field(2, description="Chats that the embedded model answers at the same time.")
    embedded_model_context_tokens: Annotated[int, Field(ge=256, le=1_048_576)] = Field(2048, description="Tokens of one chat with the embedded model, its answer included.")
    embedded_model_threads: Count = Field(2, description="Threads of the embedded model.")
    embedded_model_queue_s: Seconds = Field(20, description="Longest wait for the embedded model, then 503.")

    # fmt: on

    @field_validator("chat_providers", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        unknown = sorted(str(name) for name in value if name not in CHAT_ENDPOINTS)
        if unknown:
            raise ValueError(f"there is no provider {', '.join(unknown)}; there are {', '.join(CHAT_ENDPOINTS)}")
        return {name: _changed(endpoint, value.get(name)) for name, endpoint in CHAT_ENDPOINTS.items()}

    @field_validator("embedded_model_path")
    @classmethod
    def _check_model(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_file():
            raise ValueError(f"there is no file {value}")
        return None if value is None else value.expanduser().absolute()


def _changed(endpoint: ChatEndpoint, changes: Any) -> Any:
    if isinstance(changes, ChatEndpoint) or changes is None:
        return changes or endpoint
    return {**endpoint.model_dump(), **changes} if isinstance(changes, Mapping) else changes
