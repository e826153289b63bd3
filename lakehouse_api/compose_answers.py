"""The composition of answers: which parts the loop runs through.

Belongs here: constructors. Not here: opening and closing (see answers.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.adapters.name_lists import names_with
from lakehouse.answer.recall import Recalled, recall_traces
from lakehouse.answer.service import AnswerService
from lakehouse_api.answers import AnswerConfigs, Answers, LoggedValidator

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.roster import StoredRoster
    from lakehouse.answer.config import AnswerConfig
    from lakehouse.retrieval.config_store import ConfigStore
    from lakehouse_api.chat import Chat
    from lakehouse_api.live_config import LiveConfig
    from lakehouse_api.pathways import Pathways
    from lakehouse_api.retrieval import Retrieval


def compose_answers(
    retrieval: Retrieval,
    pathways: Pathways,
    chat: Chat,
    *,
    configs: ConfigStore,
    live_config: LiveConfig[AnswerConfig],
    events: EventLog,
    roster: StoredRoster,
) -> Answers:
    """Make the loop over the parts there are."""
    validator = LoggedValidator(events, roster)

    async def recall(task: str, shape: str, config: AnswerConfig, actor: str) -> Recalled:
        pathways.require_memory()
        recalled = await recall_traces(pathways.searcher.search, task, shape, config)
        pathways.recalled.give((record.id for record in recalled.traces[: config.pathway_k]), actor=actor)
        return recalled

    service = AnswerService(
        retrieval.search,
        chat.service,
        validate=validator.validate,
        config=AnswerConfigs(configs, live_config).get,
        signer=retrieval.signer,
        default_model=chat.default_model,
        name_lists=lambda: names_with(roster),
        recall=recall,
    )
    return Answers(service, live_config, validator)
