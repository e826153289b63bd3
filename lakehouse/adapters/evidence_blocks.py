"""One block of raw lines is made into evidence: by one SQL statement, and in Python for the lines that did not fit.

Belongs here: running the statement, judging and setting apart what it refused. Not here: the statement (see
evidence_sql.py), blocks after one another (see evidence_engine.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.evidence_hashes import hashes_of_texts
from lakehouse.adapters.evidence_lines import LineBlock
from lakehouse.adapters.evidence_quarantine import RefusedLine
from lakehouse.adapters.evidence_sql import LOOK_CLOSER
from lakehouse.adapters.evidence_statements import LinesEngine
from lakehouse.evidence.fitness import LEFT_OUT, MAX_KEPT_BYTES, TOO_LONG, TOO_MANY_VALUES, why_unfit
from lakehouse.tables.evidence import evidence_schema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class MadeBlock:
    """What became of a block.

    Attributes:
        line_count: How many lines it had.
        records: Those that fit, in order, in the schema of evidence.
        key_hashes: A hash of each record's key.
        refused: Those that did not, in order.
        left_out: How many of those that fit are no evidence.
    """

    line_count: int
    records: pa.Table
    key_hashes: npt.NDArray[np.uint64]
    refused: list[RefusedLine]
    left_out: int = 0


def make_block(engine: LinesEngine, statement: str, block: LineBlock) -> MadeBlock:
    """Make evidence of a block.

    Args:
        engine: One that nobody else uses meanwhile.
        statement: See `evidence_statement`.
        block: The lines.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fit, unfit = _run(engine, statement, block.table())
    if unfit:
        fit = fit.filter(pc.is_null(fit["reason"]))
        for place, reason in unfit.items():
            if reason == LOOK_CLOSER and place not in block.refused:
                unfit[place] = why_unfit(block.line(place)) or ""
        cleared = [place for place, reason in unfit.items() if not reason]
        if cleared:
            again, found = _run(engine, statement, block.table(cleared))
            unfit = {place: reason for place, reason in (unfit | found).items() if reason}
            fit = pa.concat_tables([fit, again.filter(pc.is_null(again["reason"]))]).sort_by("ordinal")
        unfit |= block.refused
    reasons = {place: reason for place, reason in unfit.items() if reason != LEFT_OUT}
    # A copy, as a view would keep the engine's whole answer in memory.
    key_hashes = fit["key_hash"].to_numpy().copy()
    refused = list(_refused(block, reasons))
    return MadeBlock(len(block), _assembled(fit, block), key_hashes, refused, len(unfit) - len(reasons))


def _run(engine: LinesEngine, statement: str, lines: pa.Table) -> tuple[pa.Table, dict[int, str]]:
    """The rows of lines, and the reasons of those that did not fit.

    A few lines, with millions of small values, take many times their size in memory. When the memory does not suffice,
    the lines are tried in halves, so that all others succeed, and at last one line alone with more memory.
    """
    import pyarrow as pa

    try:
        rows = engine.run(statement, lines)
        return rows, _reasons(rows)
    except MemoryError:
        half = len(lines) // 2
    if half:
        halves = [_run(engine, statement, part) for part in (lines.slice(0, half), lines.slice(half))]
        return pa.concat_tables([rows for rows, _ in halves]), halves[0][1] | halves[1][1]
    with engine.larger() as larger:
        try:
            rows = larger.run(statement, lines)
            return rows, _reasons(rows)
        except MemoryError:
            return larger.run(statement, lines.slice(0, 0)), {lines["ordinal"][0].as_py(): TOO_MANY_VALUES}


def _reasons(rows: pa.Table) -> dict[int, str]:
    """Place and reason of the rows that did not fit."""
    import pyarrow.compute as pc

    refused = rows.select(["ordinal", "reason"]).filter(pc.is_valid(rows["reason"]))
    return dict(zip(refused["ordinal"].to_pylist(), refused["reason"].to_pylist(), strict=True))


def _refused(block: LineBlock, reasons: dict[int, str]) -> Iterator[RefusedLine]:
    for place, reason in sorted(reasons.items()):
        raw = block.line(place)
        yield RefusedLine(
            source_key=block.files[block.file[place]].source_key,
            line=int(block.number[place]),
            sha256=block.sha256[place].as_py(),
            raw=raw[:MAX_KEPT_BYTES],
            is_cut=reason == TOO_LONG or len(raw) > MAX_KEPT_BYTES,
            reason="is no JSON to the engine" if reason == LOOK_CLOSER else reason,
        )


def _assembled(fit: pa.Table, block: LineBlock) -> pa.Table:
    """Records with their provenance, in the schema of evidence."""
    import pyarrow as pa

    schema = evidence_schema()
    places = fit["ordinal"].to_numpy()
    keys = pa.array([file.source_key for file in block.files], pa.string())
    parts: list[Any] = [
        keys.take(pa.array(block.file[places])),
        pa.array(block.number[places]),
        block.sha256.take(pa.array(places)),
        fit["recorded_at"].combine_chunks(),
    ]
    made = {
        "provenance": pa.StructArray.from_arrays(parts, fields=list(schema.field("provenance").type)),
        "input_hash": hashes_of_texts(fit["input_text"]),
        "output_hash": hashes_of_texts(fit["output_text"]),
    }
    columns = [made[name] if name in made else fit[name] for name in schema.names]
    return pa.table(columns, names=schema.names).cast(schema)
