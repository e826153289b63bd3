"""Words that must go, looked for in texts: a subject, and the ids of runs.

Belongs here: matching and blotting out. Not here: the patterns (see lakehouse/lineage/subject.py), where texts lie (see
erasure_sweep.py, memory_erasure.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from lakehouse.lineage.subject import run_pattern, subject_pattern
from lakehouse.query.quoting import quote_text

BLOT = "[erased]"
_RUNS_AT_ONCE = 200


class Words:
    """What a retraction is about.

    Args:
        subject: Words of a subject, or None.
        runs: Ids of runs.
    """

    def __init__(self, subject: str | None, runs: Sequence[str] = ()) -> None:
        self._subject = subject
        self._runs = tuple(runs)

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """In RE2's syntax, to be matched without regard to case."""
        portions = [self._runs[at : at + _RUNS_AT_ONCE] for at in range(0, len(self._runs), _RUNS_AT_ONCE)]
        spoken = () if self._subject is None else (subject_pattern(self._subject),)
        return (*spoken, *(run_pattern(portion) for portion in portions))

    def are_in(self, texts: Sequence[bytes | str]) -> list[bool]:
        """For each text whether they are in it; bytes that are no UTF-8 are passed over."""
        import pyarrow as pa
        import pyarrow.compute as pc

        said = pa.array([one.decode(errors="replace") if isinstance(one, bytes) else one for one in texts], pa.string())
        found = pa.array([False] * len(texts), pa.bool_())
        for pattern in self.patterns:
            found = pc.or_(found, pc.match_substring_regex(said, pattern, ignore_case=True))
        return [bool(one) for one in found.to_pylist()]

    @cached_property
    def of_subject(self) -> Words:
        """The same without the runs."""
        return Words(self._subject)

    def speak(self, text: str) -> bool:
        """Whether a text speaks of the subject; runs do not count."""
        return self.of_subject.are_in([text])[0]

    def blotted(self, text: str) -> str:
        """A text with something else in the place of the subject's words; of runs the ids stay."""
        if self._subject is None:
            return text
        import pyarrow as pa
        import pyarrow.compute as pc

        pattern = f"(?i){subject_pattern(self._subject, is_grouped=True)}"
        while self.speak(text):
            # A match includes the character that ends it, so of two adjacent matches the second is found in the next
            # round.
            text = pc.replace_substring_regex(pa.array([text]), pattern, rf"\1{BLOT}\2")[0].as_py()
        return text

    def condition(self, expression: str) -> str:
        """SQL that is true where they are in the text of an expression."""
        told = [f"regexp_matches({expression}, {quote_text(pattern)}, 'i')" for pattern in self.patterns]
        return " OR ".join(told) or "false"
