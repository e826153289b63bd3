"""Pieces of SQL that the rules of several streams are written with.

Belongs here: expressions over `raw.<field>`. Not here: whole statements (see lakehouse/adapters/evidence_sql.py).
"""

from __future__ import annotations

_CONTEXT = (
    '\'{"corpora":["VARCHAR"],"hits":"BIGINT","kept":"BIGINT","dropped":"BIGINT",'
    '"playbook_ids":["VARCHAR"],"pathway_ids":["VARCHAR"]}\''
)


def markers(*cases: tuple[str, str]) -> str:
    """A list of texts, one for each condition that holds.

    Args:
        cases: Condition and name, both SQL; a case whose name is null is left out as well.
    """
    items = ", ".join(f"CASE WHEN {condition} THEN {name} END" for condition, name in cases)
    return f"list_filter([{items}], lambda m: m IS NOT NULL)"


def prefixed(prefix: str, texts: str) -> str:
    """Each of a list of texts behind a prefix; an empty list where there is none."""
    return f"coalesce(list_transform({texts}, lambda m: '{prefix}' || m), [])"


def context(
    *,
    corpora: str = "NULL",
    hits: str = "NULL",
    kept: str = "NULL",
    dropped: str = "NULL",
    playbook_ids: str = "[]",
    pathway_ids: str = "[]",
) -> str:
    """A `retrieved_context` of its parts, each SQL."""
    return (
        f"{{'corpora': {corpora}, 'hits': {hits}, 'kept': {kept}, 'dropped': {dropped},"
        f" 'playbook_ids': {playbook_ids}, 'pathway_ids': {pathway_ids}}}"
    )


def context_of(field: str) -> str:
    """A `retrieved_context` from a raw JSON object of the same fields; what else it holds is not in it."""
    return f"from_json({field}, {_CONTEXT})"


def one_of(field: str, *allowed: str) -> tuple[str, str]:
    """The unfit rule of a text with a closed list of values; null is allowed."""
    values = ", ".join(f"'{value}'" for value in allowed)
    name = field.removeprefix("raw.")
    return f"{field} NOT IN ({values})", f"field '{name}' is none of {', '.join(allowed)}"


def between(field: str, least: float, most: float) -> tuple[str, str]:
    """The unfit rule of a number with bounds; null is allowed."""
    name = field.removeprefix("raw.")
    return f"{field} NOT BETWEEN {least} AND {most}", f"field '{name}' is not between {least} and {most}"
