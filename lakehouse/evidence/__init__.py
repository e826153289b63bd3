"""Evidence: how lines of the raw streams become EvidenceRecords (CONTRACTS.md section 8).

Belongs here: rules, as SQL over batches and as data. Not here: reading, running and writing (see
lakehouse/adapters/evidence_engine.py), the schema (see lakehouse/tables/evidence.py).
"""
