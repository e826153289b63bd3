"""Cross-model review of a diff: bundles, findings of several models, what they agree on, and what became of each.

Belongs here: pure rules over texts and frozen values. Not here: models, git and the bucket (see
lakehouse/adapters/review_*.py).
"""
