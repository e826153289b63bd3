"""The memory log: what was acknowledged, in an order that every process agrees on.

Belongs here: entries, clocks, keys, the plan of a fold. Not here: the bucket and threads (see
lakehouse/adapters/memory_log.py), what entries mean (see lakehouse/retrieval).
"""
