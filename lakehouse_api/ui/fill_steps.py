"""What the steps of a fill are made of: the need, the people, the messages, what is remembered in the end.

Belongs here: forms to bodies of routes and back. Not here: the routes (see fill_page.py), rules (see
lakehouse/validation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.masking import masked_metadata, personal_fields
from lakehouse_api.hot_routes import Reply
from lakehouse_api.schemas.chat import ChatCall
from lakehouse_api.ui.dependencies import read_model, whole_number

_MOST = 50
_DRAFT_TOKENS = 160
CHANNELS = ("sms", "email")


@dataclass(frozen=True, slots=True)
class Need:
    """Who is wanted where, as it was typed."""

    text: str
    role: str
    city: str
    state: str
    count: str
    client: str
    corpus: str

    @property
    def target(self) -> int:
        """How many."""
        return whole_number(self.count, "count", least=1, most=_MOST)

    def filter(self) -> dict[str, Any]:
        """What holds of every candidate."""
        places = {"role": self.role, "city": self.city, "state": self.state}
        parts: list[dict[str, Any]] = [{name: value} for name, value in places.items() if value]
        return {"and": [*parts, {"status": "active"}]} if parts else {"status": "active"}

    def context(self) -> dict[str, Any]:
        """What a fill is checked against."""
        context: dict[str, Any] = {
            "target_count": self.target, "role": self.role, "city": self.city, "state": self.state,
        }  # fmt: skip
        return context | ({"client_id": self.client} if self.client else {})


@dataclass(frozen=True, slots=True)
class Person:
    """A candidate as the corpus knows them."""

    id: str
    name: str
    metadata: Mapping[str, Any]


def need_of(form: Mapping[str, Any]) -> Need:
    """The need of a form.

    Raises:
        BadInput: The need is blank, or the count is none.
    """
    names = ("need", "role", "city", "state", "count", "client", "corpus")
    values = [str(form.get(name, "")).strip() for name in names]
    need = Need(*values)
    if not need.text:
        raise BadInput("say who is needed: the need is empty", field="need")
    whole_number(need.count, "count", least=1, most=_MOST)
    return need


def candidate_of(reader: CorpusReader, candidate: str, *, has_pii: bool) -> Person:
    """A candidate by id.

    Raises:
        NotFound: The corpus has none.
    """
    row = reader.row_of(candidate)
    if row is None:
        raise NotFound(f"there is no {candidate[:60]!r} in the corpus {reader.name!r} any longer; search again")
    document = reader.metadata_of(np.array([row], np.int64))[0]
    hidden = frozenset[str]() if has_pii else personal_fields(reader.info)
    metadata = orjson.loads(masked_metadata(document, hidden) if hidden else document)
    return Person(candidate, str(metadata.get("name", "")), metadata)


def draft_call(need: Need, person: Person, channel: str) -> ChatCall:
    """What the model is asked to write."""
    kind = (
        "a text message of at most 300 characters" if _channel(channel) == "sms" else "a short e-mail, its body alone"
    )
    place = ", ".join(part for part in (need.city, need.state) if part)
    said = (
        f"Write {kind} to {person.name or 'the worker'}, asking whether they can work as {need.role or 'a worker'}"
        f" in {place or 'our area'}. The need: {need.text}. Name no pay, no other person and no link. Answer with the"
        " message alone."
    )
    system = {"role": "system", "content": "You write short, friendly and factual messages for a staffing agency."}
    return read_model(
        ChatCall, messages=[system, {"role": "user", "content": said}], max_tokens=_DRAFT_TOKENS, temperature=0
    )


def message_of(need: Need, person: Person, channel: str, body: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A message as the validator takes it: the artifact and its context."""
    context = {"candidate_name": person.name} if person.name else {}
    if _channel(channel) == "sms":
        return {"to": str(person.metadata.get("phone", "")), "body": body}, context
    subject = f"Work as {need.role or 'a worker'}" + (f" in {need.city}" if need.city else "")
    return {"to": str(person.metadata.get("email", "")), "subject": subject, "body": body}, context


def read_verdict(answer: bytes | Reply) -> dict[str, Any]:
    """What a validation said, as a page shows it."""
    if not isinstance(answer, Reply):
        return {"passed": True, "findings": orjson.loads(answer)["findings"], "kind": None, "reason": None}
    (kind, said), *_ = orjson.loads(answer.body).items()
    return {"passed": False, "findings": [], "kind": kind, "reason": said.get("reason"), "field": said.get("field")}


def playbooks_of(need: Need, chosen: Sequence[str], *, is_filled: bool, actor: str) -> Iterator[dict[str, Any]]:
    """What is remembered of each who was proposed; said twice it counts once."""
    for one in chosen:
        said = "\0".join((actor, need.text, need.corpus, one))
        key = f"ui-fill:{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()}"
        yield {
            "query": need.text, "answer_id": one, "answer_corpus": need.corpus, "score": 1.0 if is_filled else -1.0,
            "tags": ["fill"], "key": key,
        }  # fmt: skip


def pathway_of(need: Need, chosen: Sequence[str], *, note: str) -> dict[str, Any]:
    """How it was done, for who has a need like it."""
    place = {"role": need.role, "city": need.city, "state": need.state}
    content = {
        "task": need.text,
        **{name: value for name, value in place.items() if value},
        "steps": [
            f"search {need.corpus} for the need, active ones of the place",
            f"propose {len(chosen)} and validate the fill",
            "draft the outreach, validate it, send it",
            *([note] if note else []),
        ],
    }
    tags = ["fill", *([need.role.lower()[:256]] if need.role else [])]
    return {"content": content, "tags": tags}


def _channel(channel: str) -> str:
    if channel not in CHANNELS:
        raise BadInput(f"channel must be sms or email, not {channel[:20]!r}", field="channel")
    return channel
