"""The formats by name, with what is known of each: how it is planned, read and checked, its source and licence.

Belongs here: the list, what has to be told before a format is imported. Not here: the formats themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lakehouse.errors import BadInput
from lakehouse.trajectories import (
    code_review_bench,
    code_review_counts,
    openai_pairs,
    openhands_index,
    openhands_scores,
    otlp_genai,
    tau_bench,
)
from lakehouse.trajectories.ids import check_source
from lakehouse.trajectories.published import Finding
from lakehouse.trajectories.run import Job, OpenFile, Origin, Plan, Step


@dataclass(frozen=True, slots=True)
class Format:
    """A format of runs.

    Attributes:
        name: As it is typed.
        version: Rises whenever the same file would give other lines.
        plan: What the files of these names are for.
        read: The runs of one job.
        source: Name of the data set where none is given.
        licence: Its licence, where it is a known data set.
        check: Published figures held against their rows, where the format has any.
    """

    name: str
    version: int
    plan: Callable[[Sequence[str]], Plan]
    read: Callable[[Job, Origin, OpenFile], Iterator[Step]]
    source: str
    licence: str | None = None
    check: Callable[[Plan, OpenFile], Iterator[Finding]] | None = None


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("tau_bench", 1, tau_bench.plan, tau_bench.read, "taubench", "MIT"),
        Format(
            "openhands_index", 1, openhands_index.plan, openhands_index.read, "openhands-index", "MIT",
            openhands_scores.check,
        ),
        Format(
            "code_review_bench", 1, code_review_bench.plan, code_review_bench.read, "code-review-bench", "MIT",
            code_review_counts.check,
        ),
        Format("openai_pairs", 1, openai_pairs.plan, openai_pairs.read, "openai-pairs"),
        Format("otlp_genai", 1, otlp_genai.plan, otlp_genai.read, "otlp"),
    )
}  # fmt: skip


def format_of(name: str) -> Format:
    """The format of a name.

    Raises:
        BadInput: There is no such format.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise BadInput(f"format {name!r} is unknown; formats are {', '.join(sorted(FORMATS))}") from None


def origin_of(
    of: Format, *, source: str | None, licence: str | None, model: str | None = None, judge: str | None = None
) -> Origin:
    """Where runs of a format come from, as given or as known.

    Raises:
        BadInput: The licence is neither given nor known, or the source cannot begin ids.
    """
    held = licence or of.licence
    if not held:
        raise BadInput(
            f"runs of {of.name} need a licence, or nobody can say later what they may be used for; give its SPDX"
            " identifier, such as --licence MIT, or --licence LicenseRef-internal for your own"
        )
    return Origin(check_source(source or of.source), held, model, judge)
