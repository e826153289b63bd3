"""Replay: tasks of the past asked again, under several arms, by the code that answers now.

Belongs here: tasks, arms, cuts, the batch and its rows, matching, the order of the work, the judge harness. Not here:
the rules of verdicts (see lakehouse/promotion), the bucket, models and corpora (see lakehouse/adapters/replay_*.py).
"""
