"""Validation: whether what a model wrote may be sent or used, by written rules with a version.

Belongs here: pure rules over plain values, findings, log lines, the `Roster` Protocol. Not here: HTTP (see
lakehouse_api/routes/validation.py), workers on the store (see lakehouse/adapters/roster.py).
"""

from lakehouse.validation.rules import RULES, RULES_VERSION
from lakehouse.validation.validator import KINDS, validate
from lakehouse.validation.verdict import Finding, Refusal, Verdict

__all__ = ["KINDS", "RULES", "RULES_VERSION", "Finding", "Refusal", "Verdict", "validate"]
