"""Promotion: whether a config is better than the one that serves, by written rules; and whether it still is.

Belongs here: paired comparison, rules, verdicts, proposals, the watch over live outcomes. Not here: running the arms
(see lakehouse/replay), the bucket (see lakehouse/adapters/promotion*.py).
"""
