"""Options that are refused, and bytes that are not of the stated encoding, with a real conversion child."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import BadInput, Unprocessable
from lakehouse.ingest import make_options
from tests.ingesting import IngestDesk


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


@pytest.mark.parametrize(
    "encoding", ["zip", "base64", "rot13", "hex", "bz2", "quopri", "uu", "idna", "punycode", "undefined"]
)
def test_codec_that_is_for_no_text_file_is_refused(desk: IngestDesk, encoding: str) -> None:
    with pytest.raises(BadInput, match="encoding"):
        desk.load("a\n1\n", encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_bytes_of_another_encoding_are_refused(desk: IngestDesk, encoding: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        desk.load("id,name\n1,Ann\n", encoding=encoding)
    assert caught.value.fields["line"] == 1


def test_unknown_key_in_types_is_refused(desk: IngestDesk) -> None:
    with pytest.raises(BadInput, match="'PII'"):
        desk.load("z\n1\n", types='{"z": {"PII": true}}')


@pytest.mark.parametrize("depth", [900, 3000])
@pytest.mark.parametrize("form", ["%s", '{"z": %s}', '{"z": {"type": %s}}', '{"z": {"x": %s}}'])
def test_types_nested_deep_are_refused(form: str, depth: int) -> None:
    with pytest.raises(BadInput, match="types"):
        make_options(types=form % ("[" * depth + "]" * depth))
