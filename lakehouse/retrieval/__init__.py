"""Retrieval: corpora searched together, filters that hold before retrieval, playbooks that remember what worked.

Belongs here: rules over arrays and Arrow tables. Not here: indexes, stores and models (see lakehouse/adapters).
"""
