"""The six chat providers of the settings.

Belongs here: constructors and the settings they take. Not here: the providers (see llama_cpp.py, openai_chat.py).
"""

from __future__ import annotations

from lakehouse.adapters.llama_call import PROVIDER
from lakehouse.adapters.llama_cpp import LlamaCpp
from lakehouse.adapters.openai_chat import OpenAiChat
from lakehouse.chat.provider import ChatProvider
from lakehouse.settings import Settings


def open_providers(settings: Settings) -> tuple[dict[str, ChatProvider], str]:
    """Make every provider, by name, and give the embedded model's name; nothing is loaded or asked yet."""
    embedded = LlamaCpp(
        settings.embedded_model_path,
        parallel=settings.embedded_model_parallel,
        context_tokens=settings.embedded_model_context_tokens,
        threads=settings.embedded_model_threads,
        queue_s=settings.embedded_model_queue_s,
        timeout_s=settings.chat_timeout_s,
    )
    remote = {
        name: OpenAiChat(name, endpoint, timeout_s=settings.chat_timeout_s, attempts=settings.chat_attempts)
        for name, endpoint in settings.chat_providers.items()
    }
    return {PROVIDER: embedded, **remote}, embedded.model_name
