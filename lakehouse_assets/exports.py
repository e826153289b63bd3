"""The assets `export/sft`, `export/preference`, `export/rag`: training corpora of scored evidence, behind their gates.

Belongs here: the assets, what an operator may decide, their metadata and check. Not here: building (see
lakehouse/adapters/distill_build.py), keeping (see lakehouse/adapters/corpus_exports.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from collections.abc import Sequence
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from lakehouse.adapters.corpus_exports import Exported
from lakehouse.adapters.distill_build import Build
from lakehouse.adapters.distilled_corpus import CORPUS, LoadedCorpus, load_chunks
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.distillation.parameters import KINDS, Kind, read_parameters
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.drift import drift_keys
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored
from lakehouse_assets.source_version import source_version

GROUP = "distillation"
CHECK = "no_leakage_between_splits"
_SAID = {
    "sft": "Accepted runs as chats to learn from: OpenAI's JSON lines and TRL's Parquet.",
    "preference": "Pairs of a better and a worse answer, each with its reason: OpenAI's and TRL's forms.",
    "rag": "Accepted answers cut into chunks with their provenance, ready to be embedded.",
}


class ExportConfig(Config):
    """What an operator may decide for one build."""

    parameters: dict[str, Any] = Field({}, description="Parameters that differ from the defaults of the kind.")
    corpus: str = Field(CORPUS, description="The corpus that chunks of `rag` are loaded into; empty: none.")


def export_key(kind: Kind) -> AssetKey:
    """The asset of a kind of corpus."""
    return AssetKey(["export", kind])


def _asset(kind: Kind) -> AssetsDefinition:
    key = export_key(kind)

    @asset(
        key=key,
        # Their checks stand in front of each build; in a run without them the build itself asks the gate.
        deps=[scored, *drift_keys],
        check_specs=[AssetCheckSpec(CHECK, asset=key)],
        code_version="1",
        description=_SAID[kind],
        group_name=GROUP,
        kinds={"parquet", "json", "s3"},
        owners=OWNERS,
        tags={"layer": "corpus"},
        pool="evidence",
    )
    def export(context: AssetExecutionContext, config: ExportConfig, store: LakeStore) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a result with checks only without its argument
        with mapped_errors(context.instance, context.run.run_id):
            params = read_parameters({"kind": kind, **config.parameters})
            loaded: list[LoadedCorpus | None] = []

            def load(build: Build) -> None:
                if kind == "rag" and config.corpus:
                    loaded.append(load_chunks(store.lake.settings, build, name=config.corpus))

            run = RunFacts(context.run.run_id, source_version())
            done = store.lake.exports.export(params, run, on_build=load)
        return MaterializeResult(
            metadata={**_metadata(done, store.lake.objects.bucket), **_loaded_metadata(loaded)},
            data_version=DataVersion(done.manifest.build_id),
            check_results=[_leakage(done)],
        )

    return export


export_assets: Sequence[AssetsDefinition] = [_asset(kind) for kind in KINDS]


def _leakage(done: Exported) -> AssetCheckResult:
    """What the gates took out for its likeness to held-out samples; what is left has none, by the build's own test."""
    counts = done.manifest.counts
    return AssetCheckResult(
        check_name=CHECK,
        passed=sum(counts.by_split.values()) == counts.samples,
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "refused_for_leakage": counts.by_gate.get("leakage", 0),
            **counts.by_split,
        },
    )


def _loaded_metadata(loaded: Sequence[LoadedCorpus | None]) -> dict[str, MetadataValue[Any]]:
    return {
        name: value
        for one in loaded
        if one is not None
        for name, value in {
            "corpus": MetadataValue.text(one.name),
            "corpus_rows": MetadataValue.int(one.rows),
            "embedded": MetadataValue.int(one.embedded),
        }.items()
    }


def _metadata(done: Exported, bucket: str) -> dict[str, MetadataValue[Any]]:
    counts = done.manifest.counts
    return {
        "dagster/row_count": MetadataValue.int(counts.samples),
        "dagster/uri": MetadataValue.path(f"s3://{bucket}/{done.prefix}"),
        "build_id": MetadataValue.text(done.manifest.build_id),
        "is_new": MetadataValue.bool(done.is_new),
        "candidates": MetadataValue.int(counts.candidates),
        "by_gate": MetadataValue.json(dict(counts.by_gate)),
        "by_split": MetadataValue.json(dict(counts.by_split)),
        "by_licence": MetadataValue.json(dict(counts.by_licence)),
        "personal": MetadataValue.json(dict(counts.personal)),
    }
