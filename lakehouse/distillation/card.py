"""The dataset card of a build: front matter as the Hugging Face Hub reads it, tables, the plots beside it.

Belongs here: the card's text. Not here: how a build is loaded and checked (see card_use.py), writing it (see
lakehouse/adapters/distill_card.py). Source: Hugging Face Hub,
"Dataset Cards" and "Manual configuration" (metadata `configs` with `data_files` by split).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import orjson

from lakehouse.distillation.card_use import checking_section, loading_section
from lakehouse.distillation.manifest import BuildCounts, BuildInputs
from lakehouse.distillation.parameters import SPLITS, CorpusParameters
from lakehouse.distillation.refusal import GATES

_HUB_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
_HUB_LICENCES = {
    "MIT": "mit", "Apache-2.0": "apache-2.0", "CC-BY-4.0": "cc-by-4.0", "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-SA-3.0": "cc-by-sa-3.0", "CC0-1.0": "cc0-1.0", "BSD-3-Clause": "bsd-3-clause",
    "BSD-2-Clause": "bsd-2-clause", "CC-BY-NC-4.0": "cc-by-nc-4.0", "ODC-By-1.0": "odc-by",
}  # fmt: skip
_CONFIGS = {
    "sft": (("default", "trl/{}.parquet"),),
    "preference": (("pairs", "trl/pairs-{}.parquet"), ("labels", "trl/labels-{}.parquet")),
    "rag": (("default", "chunks/{}.parquet"),),
}
_TITLES = {
    "sft": "Accepted runs for supervised fine-tuning",
    "preference": "Preferences and labelled answers",
    "rag": "Accepted answers in chunks for retrieval",
}
_GATE_MEANING = {
    "shape": "no conversation that trainers take",
    "licence": "no licence, no source, or a licence that is not allowed",
    "personal": "personal data that cannot be cut out",
    "length": "longer than `max_tokens`",
    "exact_duplicate": "the same as another but for blanks and case, or labelled both ways",
    "near_duplicate": "nearly the same as another",
    "task_limit": "more than `limit_per_task` of one task",
    "leakage": "a training sample with a near twin that is held out",
}
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)  # fmt: skip
PLOTS = {"lengths": "Lengths", "verdicts": "Verdicts", "sources": "Sources"}


def dataset_card(
    build_id: str,
    parameters: CorpusParameters,
    inputs: BuildInputs,
    counts: BuildCounts,
    files: Mapping[str, int | None],
) -> str:
    """The card.

    Args:
        build_id: The build's.
        parameters: The build's.
        inputs: What it was made of.
        counts: Its accounts.
        files: Rows of each training file, by name.
    """
    return "\n".join(
        [
            *_front_matter(parameters, counts, files),
            f"# {_TITLES[parameters.kind]}",
            "",
            _summary(build_id, inputs, counts),
            "",
            *_table(
                ("file", "rows"), [(f"`{name}`", "" if rows is None else str(rows)) for name, rows in files.items()]
            ),
            *loading_section(parameters.kind),
            *checking_section(parameters.kind),
            "## Splits",
            "",
            "No task, user or family of alike samples stands in two splits.",
            "",
            *_table(("split", "samples"), [(split, str(counts.by_split.get(split, 0))) for split in SPLITS]),
            *_counted("Sources", "source", counts.by_source),
            *_counted("Licences", "licence", counts.by_licence),
            *_counted("Verdicts", "score", counts.by_verdict),
            *(_counted("Reasons of pairs", "reason", counts.by_reason) if parameters.kind == "preference" else ()),
            "## Gates",
            "",
            *_table(
                ("gate", "taken out", "what"),
                [(f"`{gate}`", str(counts.by_gate.get(gate, 0)), _GATE_MEANING[gate]) for gate in GATES],
            ),
            *_personal(parameters, counts),
            "## Parameters",
            "",
            *_table(
                ("parameter", "value"),
                [(f"`{k}`", f"`{orjson.dumps(v).decode()}`") for k, v in parameters.to_document().items()],
            ),
            *(line for name, title in PLOTS.items() for line in (f"![{title}](plots/{name}.png)", "")),
        ]
    )


def _summary(build_id: str, inputs: BuildInputs, counts: BuildCounts) -> str:
    rules = ", ".join(inputs.rules_versions) or "unknown"
    return (
        f"Build `{build_id}`: {counts.samples} samples of {counts.candidates} candidates, made of {inputs.runs} runs"
        f" (rules {rules}). The same runs, scores and parameters give the same build and the same bytes."
    )


def _front_matter(parameters: CorpusParameters, counts: BuildCounts, files: Mapping[str, int | None]) -> list[str]:
    lines = ["---", *_licence(counts)]
    lines += [f"pretty_name: {_quoted(_TITLES[parameters.kind])}", "tags:", "- lakehouse", f"- {parameters.kind}"]
    if parameters.kind != "rag":
        lines += ["- trl", "task_categories:", "- text-generation"]
    size = next((name for most, name in _SIZES if counts.samples < most), "n>10M")
    lines += ["size_categories:", f"- {size}"]
    configs = []
    for name, pattern in _CONFIGS[parameters.kind]:
        there = [split for split in SPLITS if pattern.format(split) in files]
        if there:
            configs += [f"- config_name: {name}", "  data_files:"]
        for split in there:
            configs += [f"  - split: {_HUB_SPLITS[split]}", f"    path: {pattern.format(split)}"]
    return [*lines, *(["configs:", *configs] if configs else []), "---", ""]


def _licence(counts: BuildCounts) -> list[str]:
    """The Hub's ids of all licences; where it does not know one of them, an id of our own as the Hub wants it."""
    # Of a pair whose sides are under two licences both are named.
    names = sorted({one for name in counts.by_licence for one in name.split(" AND ")})
    known = [_HUB_LICENCES[name] for name in names if name in _HUB_LICENCES]
    if names and len(known) == len(names):
        return [f"license: {known[0]}"] if len(known) == 1 else ["license:", *(f"- {one}" for one in known)]
    own = re.sub(r"[^a-z0-9.-]+", "-", "-and-".join(names).lower()).strip("-")
    return ["license: other", f"license_name: {_quoted(own or 'none')}"]


def _personal(parameters: CorpusParameters, counts: BuildCounts) -> list[str]:
    if not parameters.is_scrubbed:
        return ["## Personal data", "", "Nothing was replaced: `is_scrubbed` is false.", ""]
    told = (
        f"Replaced by placeholders in {counts.personal_samples} samples (`personal.jsonl` says in which); names only"
        " where a roster was given."
    )
    return ["## Personal data", "", told, "", *_table(("kind", "places"), _rows(counts.personal))]


def _counted(title: str, what: str, counts: Mapping[str, int]) -> list[str]:
    return [f"## {title}", "", *_table((what, "count"), _rows(counts))]


def _rows(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, str(count)) for name, count in counts.items()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["None.", ""]
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines), ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
