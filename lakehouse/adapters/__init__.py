"""Adapters: all I/O, one module per vendor, turning the vendor's errors into ours.

Belongs here: S3, DuckDB, SeaweedFS, the event spool. Not here: rules (see the capability packages).
"""
