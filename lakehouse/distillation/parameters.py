"""What a corpus is made by: kind, which runs, limits, splits, gates; canonical as JSON, so that it can be hashed.

Belongs here: the parameters with their checks and defaults. Not here: the gates that use them, where builds are
started.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal, TypeAlias, get_args

from lakehouse.distillation.parameter_types import wanted_type
from lakehouse.errors import BadInput
from lakehouse.retrieval.chunking import Chunking

Kind: TypeAlias = Literal["sft", "preference", "rag"]
Floor: TypeAlias = Literal["accepted", "partially_accepted"]
Split: TypeAlias = Literal["train", "valid", "test"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPLITS: tuple[Split, ...] = get_args(Split)
DEFAULTS: dict[Kind, dict[str, Any]] = {
    "sft": {},
    "preference": {"limit_per_task": 8},
    "rag": {"split_shares": (1.0, 0.0, 0.0), "max_tokens": 512},
}
"""Where a kind's defaults are not those of `CorpusParameters`."""
_DATES = ("date_from", "date_to")
_TUPLES = ("sources", "licences", "entities", "split_shares")


@dataclass(frozen=True, slots=True)
class CorpusParameters:
    """The parameters of a build.

    Attributes:
        kind: What is built.
        score_floor: The least score of what is preferred; `sft` and `rag` take accepted runs only.
        sources: Names of streams, or of sources as records name them; empty: all.
        date_from: The first day (of `scored.dt`), or None.
        date_to: The last day, or None.
        max_tokens: The most tokens of a sample (of a chunk, for `rag`), by `estimate_tokens`.
        split_shares: Of train, valid and test; they add up to 1.
        seed: Which clusters fall into which split.
        is_scrubbed: Whether personal data is replaced; where it is not, samples keep it.
        near_duplicate: From this likeness (0.5 to 1, Jaccard of word triples) on a sample is dropped; None: never.
        leakage: From this likeness to a held-out sample on no sample trains.
        limit_per_task: The most samples of one task, or None.
        own_licence: The licence of what the platform logged itself; None: it is not used.
        licences: The licences that may be used; empty: any that is named.
        entities: What must not span two splits: `task_id`, or members of a record's metadata.
        chunk_tokens: The length of a chunk of `rag`.
        chunk_overlap: How much of one chunk the next repeats.
    """

    kind: Kind
    score_floor: Floor = "accepted"
    sources: tuple[str, ...] = ()
    date_from: date | None = None
    date_to: date | None = None
    max_tokens: int = 16_384
    split_shares: tuple[float, float, float] = (0.9, 0.05, 0.05)
    seed: int = 0
    is_scrubbed: bool = True
    near_duplicate: float | None = 0.85
    leakage: float = 0.7
    limit_per_task: int | None = None
    own_licence: str | None = "proprietary"
    licences: tuple[str, ...] = ()
    entities: tuple[str, ...] = ("task_id", "user", "user_id")
    chunk_tokens: int = 200
    chunk_overlap: int = 40

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            wanted = wanted_type(name, getattr(self, name))
            _require(wanted is None, name, repr(getattr(self, name)), str(wanted))
        _require(self.kind in KINDS, "kind", f"{self.kind!r}", f"one of {', '.join(KINDS)}")
        _require(
            self.score_floor in get_args(Floor), "score_floor", f"{self.score_floor!r}", " or ".join(get_args(Floor))
        )
        _require(
            self.kind == "preference" or self.score_floor == "accepted",
            "score_floor", self.score_floor, f"accepted: {self.kind} takes accepted runs only",
        )  # fmt: skip
        _require(self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        _require(
            len(self.split_shares) == len(SPLITS)
            and all(0 <= share <= 1 for share in self.split_shares)
            and math.isclose(sum(self.split_shares), 1, abs_tol=1e-9),
            "split_shares", self.split_shares, "three shares of 0 to 1 (train, valid, test) that add up to 1",
        )  # fmt: skip
        _require(-(2**63) <= self.seed < 2**63, "seed", self.seed, "a whole number of 64 bits")
        for name in ("near_duplicate", "leakage"):
            value = getattr(self, name)
            _require(value is None or 0.5 <= value <= 1, name, value, "0.5 to 1")
        _require(
            self.limit_per_task is None or self.limit_per_task >= 1, "limit_per_task", self.limit_per_task, "at least 1"
        )
        _require(
            self.date_from is None or self.date_to is None or self.date_from <= self.date_to,
            "date_to", self.date_to, f"not before date_from ({self.date_from})",
        )  # fmt: skip
        for name in ("sources", "licences"):  # their order means nothing
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        self.chunking()

    def chunking(self) -> Chunking:
        """How outputs are cut for `rag`."""
        return Chunking(self.chunk_tokens, self.chunk_overlap, "tokens")

    def to_document(self) -> dict[str, Any]:
        """As JSON values, as a manifest holds them."""
        return {
            name: value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def corpus_parameters(kind: Kind, **given: Any) -> CorpusParameters:
    """Parameters with the defaults of a kind.

    Raises:
        BadInput: A parameter is unknown or out of range; names it and says what it may be.
    """
    known = {field.name for field in fields(CorpusParameters)}
    for name in given:
        _require(name in known, name, "no parameter", f"one of {', '.join(sorted(known))}")
    return CorpusParameters(kind=kind, **{**(DEFAULTS[kind] if kind in KINDS else {}), **given})


def read_parameters(document: Mapping[str, Any]) -> CorpusParameters:
    """Parameters from JSON values; what is left out takes the kind's default.

    Raises:
        BadInput: As `corpus_parameters`; a date is none.
    """
    given = dict(document)
    kind = given.pop("kind", None)
    for name in _DATES:
        if given.get(name) is not None:
            given[name] = _date(name, given[name])
    for name in _TUPLES:
        if name in given:
            _require(isinstance(given[name], list | tuple), name, repr(given[name]), "a list")
            given[name] = tuple(given[name])
    return corpus_parameters(kind, **given)


def _date(name: str, value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadInput(
            f"corpus parameter {name} is {value!r}; it must be a day as YYYY-MM-DD", parameter=name
        ) from None


def _require(is_met: bool, name: str, value: object, wanted: str) -> None:
    if not is_met:
        raise BadInput(f"corpus parameter {name} is {value}; it must be {wanted}", parameter=name)
