"""The audit of everything: eight phases, from the set-up to a live replay, their report and the baseline behind it.

Belongs here: what a phase is, results, the report, baselines, the contract that a live API is held against, the data of
the acceptance. Not here: doing it (see lakehouse/adapters/audit_full.py), findings on files (see lakehouse/lineage).
"""
