"""The versioned answer config: the prompt and its numbers, and the version that answers name.

Stored as `config/answer/<n>.json`; version 0 is the built-in default (CONTRACTS.md section 7).

Belongs here: the fields with their ranges, parsing. Not here: the bucket (see lakehouse/retrieval/config_store.py),
what retrieval runs on (see lakehouse/retrieval/search_config.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from lakehouse.errors import BadInput
from lakehouse.retrieval.config_store import ConfigKind
from lakehouse.retrieval.live_table import is_table_name

NAME = "answer"
WithoutContext = Literal["abstain", "ask"]
_MAX_TEXT = 4000
_MAX_MODEL = 200
_MOST_CORPORA = 64
_SYSTEM = (
    "Answer in one short sentence from the records. Name the person and the id. If the records do not say it, answer:"
    " I do not know."
)
_ABSTENTION = "I do not know: no records were found for this task, so nobody can be named."


@dataclass(frozen=True, slots=True)
class AnswerConfig:
    """What an answer does where the request says nothing.

    Attributes:
        system: The system prompt.
        k: Results that are asked of retrieval.
        pathway_k: Traces that are asked of pathway memory, where a request wants them.
        pathway_similarity: Least cosine of a trace to the task; others are not shown.
        budget_tokens: Most tokens of the whole prompt.
        max_tokens: Most tokens of the answer.
        temperature: Of the model.
        model: Asked where the request names none; empty: the platform's default.
        without_context: `abstain` says `abstention` when nothing was retrieved, and asks no model; `ask` asks one.
        abstention: What is said then.
        corpora: By the corpus that a request names, the one that is searched in its place: the same rows under another
            embedder, say. It is looked up once, so that two may change places.
    """

    system: str = _SYSTEM
    k: int = 3
    pathway_k: int = 2
    pathway_similarity: float = 0.3
    budget_tokens: int = 600
    max_tokens: int = 160
    temperature: float = 0.0
    model: str = ""
    without_context: WithoutContext = "abstain"
    abstention: str = _ABSTENTION
    corpora: Mapping[str, str] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """The JSON document of these settings."""
        return asdict(self)

    def searched(self, corpora: Iterable[str]) -> list[str]:
        """The corpora that are searched where a request names these, each once."""
        return list(dict.fromkeys(self.corpora.get(name, name) for name in corpora))


# Field: lowest, highest, whether it must be whole.
_RANGES: dict[str, tuple[float, float, bool]] = {
    "k": (1, 100, True),
    "pathway_k": (1, 100, True),
    "pathway_similarity": (-1, 1, False),
    "budget_tokens": (64, 1_000_000, True),
    "max_tokens": (1, 100_000, True),
    "temperature": (0, 2, False),
}
_TEXTS = ("system", "abstention")


def parse_answer_config(document: object, base: AnswerConfig = AnswerConfig()) -> AnswerConfig:
    """Read a config document; a field that is left out is that of `base`.

    Raises:
        BadInput: Naming the field that is unknown, of another type or out of range.
    """
    if not isinstance(document, Mapping):
        raise BadInput("config must be an object", field="config")
    known = set(AnswerConfig.__dataclass_fields__)
    values: dict[str, Any] = {}
    for name, value in document.items():
        if name not in known:
            raise BadInput(f"config has no field {str(name)[:60]!r}; there are {', '.join(sorted(known))}")
        values[name] = _checked(name, value)
    return replace(base, **values)


def _checked(name: str, value: Any) -> Any:
    if name in _TEXTS:
        if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
            raise BadInput(f"{name} must be a text of at most {_MAX_TEXT} characters", field=name)
        return value
    if name == "model":
        if not isinstance(value, str) or len(value) > _MAX_MODEL or value != value.strip():
            raise BadInput(f"model must be a model's name of at most {_MAX_MODEL} characters, or empty", field=name)
        return value
    if name == "without_context":
        if value not in get_args(WithoutContext):
            raise BadInput(f"without_context must be one of {', '.join(get_args(WithoutContext))}", field=name)
        return value
    if name == "corpora":
        return _corpora(value)
    low, high, is_whole = _RANGES[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not is_number or (is_whole and value != int(value)):
        kind = "a whole number" if is_whole else "a number"
        raise BadInput(f"{name} must be {kind} from {low:g} to {high:g}", field=name)
    return int(value) if is_whole else float(value)


def _corpora(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > _MOST_CORPORA:
        raise BadInput(f"corpora must be an object of at most {_MOST_CORPORA} corpora by name", field="corpora")
    for asked, searched in value.items():
        if not all(isinstance(one, str) and is_table_name(one) for one in (asked, searched)) or asked == searched:
            raise BadInput(
                f"corpora.{str(asked)[:60]} must be the name of another corpus, which is searched in its place",
                field="corpora",
            )
    return dict(value)


ANSWER = ConfigKind(NAME, AnswerConfig(), parse_answer_config)
"""The answer config among others."""
