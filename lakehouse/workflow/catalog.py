"""The catalog of modes: those of the platform, and those that installed packages bring.

A package brings a mode by an entry point of the group `lakehouse.workflow_modes` that names a `Mode`.

Belongs here: finding modes by name. Not here: the modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lakehouse.errors import BadInput
from lakehouse.workflow.mode import Mode

GROUP = "lakehouse.workflow_modes"


class ModeCatalog:
    """Modes by name.

    Args:
        modes: The modes; a name may stand once.

    Raises:
        BadInput: Two have the same name.
    """

    def __init__(self, modes: Iterable[Mode]) -> None:
        self._modes: dict[str, Mode] = {}
        for mode in modes:
            if mode.name in self._modes:
                raise BadInput(f"there are two modes {mode.name!r}; rename one or uninstall its package")
            self._modes[mode.name] = mode

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._modes))

    @property
    def modes(self) -> Mapping[str, Mode]:
        """All modes by name."""
        return self._modes

    def find(self, name: str) -> Mode | None:
        """The mode of a name; None where there is none."""
        return self._modes.get(name)


def load_modes(points: Iterable[EntryPoint]) -> list[Mode]:
    """The modes that entry points name.

    Raises:
        BadInput: One cannot be loaded, or is no mode; the message names it and its package.
    """
    found: list[Mode] = []
    for point in sorted(points, key=lambda one: one.name):
        of = f"the workflow mode {point.name!r} ({point.value})"
        try:
            mode = point.load()
        except Exception as error:  # code of others may fail in any way, and a start must say whose it was
            raise BadInput(f"{of} cannot be loaded: {error}; mend or uninstall its package") from error
        if not isinstance(mode, Mode):
            raise BadInput(f"{of} is not a lakehouse.workflow.mode.Mode but {type(mode).__name__}")
        found.append(mode)
    return found


@cache
def default_catalog() -> ModeCatalog:
    """The modes of the platform and of installed packages.

    Raises:
        BadInput: A package brings one that is none.
    """
    from lakehouse.workflow.modes_data import DATA_MODES
    from lakehouse.workflow.modes_judging import JUDGING_MODES
    from lakehouse.workflow.modes_nested import NESTED_MODES
    from lakehouse.workflow.modes_text import TEXT_MODES

    own = (*DATA_MODES, *TEXT_MODES, *JUDGING_MODES, *NESTED_MODES)
    return ModeCatalog([*own, *load_modes(entry_points(group=GROUP))])
