"""The job `ingest`: one dataset brought up to date, with its checks.

Belongs here: the job.
Not here: what asks for it (see sensors/landing.py), what it does (see lakehouse_assets/dataset.py).
"""

from __future__ import annotations

from dagster import AssetSelection, define_asset_job

from lakehouse_assets.dataset import dataset

ingest_job = define_asset_job(
    "ingest", AssetSelection.assets(dataset), description="Bring a dataset up to date from its landing folder."
)
