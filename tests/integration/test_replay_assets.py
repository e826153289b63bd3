"""The assets `replay` and `promotion_watch` on a lake in which nothing was asked yet."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_assets.replay import promotion_watch, replay
from tests.dagster_lake import lake_store


def test_night_without_tasks_says_so_and_watch_without_promotions_is_quiet(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    store = lake_store(objects, tmp_path / "lake")
    done = dg.materialize([replay, promotion_watch], resources={"store": store})
    assert done.success
    told = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in done.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert "no held-out task" in str(told["replay"]["skipped"].value)
    assert (told["replay"]["proposed"].value, told["replay"]["promoted"].value) == (0, False)
    assert (told["promotion_watch"]["watched"].value, told["promotion_watch"]["rolled_back"].value) == (0, 0)
