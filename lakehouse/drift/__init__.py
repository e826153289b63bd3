"""Drift: is what runs now still what ran when a baseline was set, and what follows where it is not.

Belongs here: statistics, rules, reports, confirmation and the freeze, as functions over numbers and documents. Not
here: gathering the numbers and keeping the reports (see the drift_ modules of lakehouse/adapters).
"""
