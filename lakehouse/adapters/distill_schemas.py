"""Arrow schemas of a corpus's Parquet files.

Belongs here: the columns. Not here: the rows (see lakehouse/distillation/trl_form.py, chunks.py, distill_writer.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SIDE = ("run_id", "source_key", "line", "sha256", "stream", "score")
"""Where one side of a sample comes from."""


def trl_schema(form: str) -> pa.Schema:
    """The columns of TRL's form of a sample: `chat`, `pair` or `label`."""
    import pyarrow as pa

    from lakehouse.distillation.trl_form import COLUMNS

    function = pa.struct({"name": pa.string(), "arguments": pa.string()})
    call = pa.struct({"id": pa.string(), "type": pa.string(), "function": function})
    message = pa.struct(
        {
            "role": pa.string(),
            "content": pa.string(),
            "tool_calls": pa.list_(call),
            "tool_call_id": pa.string(),
            "name": pa.string(),
        }
    )
    types = {"label": pa.bool_(), "tools": pa.string()}
    return pa.schema({name: types.get(name, pa.list_(message)) for name in COLUMNS[form]})


def chunk_schema() -> pa.Schema:
    """The columns of chunks for retrieval."""
    import pyarrow as pa

    from lakehouse.distillation.chunks import COLUMNS

    return pa.schema({name: pa.int64() if name in ("chunk", "line") else pa.string() for name in COLUMNS})


def provenance_schema() -> pa.Schema:
    """The columns of `provenance.parquet`: one row for each sample."""
    import pyarrow as pa

    text, integer = pa.string(), pa.int64()
    side = {name: integer if name == "line" else text for name in SIDE}
    return pa.schema(
        {
            "sample_id": text,
            "form": text,
            "split": text,
            "row": integer,
            "openai_row": integer,
            "rows": integer,
            "cluster": text,
            **side,
            "task_id": text,
            "source": text,
            "licence": text,
            "reason": text,
            **{f"other_{name}": type_ for name, type_ in side.items()},
            "tokens": integer,
            "personal": integer,
        }
    )
