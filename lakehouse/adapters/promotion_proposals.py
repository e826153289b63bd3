"""Proposals in the bucket: `replay/proposals/<id>.json`, written once, and the arms that try them.

Belongs here: keeping them. Not here: what is proposed (see lakehouse/promotion/proposals.py), making one live (see
promotion.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.adapters.chat_providers import open_providers
from lakehouse.adapters.lance_tables import list_tables
from lakehouse.adapters.promotion_evidence import JudgedRuns
from lakehouse.adapters.replay_store import JSON
from lakehouse.answer.config import ANSWER
from lakehouse.errors import BadInput, NotFound, PreconditionFailed
from lakehouse.promotion.proposals import Proposal, Serving, propose, twins_of
from lakehouse.promotion.split import question_key
from lakehouse.replay.arms import CURRENT, PROPOSED, Arm
from lakehouse.replay.batch import PREFIX
from lakehouse.replay.task import ReplayTask
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.retrieval.corpus_info import KIND
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.search_config import SEARCH
from lakehouse.storage.objects import ObjectStore, list_all

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3Location
    from lakehouse.settings import Settings

FORMAT_VERSION = 1
PROPOSALS = f"{PREFIX}proposals/"


class Proposals:
    """The proposals of one bucket.

    Args:
        settings: Which model is the default one.
        objects: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
    """

    def __init__(self, settings: Settings, objects: ObjectStore, location: S3Location, *, work_dir: Path) -> None:
        self._settings = settings
        self._objects = objects
        self._runs = JudgedRuns(objects, location, work_dir=work_dir)
        self._configs = ConfigStore(objects)

    def propose(self) -> list[Proposal]:
        """Look at what was judged, and keep what could be better; gives what is new."""
        serving = self._serving()
        prompts = {v.version: str(v.document.get("system", "")) for v in self._configs.versions(ANSWER.name)}
        prompts = {number: text for number, text in prompts.items() if text} | {0: ANSWER.default.system}
        new = []
        for proposal in propose(self._runs.observed(), serving, prompts=prompts):
            body = orjson.dumps(proposal.to_document() | {"format_version": FORMAT_VERSION})
            try:
                self._objects.put(f"{PROPOSALS}{proposal.proposal_id}.json", body, if_absent=True, content_type=JSON)
            except PreconditionFailed:
                continue
            new.append(proposal)
        return new

    def all(self) -> list[Proposal]:
        """All proposals, by id."""
        return [
            self.get(info.key.rpartition("/")[2].removesuffix(".json")) for info in list_all(self._objects, PROPOSALS)
        ]

    def get(self, proposal_id: str) -> Proposal:
        """A proposal.

        Raises:
            NotFound: There is none.
            BadInput: It is damaged.
        """
        return _read(self._objects, proposal_id)

    def over(self) -> str:
        """The versions that serve, as proposals name them."""
        return self._serving().over

    def _serving(self) -> Serving:
        answer, search = self._configs.live(ANSWER.name), self._configs.live(SEARCH.name)
        corpora = self._corpora()
        return Serving(
            ANSWER.read(answer.document).to_document(),
            SEARCH.read(search.document).to_document(),
            answer.version,
            f"{ANSWER.version_name(answer.version)}+{SEARCH.version_name(search.version)}",
            self._settings.chat_model or open_providers(self._settings)[1],
            {name: str(info.get("embedder")) for name, info in corpora.items()},
            twins_of(corpora),
        )

    def _corpora(self) -> dict[str, Mapping[str, Any]]:
        """What each corpus says of itself; tables of memory are none."""
        pointers = ((name, LivePointer(self._objects, name).read()) for name in list_tables(self._objects))
        return {name: live.info for name, live in pointers if live is not None and live.info.get("kind") == KIND}

    def arms_of(self, proposal: Proposal) -> tuple[Arm, Arm]:
        """The arms that try a proposal: what serves, and that with the change."""
        return Arm(CURRENT), Arm(PROPOSED, answer=proposal.answer, search=proposal.search)

    def shared_tasks(self, proposal_id: str | None, tasks: Sequence[ReplayTask]) -> int:
        """How many of some tasks a proposal was made of."""
        if proposal_id is None:
            return 0
        made_of = set(self.get(proposal_id).tasks)
        return sum(question_key(task.question) in made_of for task in tasks)


def rivals_of(objects: ObjectStore, proposal_id: str | None) -> int:
    """How many proposals are made over the versions that one is made over, itself among them.

    They share the held-out tasks; the first that is promoted ends their round, for others serve then. One that cannot
    be read may be over any versions.
    """
    if proposal_id is None:
        return 1
    names = {info.key.removeprefix(PROPOSALS).removesuffix(".json") for info in list_all(objects, PROPOSALS)}
    over = {name: _over(objects, name) for name in names | {proposal_id}}
    return sum(None in (one, over[proposal_id]) or one == over[proposal_id] for one in over.values())


def _over(objects: ObjectStore, proposal_id: str) -> str | None:
    try:
        return _read(objects, proposal_id).over
    except (BadInput, NotFound):
        return None


def _read(objects: ObjectStore, proposal_id: str) -> Proposal:
    key = f"{PROPOSALS}{proposal_id}.json"
    try:
        document = orjson.loads(objects.get(key).body)
        values = {name: document[name] for name in Proposal.__dataclass_fields__}
    except NotFound:
        raise NotFound(f"there is no proposal {proposal_id!r}; `lakehouse propose` lists those there are") from None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadInput(f"{key!r} is damaged; delete it, and `lakehouse propose` makes it anew") from None
    return Proposal(**values | {"reasons": tuple(values["reasons"]), "tasks": tuple(values["tasks"])})
