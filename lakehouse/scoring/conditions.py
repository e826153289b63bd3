"""A condition: comparisons of facts that all must hold, as SQL.

Belongs here: the operators, and what they become. Not here: reading them from a file (see rule_file.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lakehouse.query.quoting import quote_name, quote_text

Value: TypeAlias = str | float | bool | tuple[str, ...]
NUMBER_OPERATORS: Mapping[str, str] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One fact against a value.

    Attributes:
        fact: Name of the fact.
        operator: `is` (text, boolean), `in` (several texts), or one of `NUMBER_OPERATORS`.
        value: What it is compared with.
    """

    fact: str
    operator: str
    value: Value

    def sql(self) -> str:
        """SQL over the facts; null where nothing is known."""
        name = quote_name(self.fact)
        if isinstance(self.value, bool):
            return name if self.value else f"NOT {name}"
        if isinstance(self.value, tuple):
            return f"{name} IN ({', '.join(quote_text(value) for value in self.value)})"
        if isinstance(self.value, str):
            return f"{name} = {quote_text(self.value)}"
        return f"{name} {NUMBER_OPERATORS[self.operator]} {self.value!r}"

    def text(self) -> str:
        """The same for readers."""
        if isinstance(self.value, bool):
            return self.fact if self.value else f"not {self.fact}"
        if isinstance(self.value, tuple):
            return f"{self.fact} is {' or '.join(self.value)}"
        if isinstance(self.value, str):
            return f"{self.fact} is {self.value}"
        return f"{self.fact} {NUMBER_OPERATORS[self.operator]} {self.value:g}"
