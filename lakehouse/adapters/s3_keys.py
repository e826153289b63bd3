"""Keys for an engine that reads S3 by itself: those of the settings, or what AWS's own chain gives right now.

Belongs here: keys that may expire. Not here: boto3's clients, which renew theirs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.adapters.objects import S3Location

if TYPE_CHECKING:
    from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True)
class S3Keys:
    """One identity, for as long as it holds; None: anonymous."""

    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None = None

    def __repr__(self) -> str:
        return "S3Keys()"


class KeySource:
    """Gives the keys for a location; without any in it, those of the environment, a profile or the machine's role."""

    def __init__(self, location: S3Location) -> None:
        self._location = location
        self._chain: Credentials | None = None

    def current(self) -> S3Keys:
        """The keys that hold now; expiring ones are renewed."""
        if self._location.access_key_id is not None:
            return S3Keys(self._location.access_key_id, self._location.secret_access_key)
        if self._chain is None:
            import boto3

            self._chain = boto3.Session().get_credentials()
        if self._chain is None:
            return S3Keys(None, None)
        frozen = self._chain.get_frozen_credentials()
        return S3Keys(frozen.access_key, frozen.secret_key, frozen.token)
