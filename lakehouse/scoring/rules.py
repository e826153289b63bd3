"""Rules: which runs they speak of, on what condition, with which verdict; the first one that holds decides.

Rules stand in the order of their kinds (`KINDS`), so that better grounds beat worse ones whatever a file says.

Belongs here: the form of rules, and the verdict of those that hold. Not here: the rules (see rules.yaml), reading them
(see rule_file.py), facts (see facts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lakehouse.query.quoting import quote_text
from lakehouse.scoring.conditions import Comparison
from lakehouse.scoring.streams import SCORED
from lakehouse.tables.scored import Score

Kind: TypeAlias = Literal["human", "ground_truth", "validator", "judge", "heuristic"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a rule rests on, best first; a person's word stands over all others (CONTRACTS.md section 8)."""
MAX_RULES = 62
"""Which rules hold is kept as the bits of one integer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        name: Its name, unique.
        kind: What it rests on.
        streams: Streams that it speaks of.
        when: Comparisons that all must hold; none: always.
        verdict: The score that it gives.
        reason: Why, for readers.
    """

    name: str
    kind: Kind
    streams: frozenset[str]
    when: tuple[Comparison, ...]
    verdict: Score
    reason: str

    def sql(self) -> str:
        """SQL over the facts: whether it holds; never null."""
        parts = [comparison.sql() for comparison in self.when]
        if self.streams != frozenset(SCORED):
            parts.append(f"stream IN ({', '.join(quote_text(name) for name in sorted(self.streams))})")
        return f"coalesce({' AND '.join(parts)}, false)" if parts else "true"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, the rule that decided, what it rests on, and the reasons: the deciding one first."""

    score: Score
    rule: str
    kind: Kind
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules with their version, in the order in which they decide; the last one always holds."""

    version: str
    rules: Sequence[Rule]

    def mask_sql(self) -> str:
        """SQL over the facts: an integer in which bit n says whether the rule at place n holds."""
        bits = (f"CASE WHEN {rule.sql()} THEN {1 << place} ELSE 0 END" for place, rule in enumerate(self.rules))
        return f"CAST({' + '.join(bits)} AS BIGINT)"

    def verdict_of(self, mask: int) -> Verdict:
        """The verdict of the rules that hold.

        Args:
            mask: As `mask_sql` gives it; never 0, as the last rule always holds.
        """
        holding = [rule for place, rule in enumerate(self.rules) if mask >> place & 1]
        first = holding[0]
        # The last rule only says that no other one held.
        told = holding if first is self.rules[-1] else [rule for rule in holding if rule is not self.rules[-1]]
        return Verdict(first.verdict, first.name, first.kind, tuple(rule.reason for rule in told))
