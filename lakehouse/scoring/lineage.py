"""Lineages of models: who trained them; a model's judgement of its own kind confirms nothing.

Belongs here: the table (lineages.yaml), and finding a model in it. Not here: what models cost and refuse (see
lakehouse/chat/families.py).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from lakehouse.query.quoting import quote_text
from lakehouse.yaml_lines import read_document

_ALONE = "model "
"""Stands before the name of a model that is a lineage of its own, which so never is the name of a maker."""


@cache
def lineages() -> tuple[tuple[str, str], ...]:
    """Prefix and lineage, longest prefix first."""
    text = files("lakehouse.scoring").joinpath("lineages.yaml").read_text("utf-8")
    found: dict[str, str] = {}
    for lineage, _, place in read_document(text, name="lineages.yaml").pairs():
        for item in place.items():
            prefix = item.scalar()
            if prefix in found:
                item.refuse(f"{prefix!r} stands twice, here and as {found[prefix]}")
            found[prefix] = lineage
    return tuple(sorted(found.items(), key=lambda pair: (-len(pair[0]), pair[0])))


def lineage_of(model: str) -> str:
    """A model's lineage; one of an unknown maker is a lineage of its own, under whatever route and tag it is asked.

    Args:
        model: Its name, with or without its route and maker (`openrouter/openai/gpt-4o`) and tag (`llama3.1:8b`).
    """
    name = model.strip().lower().rsplit("/", 1)[-1]
    known = next((lineage for prefix, lineage in lineages() if name.startswith(prefix)), None)
    return known or f"{_ALONE}{name.partition(':')[0]}"


def lineage_sql(model: str) -> str:
    """SQL of a model's lineage; null where it is unknown.

    Args:
        model: SQL of its name, with or without its maker (`openai/gpt-4o`) and tag (`llama3.1:8b`).
    """
    name = f"regexp_extract(lower({model}), '[^/]*$')"
    tests = " ".join(
        f"WHEN starts_with({name}, {quote_text(prefix)}) THEN {quote_text(lineage)}" for prefix, lineage in lineages()
    )
    return f"CASE {tests} END"
