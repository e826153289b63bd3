"""Receipts: what a materialization took in, gave out and refused, as one JSON object each.

Belongs here: the receipt's form and where it lies (CONTRACTS.md section 9).
Not here: who writes one (see lakehouse_assets).
"""
