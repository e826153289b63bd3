"""Dagster: assets with their checks, and the processes that serve them; `definitions.py` puts all of it together.

Belongs here: thin wrappers around the library. Not here: jobs with their schedules (see jobs), sensors (see sensors),
what an asset does (see lakehouse).
"""
