"""Candidates of a corpus, read from the relations `evidence` and `scored` of an open DuckDB, in one fixed order.

Belongs here: the statements, rows as candidates, the account of what went in. Not here: what becomes of a candidate
(see lakehouse/distillation/sample.py), who opens the database and over which files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.sample import Candidate, Origin
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

BATCH_ROWS = 32
"""Few, since a line may have 16 MiB."""
_FINGERPRINT_ROWS = 8192
_MOST_A_SIDE = 32
"""So many runs of a task and input are paired from each side, where no limit per task says less."""
_SIDE = "{0}.run_id, {0}.provenance.source_key, {0}.provenance.line, {0}.provenance.sha256, {0}.stream"
_EDITS = """
  SELECT v.run_id AS review_id, r.run_id, r.stream, CASE WHEN v.human_override IS NOT NULL THEN 'human_edit'
    ELSE 'reviewer_correction' END AS reason
  FROM evidence v JOIN runs r ON r.run_id = (v.metadata ->> '$.review_of')
  WHERE v.stream = 'reviews' AND v.output_text IS NOT NULL AND v.output_text <> 'null'
    -- Without an output a review's text is its notes.
    AND v.output_text IS DISTINCT FROM (v.metadata -> '$.notes')::VARCHAR
    AND v.output_hash IS DISTINCT FROM r.output_hash
    AND (v.human_override IS NOT NULL OR (v.observer.verdict IN ('reject', 'cycle') AND r.score = 'rejected'))"""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What went into a build.

    Attributes:
        fingerprint: SHA-256 hex over the sorted (run, SHA-256 of its line, score) of the inputs.
        runs: How many there are, reviews that hold an edit among them.
        verdicts: How many runs have each score.
        rules_versions: Versions of the rules that scored them, sorted.
    """

    fingerprint: str
    runs: int
    verdicts: dict[str, int]
    rules_versions: tuple[str, ...]


def read_inputs(connection: duckdb.DuckDBPyConnection, parameters: CorpusParameters) -> Inputs:
    """Look at all inputs of a build, without their texts.

    Args:
        connection: Holds `evidence` and `scored`.
        parameters: The build's.
    """
    scores = ", ".join(quote_text(score) for score in _scores(parameters))
    edits = f"""
      UNION ALL BY NAME SELECT v.run_id, v.provenance.sha256 AS sha256, 'review' AS score, NULL AS rules_version
      FROM evidence v WHERE v.stream = 'reviews' AND v.run_id IN (SELECT review_id FROM ({_EDITS}))
      UNION ALL BY NAME SELECT r.run_id, r.sha256, r.score, r.rules_version FROM runs r
      WHERE (r.run_id, r.stream) IN (SELECT (run_id, stream) FROM ({_EDITS})) AND r.score NOT IN ({scores})"""
    statement = f"""
      WITH {_runs(parameters)}
      SELECT run_id, sha256, score, rules_version FROM runs WHERE score IN ({scores})
      {edits if parameters.kind == "preference" else ""}
      ORDER BY run_id, sha256, score"""
    digest, verdicts, versions = hashlib.sha256(), Counter[str](), set[str]()
    for rows in _batches(connection, statement, _FINGERPRINT_ROWS):
        for row in rows:
            digest.update(f"{row['run_id']}\x1f{row['sha256']}\x1f{row['score']}\n".encode())
            verdicts[row["score"]] += 1
            if row["rules_version"] is not None:
                versions.add(row["rules_version"])
    return Inputs(digest.hexdigest(), verdicts.total(), dict(sorted(verdicts.items())), tuple(sorted(versions)))


def read_candidates(connection: duckdb.DuckDBPyConnection, parameters: CorpusParameters) -> Iterator[Candidate]:
    """The candidates of a build, in the order of their runs' ids.

    Args:
        connection: Holds `evidence` and `scored`; nothing else may be asked of it meanwhile.
        parameters: The build's.
    """
    statements = {
        "sft": (_single(parameters, "chat"),),
        "rag": (_single(parameters, "document"),),
        "preference": (_verdicts(parameters), _edited(parameters), _single(parameters, "label")),
    }[parameters.kind]
    for statement in statements:
        for rows in _batches(connection, statement, BATCH_ROWS):
            yield from map(_candidate, rows)


def _scores(parameters: CorpusParameters) -> tuple[str, ...]:
    """The scores that runs of a build have."""
    preferred = ("accepted",) if parameters.score_floor == "accepted" else ("accepted", "partially_accepted")
    return (*preferred, "rejected") if parameters.kind == "preference" else preferred


def _runs(parameters: CorpusParameters) -> str:
    """Keys of the runs that parameters let in; texts are not among them, so that sorting and pairing stay small."""
    conditions = ["e.run_id IS NOT NULL"]
    if parameters.date_from is not None:
        conditions.append(f"s.dt >= DATE '{parameters.date_from}'")
    if parameters.date_to is not None:
        conditions.append(f"s.dt <= DATE '{parameters.date_to}'")
    if parameters.sources:
        names = ", ".join(quote_text(name) for name in parameters.sources)
        conditions.append(f"(e.stream IN ({names}) OR (e.metadata ->> '$.source') IN ({names}))")
    return f"""runs AS (
        SELECT e.run_id, e.stream, e.task_id, e.input_hash, e.output_hash, e.provenance.sha256 AS sha256, s.score,
          s.rules_version
        FROM evidence e JOIN scored s ON s.run_id = e.run_id AND s.stream = e.stream
        WHERE {" AND ".join(conditions)})"""


def _single(parameters: CorpusParameters, form: str) -> str:
    scores = ", ".join(quote_text(score) for score in _scores(parameters))
    return f"""
      WITH {_runs(parameters)}
      SELECT '{form}' AS form, '' AS reason, {_SIDE.format("e")}, r.score, e.task_id, e.input_text, e.output_text,
        e.metadata, NULL AS other_run_id
      FROM runs r JOIN evidence e ON e.run_id = r.run_id AND e.stream = r.stream
      WHERE r.score IN ({scores})
      ORDER BY e.run_id, e.stream"""


def _verdicts(parameters: CorpusParameters) -> str:
    """Runs of one task and input, of which one was preferred and the other rejected."""
    most = min(parameters.limit_per_task or _MOST_A_SIDE, _MOST_A_SIDE)
    scores = ", ".join(quote_text(score) for score in _scores(parameters))
    return f"""
      WITH {_runs(parameters)}, sides AS (
        SELECT *, score <> 'rejected' AS is_preferred, row_number() OVER (
          PARTITION BY task_id, input_hash, score <> 'rejected' ORDER BY run_id, stream) AS place
        FROM runs WHERE score IN ({scores}) AND task_id IS NOT NULL AND input_hash IS NOT NULL
      ), pairs AS (
        SELECT a.run_id, a.stream, a.score, b.run_id AS other_run_id, b.stream AS other_stream, b.score AS other_score
        FROM sides a JOIN sides b ON a.task_id = b.task_id AND a.input_hash = b.input_hash
        WHERE a.is_preferred AND NOT b.is_preferred AND a.place <= {most} AND b.place <= {most}
          AND a.output_hash IS DISTINCT FROM b.output_hash
      )
      SELECT 'pair' AS form, 'verdicts' AS reason, {_SIDE.format("a")}, p.score, a.task_id, a.input_text, a.output_text,
        a.metadata, {_other("b")}, p.other_score, b.output_text AS other_output, b.metadata AS other_metadata
      FROM pairs p JOIN evidence a ON a.run_id = p.run_id AND a.stream = p.stream
        JOIN evidence b ON b.run_id = p.other_run_id AND b.stream = p.other_stream
      ORDER BY a.run_id, a.stream, b.run_id, b.stream"""


def _edited(parameters: CorpusParameters) -> str:
    """Reviews that say what should have been answered, with the run that was reviewed."""
    return f"""
      WITH {_runs(parameters)}, edits AS ({_EDITS})
      SELECT 'pair' AS form, d.reason, {_SIDE.format("v")}, NULL AS score, e.task_id, e.input_text, v.output_text,
        e.metadata, {_other("e")}, r.score AS other_score, e.output_text AS other_output, e.metadata AS other_metadata
      FROM edits d JOIN evidence v ON v.run_id = d.review_id AND v.stream = 'reviews'
        JOIN evidence e ON e.run_id = d.run_id AND e.stream = d.stream
        JOIN runs r ON r.run_id = d.run_id AND r.stream = d.stream
      WHERE e.output_text IS NOT NULL
      ORDER BY v.run_id, e.run_id, e.stream"""


def _other(alias: str) -> str:
    return (
        f"{alias}.run_id AS other_run_id, {alias}.provenance.source_key AS other_source_key,"
        f" {alias}.provenance.line AS other_line, {alias}.provenance.sha256 AS other_sha256,"
        f" {alias}.stream AS other_stream"
    )


def _batches(connection: duckdb.DuckDBPyConnection, statement: str, size: int) -> Iterator[list[dict[str, Any]]]:
    for batch in connection.execute(statement).to_arrow_reader(size):
        yield batch.to_pylist()


def _candidate(row: dict[str, Any]) -> Candidate:
    origin = Origin(row["run_id"], row["source_key"], row["line"], row["sha256"], row["stream"], row["score"])
    other = None
    if row["other_run_id"] is not None:
        other = Origin(
            row["other_run_id"], row["other_source_key"], row["other_line"], row["other_sha256"], row["other_stream"],
            row["other_score"],
        )  # fmt: skip
    return Candidate(
        form=row["form"],
        origin=origin,
        input_text=row["input_text"],
        output_text=row["output_text"],
        metadata=row["metadata"],
        task_id=row["task_id"],
        reason=row["reason"],
        other=other,
        other_output=row.get("other_output"),
        other_metadata=row.get("other_metadata"),
    )
