"""Checks of the assets `corpus/<name>`: the table has the rows that its builds made of the source, in few fragments.

Belongs here: the checks and their rules. Not here: the build (see lakehouse/adapters/corpus_build.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Sequence

from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, asset_check

from lakehouse.adapters.corpus_files import Declared
from lakehouse.adapters.lance_upkeep import needs_optimizing
from lakehouse.counted import counted
from lakehouse.errors import NotFound
from lakehouse.retrieval.corpus import CorpusDeclaration
from lakehouse.retrieval.live_table import LiveTable
from lakehouse_assets.corpora import corpus_key
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeConnection, LakeStore

BUILT = "content_hash IS NOT NULL"


def corpus_checks(declared: Sequence[Declared]) -> list[AssetChecksDefinition]:
    """The checks of some declarations."""
    return [check for one in declared if one.declaration is not None for check in _checks(one.require())]


def _checks(declaration: CorpusDeclaration) -> list[AssetChecksDefinition]:
    key = corpus_key(declaration.name)

    @asset_check(asset=key, description="The table has the rows that builds made, and builds saw every row there was.")
    def rows_match_source(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        with mapped_errors(context.instance, context.run.run_id):
            return check_rows(store.lake, declaration)

    @asset_check(asset=key, description="The table is in few enough fragments to be read quickly.")
    def few_fragments(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        with mapped_errors(context.instance, context.run.run_id):
            return judge_fragments(store.lake.live_table(declaration.name))

    return [rows_match_source, few_fragments]


def check_rows(lake: LakeConnection, declaration: CorpusDeclaration) -> AssetCheckResult:
    """Count the rows that builds made, and compare with what they remember and with the dataset."""
    table = lake.tables.open(declaration.name)
    if table is None:
        raise NotFound(f"the table of corpus {declaration.name!r} is not there; build it", name=declaration.name)
    manifest = None if declaration.dataset is None else lake.catalog.find(declaration.dataset)
    total = None if manifest is None else manifest.row_count
    return judge_rows(table.live, stored=table.count(where=BUILT), source_rows=total)


def judge_rows(live: LiveTable, *, stored: int, source_rows: int | None) -> AssetCheckResult:
    """Decide from what the builds of each part remember.

    Args:
        live: The table's pointer.
        stored: Rows in the table that builds made.
        source_rows: Rows of the dataset now; None for files.
    """
    parts = live.info.get("built", {})
    made = sum(part["rows"] for part in parts.values())
    seen = {part["source_rows"] for part in parts.values()}
    metadata = {"rows": stored, "made": made, "refused": sum(part["refused"] for part in parts.values())}
    if stored != made:
        return AssetCheckResult(
            passed=False,
            description=f"the table has {counted(stored, 'row')} of builds, they made {made};"
            " build it with the option `full`",
            metadata=metadata,
        )
    is_behind = source_rows is not None and bool(seen) and seen != {source_rows}
    return AssetCheckResult(
        passed=not is_behind,
        severity=AssetCheckSeverity.WARN,
        description=f"the dataset has {counted(source_rows or 0, 'row')} by now; the next build takes them in"
        if is_behind
        else None,
        metadata=metadata,
    )


def judge_fragments(live: LiveTable) -> AssetCheckResult:
    """Warn where `optimize` would find work."""
    is_many = needs_optimizing(live.fragments, live.rows)
    return AssetCheckResult(
        passed=not is_many,
        severity=AssetCheckSeverity.WARN,
        description=f"{counted(live.fragments, 'fragment')}; `optimize` makes fewer of them, on its schedule"
        if is_many
        else None,
        metadata={"fragments": live.fragments, "rows": live.rows},
    )
