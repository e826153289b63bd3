"""Pathways: traces of how tasks were solved, added, revised, retired and searched (CONTRACTS.md section 7).

Belongs here: what a trace is, how log entries add up to it, when one says what another says already, and search. Not
here: the memory log (see lakehouse/memory), HTTP (see lakehouse_api/routes/pathway.py).
"""
