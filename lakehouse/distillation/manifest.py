"""The manifest of a build: what it was made of, what each gate took out, which files there are.

Belongs here: its form, the build's id. Not here: how a build is made (see lakehouse/adapters/distill_build.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from lakehouse.distillation.parameters import CorpusParameters, read_parameters
from lakehouse.errors import BadInput

FORMAT_VERSION = 1
CODE_VERSION = "distillation/3"
"""Rises whenever the same inputs and parameters would give other bytes."""
BUILD_ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """What a build was made of.

    Attributes:
        fingerprint: SHA-256 hex over the sorted (run, SHA-256 of its line, score).
        runs: How many there are.
        rules_versions: Of the rules that scored them.
        held_out_sha256: Of the file that was held out, or None.
        names_fingerprint: Of the names that were scrubbed, or None.
    """

    fingerprint: str
    runs: int
    rules_versions: tuple[str, ...]
    held_out_sha256: str | None = None
    names_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class BuildCounts:
    """The accounts: every candidate is a sample of the build, or was taken out by exactly one gate.

    Attributes:
        candidates: What there was.
        samples: What is in the build.
        by_gate: How many each gate took out.
        by_split: Samples of each split.
        by_form: Samples of each form.
        by_source: Samples of each source.
        by_licence: Samples by licence.
        by_reason: Pairs by why one side is preferred.
        by_verdict: Runs that went in, by score.
        personal: Places where personal data was replaced in samples of the build, by kind.
        personal_samples: Samples of the build in which something was replaced.
    """

    candidates: int
    samples: int
    by_gate: Mapping[str, int]
    by_split: Mapping[str, int]
    by_form: Mapping[str, int]
    by_source: Mapping[str, int]
    by_licence: Mapping[str, int]
    by_reason: Mapping[str, int]
    by_verdict: Mapping[str, int]
    personal: Mapping[str, int]
    personal_samples: int


@dataclass(frozen=True, slots=True)
class BuildFile:
    """A file of the build; `rows` is None where it has none."""

    name: str
    sha256: str
    bytes: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class BuildManifest:
    """All of it; `manifest.json` is these fields."""

    build_id: str
    parameters: CorpusParameters
    code_version: str
    inputs: BuildInputs
    counts: BuildCounts
    files: tuple[BuildFile, ...]

    def to_bytes(self) -> bytes:
        """As a JSON document, indented, with sorted keys."""
        document = {
            "format_version": FORMAT_VERSION,
            "kind": self.parameters.kind,
            "build_id": self.build_id,
            "code_version": self.code_version,
            "parameters": self.parameters.to_document(),
            "inputs": asdict(self.inputs),
            "counts": asdict(self.counts),
            "licences": dict(self.counts.by_licence),
            "files": [asdict(file) for file in self.files],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def build_id_of(parameters: CorpusParameters, code_version: str, inputs: BuildInputs) -> str:
    """The id of the build that these inputs and parameters give, whenever and wherever it is made.

    Args:
        parameters: The parameters.
        code_version: Of this code and of what signatures are made with.
        inputs: What goes in.
    """
    parts = {
        "kind": parameters.kind,
        "parameters": parameters.to_document(),
        "code_version": code_version,
        "inputs": asdict(inputs),
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:BUILD_ID_CHARACTERS]


def read_manifest(data: bytes) -> BuildManifest:
    """A manifest from its bytes.

    Raises:
        BadInput: They are none, or of a later format.
    """
    try:
        document: dict[str, Any] = orjson.loads(data)
        if document["format_version"] != FORMAT_VERSION:
            raise BadInput(
                f"the manifest has format_version {document['format_version']}; this version reads {FORMAT_VERSION}:"
                " update the platform"
            )
        inputs = {**document["inputs"], "rules_versions": tuple(document["inputs"]["rules_versions"])}
        return BuildManifest(
            build_id=document["build_id"],
            parameters=read_parameters(document["parameters"]),
            code_version=document["code_version"],
            inputs=BuildInputs(**inputs),
            counts=BuildCounts(**document["counts"]),
            files=tuple(BuildFile(**file) for file in document["files"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadInput(
            f"this is not a manifest of a distilled corpus ({error}); give manifest.json of a build"
        ) from None
