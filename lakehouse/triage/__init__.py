"""Triage: the queue of what needs a person, why each item is in it, and what people decide.

Belongs here: pure rules over frozen values. Not here: where the queue lies and what fills it (see
lakehouse/adapters/triage_queue.py, triage_sources.py, triage_fill.py).
"""
