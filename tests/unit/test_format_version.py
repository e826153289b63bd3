"""Stored documents of other versions are told, and none is read as what it is not."""

from __future__ import annotations

import pytest

from lakehouse.errors import BadInput
from lakehouse.storage.format_version import require_exactly, require_not_newer


def test_earlier_version_is_read_and_a_later_one_is_told() -> None:
    require_not_newer({"format_version": 1}, 2)
    require_not_newer({"format_version": 2}, 2)
    with pytest.raises(ValueError, match="format_version 3 is newer than this program"):
        require_not_newer({"format_version": 3}, 2)


def test_another_version_names_the_key_and_what_is_read() -> None:
    require_exactly({"format_version": 2}, 2, key="a.json")
    for version in (1, 3, "2"):
        with pytest.raises(BadInput, match=r"a\.json has format_version \d; this program reads 2"):
            require_exactly({"format_version": version}, 2, key="a.json")


def test_document_without_a_version_is_none() -> None:
    with pytest.raises(KeyError):
        require_not_newer({}, 1)
    with pytest.raises(KeyError):
        require_exactly({}, 1, key="a.json")
