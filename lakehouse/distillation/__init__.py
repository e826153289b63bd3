"""Distillation: corpora for training and retrieval, made of scored evidence (CONTRACTS.md section 8).

Belongs here: parameters, the forms of samples, the gates, manifest and card, as rules. Not here: reading evidence,
signatures, files (see lakehouse/adapters/distill_build.py), scores (see lakehouse/scoring).
"""
