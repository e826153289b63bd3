"""Scoring: what evidence says of a run becomes a score with reasons, by rules that are data (CONTRACTS.md section 8).

Belongs here: rules, labels, lineages, which streams are runs and which speak of runs; pure, as data and as SQL over
facts. Not here: gathering facts and writing scores (see lakehouse/adapters/scoring_engine.py), the table (see
lakehouse/tables/scored.py).
"""

from lakehouse.scoring.facts import FACTS
from lakehouse.scoring.labels import Labels, default_labels
from lakehouse.scoring.rule_file import default_rules, load_rules
from lakehouse.scoring.rules import Rule, RuleSet, Verdict

__all__ = ["FACTS", "Labels", "Rule", "RuleSet", "Verdict", "default_labels", "default_rules", "load_rules"]
