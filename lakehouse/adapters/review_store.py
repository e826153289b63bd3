"""Reviews in the bucket, below `audits/reviews/`: the report of each, its findings with their lives, reviewers' rates.

| key | holds |
| --- | --- |
| `audits/reviews/<review_id>/report.json`, `.md` | the review as it was made; written once |
| `audits/reviews/<review_id>/findings.json` | its findings, replaced by compare-and-swap with every change |
| `audits/reviews/rates.json` | how often each reviewer was wrong, made anew of all findings |

Belongs here: keys, writes and their order. Not here: what is in them (see lakehouse/review).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.errors import BadInput, NotFound, PreconditionFailed, Unavailable
from lakehouse.review.life import KeptFindings, keep
from lakehouse.review.rates import Rate, rates_document, rates_of
from lakehouse.review.report import review_markdown
from lakehouse.review.review import Review
from lakehouse.storage.objects import ObjectStore, StoredObject

PREFIX = "audits/reviews/"
RATES = f"{PREFIX}rates.json"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JSON = "application/json"
_DEADLINE_S = 30.0
_READERS = 8


class ReviewStore:
    """The reviews of one bucket.

    Args:
        store: The bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def keep(self, review: Review, rates: dict[str, Rate]) -> str:
        """Store a new review; gives the key of its report for people.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        folder = f"{PREFIX}{review.review_id}/"
        self._store.put(
            f"{folder}findings.json", _encode(keep(review).to_document()), if_absent=True, content_type=_JSON
        )
        self._store.put(f"{folder}report.json", _encode(review.to_document()), content_type=_JSON)
        key = f"{folder}report.md"
        self._store.put(key, review_markdown(review, rates=rates).encode(), content_type="text/markdown; charset=utf-8")
        return key

    def report(self, review_id: str) -> dict[str, Any]:
        """The document of a review.

        Raises:
            NotFound: There is no such review.
        """
        document: dict[str, Any] = orjson.loads(self._get(review_id, "report.json"))
        return document

    def findings(self, review_id: str) -> KeptFindings:
        """The findings of a review as they stand now.

        Raises:
            NotFound: There is no such review.
            BrokenManifest: They are damaged.
        """
        return _findings(self._get(review_id, "findings.json"), _key(review_id))

    def change(self, review_id: str, update: Callable[[KeptFindings], KeptFindings]) -> KeptFindings:
        """Change the findings of a review by compare-and-swap.

        Args:
            review_id: The review.
            update: Called with what is there, again where another writer came first; what it raises goes through.

        Returns:
            What is there now.

        Raises:
            NotFound: There is no such review.
            Unavailable: Others kept writing.
        """
        key = _key(review_id)
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            stored = self._stored(key, review_id)
            before = _findings(stored.body, key)
            after = update(before)
            if after is before:
                return before
            try:
                self._store.put(key, _encode(after.to_document()), if_match=stored.info.etag, content_type=_JSON)
            except PreconditionFailed:
                continue
            return after
        raise Unavailable(f"others kept changing the findings of review {review_id}; try again", retry_after_s=5)

    def ids(self) -> list[str]:
        """The reviews there are, oldest first."""
        return [name for name in sorted(self._store.folders(PREFIX)) if _ID.fullmatch(name)]

    def all_findings(self) -> Iterator[KeptFindings]:
        """The findings of every review; one whose review was never finished is passed over."""

        def read(review_id: str) -> KeptFindings | None:
            try:
                return self.findings(review_id)
            except NotFound:
                return None

        with ThreadPoolExecutor(_READERS) as pool:
            yield from (found for found in pool.map(read, self.ids()) if found is not None)

    def rates(self) -> tuple[Rate, ...]:
        """Each reviewer's rate over all reviews, which are kept, too."""
        rates = rates_of(self.all_findings())
        self._store.put(RATES, _encode(rates_document(rates)), content_type=_JSON)
        return rates

    def _get(self, review_id: str, name: str) -> bytes:
        return self._stored(_key(review_id, name), review_id).body

    def _stored(self, key: str, review_id: str) -> StoredObject:
        try:
            return self._store.get(key)
        except NotFound:
            raise NotFound(f"there is no review {review_id}; see: lakehouse review list", review_id=review_id) from None


def _key(review_id: str, name: str = "findings.json") -> str:
    if not _ID.fullmatch(review_id):
        raise BadInput(f"{review_id[:60]!r} is not an id of a review; see: lakehouse review list")
    return f"{PREFIX}{review_id}/{name}"


def _findings(body: bytes, key: str) -> KeptFindings:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BrokenManifest(f"{key!r} is not JSON ({error}): restore it from a backup", key=key) from None
    return KeptFindings.from_document(document, key=key)


def _encode(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
