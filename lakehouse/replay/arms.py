"""Arms: under what each task is asked, side by side.

An arm is written in YAML as what it changes (arms.yaml shows it), and resolved once, when a batch begins, to whole
configs: a live config that moves meanwhile changes nothing of a batch that goes on.

Belongs here: the file, resolving. Not here: what the fields of configs mean (see lakehouse/answer/config.py,
lakehouse/retrieval/search_config.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from lakehouse.answer.config import ANSWER
from lakehouse.errors import BadInput
from lakehouse.retrieval.config_store import ConfigKind, ConfigVersion
from lakehouse.retrieval.search_config import SEARCH
from lakehouse.yaml_lines import Faults, Located, read_document

MOST_ARMS = 12
CURRENT, PROPOSED = "current", "proposed"
"""The arms that try a proposal: what serves, and that with the change."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SWITCHES = ("retrieval", "playbook", "pathway")
_VERSIONS = ("answer_version", "search_version")
_OPTIONAL = (*_SWITCHES, "model", "answer", "search", *_VERSIONS)
VersionOf = Callable[[str, int | None], ConfigVersion]
"""A version of a config by its name; None: the live one."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What an arm changes.

    Attributes:
        name: As rows name it.
        retrieval: Whether corpora are searched at all.
        playbook: Whether playbooks have a say.
        pathway: Whether traces are shown.
        answer: Fields of the answer config.
        search: Fields of the search config.
        answer_version: The version that they stand over; None: the live one.
        search_version: Likewise.
    """

    name: str
    retrieval: bool = True
    playbook: bool = True
    pathway: bool = False
    answer: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    answer_version: int | None = None
    search_version: int | None = None


@dataclass(frozen=True, slots=True)
class ArmsFile:
    """Arms, and the one that the others are held against."""

    baseline: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class ResolvedArm:
    """An arm with its configs as they were when the batch began.

    Attributes:
        config_version: As rows name it: `answer/4+search/2`; a config with changes of the arm's own has
            `~` and a hash of the whole behind it.
    """

    name: str
    retrieval: bool
    playbook: bool
    pathway: bool
    answer: Mapping[str, Any]
    search: Mapping[str, Any]
    config_version: str

    @property
    def switches(self) -> tuple[bool, bool, bool]:
        """What is no config."""
        return self.retrieval, self.playbook, self.pathway

    def check(self) -> None:
        """Whether the configs are still such that this program takes them.

        Raises:
            BadInput: Naming the arm and the field.
        """
        for kind, document in ((ANSWER, self.answer), (SEARCH, self.search)):
            try:
                kind.read(document)
            except BadInput as error:
                raise BadInput(
                    f"the {kind.name} config of arm {self.name!r} is no longer valid: {error.detail}; nothing was"
                    " changed, write the arm anew"
                ) from None

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return asdict(self)


@cache
def default_arms() -> ArmsFile:
    """The arms of arms.yaml."""
    return read_arms(files("lakehouse.replay").joinpath("arms.yaml").read_text("utf-8"), name="arms.yaml")


def read_arms(text: str, *, name: str) -> ArmsFile:
    """Read a file of arms.

    Args:
        text: YAML: `version` (1), `baseline`, `arms`.
        name: What the file is called in messages.

    Raises:
        BadInput: Anything in it is wrong; the message has a line for each, the field `line` is the first one's.
    """
    faults = Faults()
    document = read_document(text, name=name).members(required=("version", "baseline", "arms"), faults=faults)
    with faults.gathered():
        document["version"].one_of(("1",))
    places: list[Located] = faults.read(lambda: _places(document["arms"]), [])
    arms: list[Arm] = []
    for place in places:
        with faults.gathered():
            arms.append(_arm(place, arms, faults))
    baseline = arms[0].name if arms else ""
    if len(arms) == len(places) > 0:  # one whose name could not be read may be meant
        baseline = faults.read(lambda: document["baseline"].one_of([arm.name for arm in arms]), baseline)
    faults.tell()
    return ArmsFile(baseline, tuple(arms))


def resolve(arm: Arm, version_of: VersionOf) -> ResolvedArm:
    """An arm with whole configs.

    Raises:
        BadInput: A field does not fit, or the version under it no longer does.
        NotFound: There is no such version.
    """
    answer, answer_name = _resolved(ANSWER, arm.answer, version_of(ANSWER.name, arm.answer_version))
    search, search_name = _resolved(SEARCH, arm.search, version_of(SEARCH.name, arm.search_version))
    version = f"{answer_name}+{search_name}" if arm.retrieval else answer_name
    return ResolvedArm(arm.name, arm.retrieval, arm.playbook, arm.pathway, answer, search, version)


def searched_corpora(named: Iterable[str], arms: Iterable[ResolvedArm]) -> frozenset[str]:
    """The corpora that tasks name, and those that arms search in their place."""
    asked = frozenset(named)
    searched = {one for arm in arms if arm.retrieval for one in ANSWER.read(arm.answer).searched(asked)}
    return asked | searched


def read_resolved(document: Mapping[str, Any]) -> ResolvedArm:
    """An arm of a stored batch.

    Raises:
        KeyError, TypeError: It is none.
    """
    return ResolvedArm(**{name: document[name] for name in ResolvedArm.__dataclass_fields__})


def _resolved(kind: ConfigKind[Any], changes: Mapping[str, Any], over: ConfigVersion) -> tuple[dict[str, Any], str]:
    try:
        base = kind.read(over.document)
        document = kind.parse(dict(changes), base).to_document()
    except BadInput as error:
        raise BadInput(f"{kind.version_name(over.version)}, under an arm: {error.detail}") from None
    name = kind.version_name(over.version)
    if document != base.to_document():
        name += "~" + hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    return document, name


def _places(listed: Located) -> list[Located]:
    places = listed.items()
    if len(places) > MOST_ARMS:
        places[MOST_ARMS].refuse(f"there are {len(places)} arms; at most {MOST_ARMS} are possible")
    return places


def _arm(place: Located, above: Sequence[Arm], faults: Faults) -> Arm:
    fields = place.members(required=("name",), optional=_OPTIONAL, faults=faults)
    name = fields["name"].scalar()
    with faults.gathered():
        if _NAME.fullmatch(name) is None:
            fields["name"].refuse(f"{name!r} is not a name of an arm; write it like wide_search")
        if any(arm.name == name for arm in above):
            fields["name"].refuse(f"{name!r} is the name of an arm above")
    switches: dict[str, bool] = {}
    for one in (one for one in _SWITCHES if one in fields):
        with faults.gathered():
            switches[one] = fields[one].one_of(("true", "false")) == "true"
    answer: dict[str, Any] = faults.read(lambda: _config(fields.get("answer"), ANSWER), {})
    search: dict[str, Any] = faults.read(lambda: _config(fields.get("search"), SEARCH), {})
    with faults.gathered():
        if "model" in fields:
            if "model" in answer:
                fields["model"].refuse("the model stands twice, here and under answer")
            answer["model"] = fields["model"].scalar()
    versions: dict[str, int] = {}
    for one in (one for one in _VERSIONS if one in fields):
        with faults.gathered():
            versions[one] = _version(fields[one])
    return Arm(name, **switches, answer=answer, search=search, **versions)  # type: ignore[arg-type]


def _config(place: Located | None, kind: ConfigKind[Any]) -> dict[str, Any]:
    if place is None:
        return {}
    value = place.value()
    if not isinstance(value, dict):
        place.refuse(f"must be fields of the {kind.name} config, by name")
    try:
        kind.parse(value, kind.default)
    except BadInput as error:
        place.refuse(error.detail)
    return value


def _version(place: Located) -> int:
    text = place.scalar()
    if not text.isdecimal():
        place.refuse(f"{text!r} is not a version of a config; write its number")
    return int(text)
