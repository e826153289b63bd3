"""Samples of a build between the gates: on the disk, with what is compared of each in flat arrays.

Belongs here: the staged file, the arrays. Not here: what is decided over them (see distill_judge.py), the final files
(see distill_writer.py).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import orjson

from lakehouse.adapters.distill_signatures import SignatureFile
from lakehouse.distillation.sample import FORMS, Sample
from lakehouse.distillation.twins import compared_texts, exact_key, shingles

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_BLOCK = 256
_BLOCK_SHINGLES = 200_000
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class StagedArrays:
    """What is compared of samples, one element for each in order.

    Attributes:
        forms: Number of the form.
        labels: 1, 0, or -1 for none.
        exact: Two words of the key that copies share, of shape (n, 2).
        keys: 16 bytes of the first entity, or of the sample.
        tasks: Hash of the task, 0 where there is none.
        tokens: Their number.
        owners: Samples, one for each entity of each sample.
        entities: Hashes of those entities.
    """

    forms: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int8]
    exact: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.void]
    tasks: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int64]
    entities: npt.NDArray[np.uint64]


class Stage:
    """Takes samples in order; holds a block of them.

    Args:
        folder: For the staged file and the signatures.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "samples.arrow"
        self.signatures = SignatureFile(folder / "signatures.bin")
        self._forms, self._labels, self._tokens = array("B"), array("b"), array("i")
        self._ids, self._exact, self._keys = bytearray(), bytearray(), bytearray()
        self._tasks, self._owners, self._entities = array("Q"), array("q"), array("Q")
        self._bodies: list[bytes] = []
        self._shingles: list[list[str]] = []
        self._held = 0
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        import pyarrow as pa

        self._file = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_stream(
            self._file, _schema(), options=pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self.signatures.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._forms)

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        place = len(self)
        self._ids += bytes.fromhex(sample.sample_id)
        self._forms.append(FORMS.index(sample.form))
        self._labels.append(-1 if sample.label is None else int(sample.label))
        self._tokens.append(min(sample.tokens, 2**31 - 1))
        self._exact += exact_key(sample.prompt, sample.answers, sample.tools)
        hashes = [hashlib.blake2b(entity.encode(), digest_size=_KEY_BYTES).digest() for entity in sample.entities]
        self._keys += hashes[0] if hashes else self._ids[-_KEY_BYTES:]
        self._tasks.append(0 if sample.task_id is None else _word(sample.task_id.encode()))
        for one in hashes:
            self._owners.append(place)
            self._entities.append(int.from_bytes(one[:8]))
        self._bodies.append(_body(sample))
        self._shingles.append(
            shingles(compared_texts(sample.answers[0] if sample.form == "document" else sample.messages))
        )
        self._held += len(self._shingles[-1])
        if len(self._bodies) == _BLOCK or self._held >= _BLOCK_SHINGLES:
            self.flush()

    def add_held_out(self, texts: list[str]) -> None:
        """Take the texts of something that is held out; it has a signature, and is no sample."""
        self.flush()
        self.signatures.add([shingles(texts)])

    def flush(self) -> None:
        """Write what is held."""
        import pyarrow as pa

        if self._bodies:
            self._writer.write_batch(pa.record_batch([pa.array(self._bodies, pa.large_binary())], schema=_schema()))
            self.signatures.add(self._shingles)
            self._bodies, self._shingles, self._held = [], [], 0

    def sample_id(self, place: int) -> str:
        """The id of a sample."""
        return self._ids[place * _KEY_BYTES : (place + 1) * _KEY_BYTES].hex()

    def arrays(self) -> StagedArrays:
        """What is compared, of all samples."""
        return StagedArrays(
            forms=np.frombuffer(self._forms, dtype=np.uint8),
            labels=np.frombuffer(self._labels, dtype=np.int8),
            exact=np.frombuffer(self._exact, dtype=np.uint64).reshape(-1, 2),
            keys=np.frombuffer(self._keys, dtype=f"V{_KEY_BYTES}"),
            tasks=np.frombuffer(self._tasks, dtype=np.uint64),
            tokens=np.frombuffer(self._tokens, dtype=np.int32),
            owners=np.frombuffer(self._owners, dtype=np.int64),
            entities=np.frombuffer(self._entities, dtype=np.uint64),
        )

    def bodies(self) -> Iterator[dict[str, Any]]:
        """The samples again, in order; none can be added any more."""
        import pyarrow as pa

        self.flush()
        self._close()
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                for body in batch.column(0):
                    yield orjson.loads(memoryview(body.as_buffer()))

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = None


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"body": pa.large_binary()})


def _body(sample: Sample) -> bytes:
    """All of a sample that is written in the end."""
    return orjson.dumps(
        {
            "sample_id": sample.sample_id, "form": sample.form, "reason": sample.reason, "origins": sample.origins,
            "task_id": sample.task_id, "source": sample.grant.source, "licence": sample.grant.licence,
            "prompt": sample.prompt, "answers": sample.answers, "tools": sample.tools, "label": sample.label,
            "tokens": sample.tokens, "personal": sample.personal,
        }
    )  # fmt: skip


def _word(data: bytes) -> int:
    """A hash that is never 0."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()) or 1
