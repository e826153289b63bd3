"""Sensors of Dagster: what is looked at all the time, and which runs follow from it.

Belongs here: list, plan, request. Not here: the plans (see lakehouse_assets).
"""
