"""What a chat provider is to the service.

Belongs here: the Protocol. Not here: providers (see lakehouse/adapters/llama_cpp.py, openai_chat.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol


class ChatProvider(Protocol):
    """Answers chat completions in OpenAI's form, whatever speaks behind it."""

    @property
    def is_configured(self) -> bool:
        """False when it lacks what it needs, such as a key."""

    @property
    def missing(self) -> str:
        """What it lacks, for the user; empty when it is configured."""

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One answer to a body of OpenAI's form, in OpenAI's form.

        Raises:
            BadInput: The request cannot be answered by this model as it is.
            ProviderFailed: The provider refused or failed, with its status.
            TimedOut: It did not answer in time.
            Unavailable: Its own queue is full, or it lacks its model.
        """

    def stream(self, body: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The same in chunks of OpenAI's form; raises while it is iterated."""

    async def count_prompt(self, messages: Sequence[Mapping[str, Any]]) -> int | None:
        """Tokens of a prompt with its template; None when only the provider's own usage says it, afterwards."""

    async def models(self) -> Sequence[str]:
        """Names of the models that it has; a quick call, with errors as `complete`."""

    async def close(self) -> None:
        """Give back what it holds."""
