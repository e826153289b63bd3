"""Lineage: from a training row down to the raw line it was made of, and from a run to everything that was made of it.

Belongs here: what may be asked about, the form of the answer. Not here: finding it (see
lakehouse/adapters/lineage_reader.py), what lies upstream of datasets (see lakehouse_assets/lineage.py).
"""
