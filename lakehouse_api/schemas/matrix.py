"""What `/v1/matrix` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: what they mean (see lakehouse/retrieval), how they are read (see struct_bodies.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

Text = Annotated[str, Meta(min_length=1)]
FILTER = (
    'Of metadata: `{"state": "OH"}`, or `{"rate": {"gte": 20}}` with eq, ne, gt, gte, lt, lte, in, nin, contains,'
    ' exists; joined by `{"and": […]}`, `{"or": […]}`, `{"not": …}`. The error names a field that is not known.'
)


class RelevanceOptions(Struct, forbid_unknown_fields=True, frozen=True):
    """`threshold` is a probability, calibrated per corpus; results below it are dropped and counted."""

    threshold: Annotated[
        float, Meta(ge=0, le=1, description="Where nothing can be judged nothing is dropped: see `unjudged`.")
    ]


class MatrixSearch(Struct, forbid_unknown_fields=True, frozen=True):
    """Several corpora searched together; filters hold before retrieval."""

    query: Annotated[str, Meta(min_length=1, description="What is looked for.")]
    corpora: Annotated[list[Text], Meta(min_length=1, max_length=64, description="Corpora or indexes by name.")]
    k: Annotated[int, Meta(ge=1, le=1000, description="Most results; default: the config's (10).")] | None = None
    per_corpus_k: Annotated[int, Meta(ge=1, le=10_000, description="Candidates of each corpus.")] | None = None
    filter: Annotated[Any, Meta(description=FILTER)] = None
    sql_filter: (
        Annotated[str, Meta(max_length=10_000, description="A boolean SQL expression over the dataset.")] | None
    ) = None
    exclude_ids: Annotated[list[str], Meta(max_length=100_000, description="Never returned.")] = []
    use_playbook: Annotated[Literal["auto"] | bool, Meta(description='"auto" serves a share without, as hold-out.')] = (
        "auto"
    )
    playbook: Annotated[Any, Meta(description="`{top_k, max_distance, boost, half_life_days}` over the config's.")] = (
        None
    )
    mode: Annotated[Literal["vector", "text", "hybrid"], Meta(description="Default: the config's.")] | None = None
    relevance: RelevanceOptions | None = None
    model: Annotated[str, Meta(description="The asking model, for the downgrade gate.")] | None = None
    force_full: Annotated[bool, Meta(description="No downgrade, whatever the model.")] = False
    min_revision: Annotated[str, Meta(description="Wait up to 2 s until this write is visible.")] | None = None


class PlaybookLift(Struct):
    """What playbooks did to a result: their boost (negative sinks it) and the entries it came from."""

    boost: float
    playbook_ids: list[str]


class MatrixResult(Struct):
    """One result; `distance` is null for what vector search did not score."""

    id: str
    corpus: str
    score: float
    distance: float | None
    metadata: Raw
    playbook: PlaybookLift | None


class CorpusCounts(Struct):
    """Candidates of a corpus, how many stayed in the answer, how many the relevance filter or the gate dropped."""

    hits: int
    kept: int
    dropped: int


class Timings(Struct):
    """Milliseconds, and whether the query's embeddings, and the whole answer, came from memory."""

    embed: float
    search: float
    merge: float
    total: float
    embed_cached: bool = False
    answer_cached: bool = False


class MatrixAnswer(Struct):
    """Results, best first. `stale` names corpora whose store did not answer lately: they are as they were."""

    query: str
    results: list[MatrixResult]
    corpora: dict[str, CorpusCounts]
    downgraded: bool
    arm: Literal["playbook", "holdout", "off"]
    config_version: str
    trace_id: str
    timings_ms: Timings
    stale: list[str] = []
    unjudged: Annotated[
        dict[str, str], Meta(description="Corpora of which a relevance threshold could drop nothing, and why.")
    ] = {}


class PlaybookRecord(Struct, forbid_unknown_fields=True, frozen=True):
    """A query and the answer that worked (score up to 1) or failed (down to −1) for it."""

    query: Annotated[str, Meta(min_length=1, max_length=65_536, description="What was looked for.")]
    answer_id: Annotated[str, Meta(min_length=1, max_length=1024, description="The `id` of the result.")]
    answer_corpus: (
        Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,62}$", description="The `corpus` of the result.")] | None
    ) = None
    score: Annotated[float, Meta(ge=-1, le=1, description="1 worked, -1 failed.")] = 1.0
    tags: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=32, description="Kept with it.")] = []
    key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=512,
                description="Of several records under one key the latest counts: sent twice it counts once.",
            ),
        ]
        | None
    ) = None


class PlaybookRecorded(Struct):
    """The entry that holds the record (`merged`: it was there already), and the revision at which it is visible."""

    playbook_id: str
    merged: bool
    revision: str


class PlaybookBulk(Struct, forbid_unknown_fields=True, frozen=True):
    """Many records; each is taken or refused by itself."""

    records: Annotated[list[Raw], Meta(min_length=1, max_length=10_000)]


class PlaybookFeedback(Struct, forbid_unknown_fields=True, frozen=True):
    """A judgement of an entry, −1 to 1."""

    playbook_id: Text
    score: Annotated[float, Meta(ge=-1, le=1)]
