"""The composition of chat: which adapter serves which provider.

Belongs here: constructors and the settings they take. Not here: opening and closing (see chat.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.adapters.chat_providers import open_providers
from lakehouse.adapters.usage_file import UsageFile
from lakehouse.chat.reach import Reach
from lakehouse.chat.routing import route_of
from lakehouse.chat.service import ANY_MODEL, ChatService
from lakehouse.chat.usage import UsageMeter
from lakehouse.clock import utc_now
from lakehouse.errors import NotFound
from lakehouse.settings import PREFIX, SettingsError
from lakehouse.validation.injection import injection_signs
from lakehouse.validation.personal import personal_data
from lakehouse_api.chat import Chat, ChatCalls

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.events import DiskWatch
    from lakehouse.settings import Settings
    from lakehouse_api.metrics import Metrics


def compose_chat(settings: Settings, events: EventLog, disk: DiskWatch, metrics: Metrics) -> Chat:
    """Make the chat side; no model is loaded and no provider asked yet.

    Raises:
        SettingsError: A model of the settings fits no provider.
    """
    providers, embedded = open_providers(settings)
    _check_models(settings, embedded)
    meter = UsageMeter(utc_now)
    calls = ChatCalls(events, disk, metrics)
    service = ChatService(
        providers,
        embedded=(embedded,),
        log=calls,
        meter=meter,
        fallbacks=settings.chat_fallbacks,
        budget_usd=settings.chat_escalation_budget_usd,
        find_markers=lambda text: [*injection_signs(text), *personal_data(text)],
    )
    usage = UsageFile(settings.data_dir / "chat" / "usage.json", meter)
    return Chat(service, Reach(providers), usage, calls, settings.chat_model or embedded)


def _check_models(settings: Settings, embedded: str) -> None:
    named = [("CHAT_MODEL", settings.chat_model)] if settings.chat_model else []
    for model, chain in settings.chat_fallbacks.items():
        named += [("CHAT_FALLBACKS", name) for name in (model, *chain) if name != ANY_MODEL]
    for setting, name in named:
        try:
            route_of(name or "", embedded=(embedded,))
        except NotFound as error:
            raise SettingsError(f"{PREFIX}{setting}: {error.detail}") from None
