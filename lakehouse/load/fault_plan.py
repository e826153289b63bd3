"""The plan of faults: which come when during a load, each more than once where there is time.

Belongs here: kinds of faults, their times. Not here: doing harm (see lakehouse_cli/load_faults.py), what is lost by it
(see chaos.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Shorter, a fault would not be over when the next begins.
_ROUND_S = 180.0
# When each begins, as a share of a round: each has the rest of its quarter to be over.
_SHARES = (0.06, 0.28, 0.5, 0.74)


class Fault(StrEnum):
    """What is done to the platform, in the words of reports."""

    STORE = "the S3 server is killed"
    API = "the API is killed"
    SPOOL = "the spool's quota is filled while the S3 server hangs"
    RUN = "a Dagster run is killed"


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault: its kind, its round (from 1), and when it begins, in seconds from the start of the load."""

    fault: Fault
    round: int
    at_s: float

    @property
    def name(self) -> str:
        """As reports name it."""
        return f"{self.fault.name.lower()} {self.round}"


def plan_faults(duration_s: float) -> list[Planned]:
    """Every kind of fault in each round; a round for every three minutes, at least one.

    Args:
        duration_s: Of the load.
    """
    rounds = max(1, int(duration_s // _ROUND_S))
    each_s = duration_s / rounds
    return [
        Planned(fault, number + 1, (number + share) * each_s)
        for number in range(rounds)
        for fault, share in zip(Fault, _SHARES, strict=True)
    ]
