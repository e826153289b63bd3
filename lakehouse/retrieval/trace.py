"""Trace ids: signed tokens of what an answer showed, so that any process can credit it later.

A token is `<payload>.<signature>`: base64url JSON, then base64url of the first 16 bytes of its HMAC-SHA256 (RFC 2104).
It needs no lookup and no state; one that was not made here, or was changed, is refused.

Belongs here: what a trace holds, signing and reading. Not here: where the key comes from (see
lakehouse/adapters/trace_key.py), crediting (see outcomes.py).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

from lakehouse.errors import NotFound

Arm = Literal["playbook", "holdout", "off"]
_VERSION = 1
_SIGNATURE_BYTES = 16
_MAX_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Shown:
    """One result that was shown, and the playbook entries that had lifted, sunk or injected it."""

    corpus: str
    id: str
    playbook_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What an answer showed: its run, the arm it was served in, the config it ran under, the results in order."""

    run_id: str
    arm: Arm
    config_version: str
    shown: tuple[Shown, ...]


class TraceSigner:
    """Makes and reads trace ids with one key.

    Args:
        key: At least 16 secret bytes, the same in every process of a bucket.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(
            key, digestmod="sha256"
        )  # copied for each token, as keying a new one takes as long again

    def sign(self, trace: Trace) -> str:
        """The token of a trace."""
        return self.sign_shown(
            trace.run_id,
            trace.arm,
            trace.config_version,
            encode_shown((one.corpus, one.id, one.playbook_ids) for one in trace.shown),
        )

    def sign_shown(self, run_id: str, arm: Arm, config_version: str, shown: bytes) -> str:
        """The same with the output of `encode_shown`, as a cached answer is shown many times."""
        payload = _encode(orjson.dumps([_VERSION, run_id, arm, config_version, orjson.Fragment(shown)]))
        return f"{payload}.{self._signature(payload)}"

    def read(self, token: str) -> Trace:
        """The trace behind a token.

        Raises:
            NotFound: The token was not made here, or was changed.
        """
        payload, _, signature = token.partition(".")
        is_known = len(token) <= _MAX_BYTES and hmac.compare_digest(
            signature.encode("utf-8", "replace"), self._signature(payload).encode()
        )
        if not is_known:
            raise NotFound("there is no such trace_id; send the one that a search or an answer gave")
        _, run_id, arm, config_version, shown = orjson.loads(_decode(payload))
        return Trace(run_id, arm, config_version, tuple(Shown(c, i, tuple(p)) for c, i, *p in shown))

    def _signature(self, payload: str) -> str:
        signing = self._keyed.copy()
        signing.update(payload.encode("utf-8", "replace"))
        return _encode(signing.digest()[:_SIGNATURE_BYTES])


def encode_shown(shown: Iterable[tuple[str, str, Iterable[str]]]) -> bytes:
    """What was shown, each as corpus, id and entries, as a trace holds it."""
    return orjson.dumps([[corpus, one, *playbook_ids] for corpus, one, playbook_ids in shown])


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise NotFound("there is no such trace_id") from None
