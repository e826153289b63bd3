"""What to do about a file that was refused, in the terms of the door that it came through.

A refusal is worded for HTTP (`send on_error=quarantine`); a landing folder has options in a file, a page has fields.

Belongs here: the words that differ. Not here: what is refused (see csv_scanner.py, lakehouse/adapters/conversion.py),
the command's words (see lakehouse_cli/own_terms.py).
"""

from __future__ import annotations

from dataclasses import dataclass

QUARANTINE = "send on_error=quarantine"
EVOLVE = "send evolve=true"
ENCODING = "state the file's encoding with encoding="
UTF_16 = "state the encoding: utf-16"


@dataclass(frozen=True, slots=True)
class Door:
    """How a way in says what is to be done.

    Attributes:
        quarantine: Instead of `QUARANTINE`.
        evolve: Instead of `EVOLVE`.
        encoding: Instead of `ENCODING` and `UTF_16`.
    """

    quarantine: str
    evolve: str
    encoding: str

    def says(self, detail: str) -> str:
        """A refusal in the terms of this door."""
        own = {QUARANTINE: self.quarantine, EVOLVE: self.evolve, ENCODING: self.encoding, UTF_16: self.encoding}
        for theirs, ours in own.items():
            detail = detail.replace(theirs, ours)
        return detail


def landing_door(options_key: str) -> Door:
    """The landing folder whose options lie under a key."""
    return Door(
        quarantine=f'write {{"on_error": "quarantine"}} into {options_key}',
        evolve="materialize the dataset's partition with `evolve: true` in the run's config",
        encoding=f'state the files\' encoding in {options_key}, as in {{"encoding": "cp1252"}}',
    )
