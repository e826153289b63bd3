"""Jobs of Dagster with their schedules, a module for each capability.

Belongs here: what runs together, and when. Not here: assets (see lakehouse_assets).
"""
