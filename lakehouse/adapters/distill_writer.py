"""The files of a build, written sample by sample: training files in the tools' own forms, provenance beside them.

A file is there when it has a row. Rows of a training file are found in `provenance.parquet` by form, split and number.

Belongs here: which rows go into which file. Not here: their forms (see lakehouse/distillation/openai_form.py,
trl_form.py, chunks.py), the manifest and the card (see distill_card.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lakehouse.adapters.distill_files import JsonLines, ParquetRows
from lakehouse.adapters.distill_schemas import SIDE, chunk_schema, provenance_schema, trl_schema
from lakehouse.distillation import openai_form, trl_form
from lakehouse.distillation.chunks import chunks_of, question_text
from lakehouse.distillation.parameters import CorpusParameters, Split
from lakehouse.distillation.refusal import RefusedSample

PROVENANCE, QUARANTINE, PERSONAL = "provenance.parquet", "quarantine.jsonl", "personal.jsonl"


class CorpusWriter:
    """Writes a build's rows.

    Args:
        folder: The build's.
        parameters: The build's.
    """

    def __init__(self, folder: Path, parameters: CorpusParameters) -> None:
        self._folder = folder
        self._parameters = parameters
        self._files: dict[str, JsonLines | ParquetRows] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def rows(self) -> dict[str, int]:
        """Rows of each file, by name."""
        return {name: file.rows for name, file in sorted(self._files.items())}

    def refuse(self, refused: RefusedSample) -> None:
        """Write a line of the quarantine."""
        self._lines(QUARANTINE).add_line(refused.to_line())

    def write(self, sample: Mapping[str, Any], split: Split, cluster: str) -> None:
        """Write a sample.

        Args:
            sample: As it was staged.
            split: Where it goes.
            cluster: Id of the first sample of its cluster.
        """
        row, openai_row, rows = getattr(self, f"_write_{sample['form']}")(sample, split)
        origin, other = sample["origins"][0], sample["origins"][1] if len(sample["origins"]) > 1 else {}
        self._parquet(PROVENANCE, "provenance").add(
            {
                "sample_id": sample["sample_id"], "form": sample["form"], "split": split, "row": row,
                "openai_row": openai_row, "rows": rows, "cluster": cluster,
                **{name: origin[name] for name in SIDE},
                "task_id": sample["task_id"], "source": sample["source"], "licence": sample["licence"],
                "reason": sample["reason"] or None,
                **{f"other_{name}": other.get(name) for name in SIDE},
                "tokens": sample["tokens"], "personal": sum(sample["personal"].values()),
            }
        )  # fmt: skip
        if sample["personal"]:
            # Only counts: what the scrub found is written nowhere.
            self._lines(PERSONAL).add({"sample_id": sample["sample_id"], "kinds": sample["personal"]})

    def _write_chat(self, sample: Mapping[str, Any], split: Split) -> tuple[int, int | None, int]:
        messages = [*sample["prompt"], *sample["answers"][0]]
        row = self._parquet(f"trl/{split}.parquet", "chat").add(trl_form.chat_row(messages, sample["tools"]))
        return row, self._lines(f"openai/{split}.jsonl").add(openai_form.chat_row(messages, sample["tools"])), 1

    def _write_pair(self, sample: Mapping[str, Any], split: Split) -> tuple[int, int | None, int]:
        parts = sample["prompt"], *sample["answers"], sample["tools"]
        row = self._parquet(f"trl/pairs-{split}.parquet", "pair").add(trl_form.pair_row(*parts))
        preference = openai_form.preference_row(*parts)
        if preference is None:
            return row, None, 1
        return row, self._lines(f"openai/pairs-{split}.jsonl").add(preference), 1

    def _write_label(self, sample: Mapping[str, Any], split: Split) -> tuple[int, int | None, int]:
        made = trl_form.label_row(sample["prompt"], sample["answers"][0], sample["label"], sample["tools"])
        return self._parquet(f"trl/labels-{split}.parquet", "label").add(made), None, 1

    def _write_document(self, sample: Mapping[str, Any], split: Split) -> tuple[int, int | None, int]:
        origin = sample["origins"][0]
        chunks = chunks_of(sample["answers"][0], self._parameters)
        first = 0
        for number, text in enumerate(chunks):
            row = {
                "id": f"{sample['sample_id']}#{number}",
                "text": text,
                "question": question_text(sample["prompt"]),
                "source_id": sample["sample_id"],
                "chunk": number,
                "run_id": origin["run_id"],
                "task_id": sample["task_id"],
                "stream": origin["stream"],
                "source": sample["source"],
                "licence": sample["licence"],
                "source_key": origin["source_key"],
                "line": origin["line"],
                "sha256": origin["sha256"],
            }
            place = self._parquet(f"chunks/{split}.parquet", "chunk").add(row)
            self._lines(f"chunks/{split}.jsonl").add(row)
            first = place if number == 0 else first
        return first, None, len(chunks)

    def _lines(self, name: str) -> JsonLines:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = JsonLines(self._folder / name)
        assert isinstance(file, JsonLines)
        return file

    def _parquet(self, name: str, kind: str) -> ParquetRows:
        file = self._files.get(name)
        if file is None:
            schemas = {"provenance": provenance_schema, "chunk": chunk_schema}
            schema = schemas[kind]() if kind in schemas else trl_schema(kind)
            file = self._files[name] = ParquetRows(self._folder / name, schema)
        assert isinstance(file, ParquetRows)
        return file
