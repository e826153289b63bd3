"""Partitions: the one definition of each kind that assets share.

Belongs here: partition definitions. Not here: who adds partitions (see sensors/).
"""

from __future__ import annotations

from dagster import DailyPartitionsDefinition, DynamicPartitionsDefinition

datasets_partitions = DynamicPartitionsDefinition(name="datasets")
"""One partition per dataset in the catalog; rows are never partitions."""

tables_partitions = DynamicPartitionsDefinition(name="lance_tables")
"""One partition per Lance table, corpora and memory tables alike."""

days_partitions = DailyPartitionsDefinition(start_date="2025-01-01", end_offset=1)
"""One partition per day (UTC) of the raw streams, today's among them; evidence and scores of all streams share it."""
