"""YAML in which every value knows its line, so that what is wrong in a data file is told with its line.

Belongs here: reading mappings, lists and scalars with their lines, gathering what is wrong. Not here: what a file means
(see lakehouse/scoring/rule_file.py, lakehouse/replay/arms.py).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lakehouse.errors import BadInput

if TYPE_CHECKING:
    import yaml

_SHOWN_FAULTS = 20
_Read = TypeVar("_Read")


def read_document(text: str, *, name: str) -> Located:
    """The document of a file.

    Args:
        text: YAML, one document.
        name: What it is called in messages.

    Raises:
        BadInput: It is no YAML, or empty.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or str(error)
        raise BadInput(f"{name}, line {line}: is not YAML: {problem}; mend the file", line=line) from None
    if node is None:
        raise BadInput(f"{name}, line 1: is empty; write it", line=1)
    return Located(node, name)


class Faults:
    """What is wrong in a file, gathered as it is read, so that whoever mends it hears of all of it at once.

    The first ones of the file are kept, all are counted: a file of 100 KB can hold ten thousand.
    """

    def __init__(self) -> None:
        self._first: list[BadInput] = []
        self._count = 0

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep what is refused in the block, and go on behind it."""
        try:
            yield
        except BadInput as fault:
            self._count += 1
            insort(self._first, fault, key=_line_of)
            del self._first[_SHOWN_FAULTS:]

    def read(self, read: Callable[[], _Read], instead: _Read) -> _Read:
        """What is read; where that is refused, it is kept, and `instead` stands for it until `tell`."""
        with self.gathered():
            return read()
        return instead

    @property
    def count(self) -> int:
        """How many were gathered."""
        return self._count

    def tell(self) -> None:
        """Say what was gathered, a line each in the order of the file; nothing, if nothing was.

        Raises:
            BadInput: Something was; `line` is the first one's, and `faults` holds the first ones where there are
                several.
        """
        if self._count == 1:
            raise self._first[0]
        if self._first:
            details = [fault.detail for fault in self._first]
            more = [f"and {self._count - len(details)} more"] if self._count > len(details) else []
            raise BadInput("\n".join([*details, *more]), **{**self._first[0].fields, "faults": details})


def _line_of(fault: BadInput) -> int:
    return int(fault.fields.get("line", 0))


class Located:
    """A value of a YAML file and where it stands.

    Args:
        node: The value.
        name: What the file is called in messages.
    """

    def __init__(self, node: yaml.Node, name: str) -> None:
        self._node = node
        self._name = name

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return int(self._node.start_mark.line) + 1

    def refuse(self, problem: str) -> NoReturn:
        """Say what is wrong here.

        Raises:
            BadInput: Always.
        """
        raise BadInput(f"{self._name}, line {self.line}: {problem}", line=self.line)

    def members(
        self, *, required: Sequence[str], optional: Sequence[str] = (), faults: Faults | None = None
    ) -> dict[str, Located]:
        """The members of a mapping with exactly these names; those that are optional may be missing.

        Args:
            required: Names that must be there.
            optional: Names that may be.
            faults: Where names that are unknown are gathered; None: the first one is refused.
        """
        known = (*required, *optional)
        found = {key: value for key, _, value in self.pairs()}
        for key, place, _ in self.pairs():
            with nullcontext() if faults is None else faults.gathered():
                if key not in known:
                    place.refuse(f"{key!r} is unknown here; it takes {', '.join(known)}")
        for key in required:
            if key not in found:
                self.refuse(f"{key!r} is missing; it takes {', '.join(known)}")
        return found

    def pairs(self) -> Iterator[tuple[str, Located, Located]]:
        """Key, its place and value of each member of a mapping; a key that stands twice is refused."""
        import yaml

        if not isinstance(self._node, yaml.MappingNode):
            self.refuse("must be a mapping of names to values")
        seen: set[str] = set()
        for key, value in self._node.value:
            place = Located(key, self._name)
            name = place.scalar()
            if name in seen:
                place.refuse(f"{name!r} stands twice")
            seen.add(name)
            yield name, place, Located(value, self._name)

    def items(self) -> list[Located]:
        """The elements of a list that is not empty."""
        import yaml

        if not isinstance(self._node, yaml.SequenceNode) or not self._node.value:
            self.refuse("must be a list with at least one element")
        return [Located(item, self._name) for item in self._node.value]

    def is_list(self) -> bool:
        """Whether it is a list."""
        import yaml

        return isinstance(self._node, yaml.SequenceNode)

    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        import yaml

        return isinstance(self._node, yaml.MappingNode)

    def scalar(self) -> str:
        """Its text as it is written, whatever YAML takes it for."""
        import yaml

        if not isinstance(self._node, yaml.ScalarNode) or not str(self._node.value).strip():
            self.refuse("must be a text that is not empty")
        return str(self._node.value)

    def number(self) -> float:
        """Its number, which must be finite."""
        text = self.scalar()
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.refuse(f"{text!r} is not a number")
        return number

    def one_of(self, allowed: Sequence[str]) -> str:
        """Its text, which must be one of these."""
        text = self.scalar()
        if text not in allowed:
            self.refuse(f"{text!r} is none of {', '.join(allowed)}")
        return text

    def value(self) -> Any:
        """What YAML makes of it, whole: mappings, lists, texts, numbers, true, false and null."""
        import yaml

        try:
            return yaml.SafeLoader("").construct_document(self._node)
        except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            # What a tag asks for and the text is not (`!!timestamp x`, `!!bool x`) fails in ways of its own.
            self.refuse(f"cannot be read ({getattr(error, 'problem', None) or error})")
