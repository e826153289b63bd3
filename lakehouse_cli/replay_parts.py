"""What the commands on replays and promotions work with, made of the settings.

Belongs here: constructors, reading of arguments that both have. Not here: options and output (see replay_commands.py,
promotion_commands.py).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer

from lakehouse_cli.evidence_parts import EvidenceParts

if TYPE_CHECKING:
    from lakehouse.adapters.promotion import Promotions
    from lakehouse.adapters.promotion_proposals import Proposals
    from lakehouse.adapters.replay_batches import Replays
    from lakehouse.promotion.rules import PromotionRules
    from lakehouse.replay.cut import Cut
    from lakehouse.replay.task import ReplayTask


class ReplayParts(EvidenceParts):
    """The parts of this installation's replays; each is made when it is first asked for."""

    @cached_property
    def proposals(self) -> Proposals:
        """What could be better."""
        from lakehouse.adapters.promotion_proposals import Proposals

        return Proposals(self.settings, self.objects, self.location, work_dir=self.work_dir)

    @cached_property
    def promotions(self) -> Promotions:
        """What was made live."""
        from lakehouse.adapters.promotion import Promotions

        return Promotions(self.objects, self.location, work_dir=self.work_dir)

    def replays(self, rules: PromotionRules | None = None) -> Replays:
        """Batches, decided under these rules."""
        from lakehouse.adapters.replay_batches import Replays

        return Replays(self.settings, self.objects, shared_tasks=self.proposals.shared_tasks, rules=rules)

    def past_tasks(self, most: int, *, is_held_out: bool = False) -> list[ReplayTask]:
        """Tasks of the past, from evidence."""
        from lakehouse.adapters.replay_tasks import past_tasks

        side = "held_out" if is_held_out else "all"
        return past_tasks(self.objects, self.location, work_dir=self.work_dir, most=most, side=side)  # type: ignore[arg-type]


def read_rules_file(path: Path | None) -> PromotionRules | None:
    """The rules of a file; None: those of the platform.

    Raises:
        BadInput: They are wrong; says the line.
    """
    from lakehouse.promotion.rules import read_rules

    return None if path is None else read_rules(read_utf8(path), name=path.name)


def read_utf8(path: Path) -> str:
    """A file as text.

    Raises:
        BadInput: It is none, or cannot be read.
    """
    from lakehouse.errors import BadInput

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as UTF-8 text: {error}") from None


def read_as_of(text: str | None) -> Cut | None:
    """A cut, as JSON or as a file of it.

    Raises:
        BadInput: It is none.
    """
    from lakehouse.replay.cut import parse_cut

    if text is None:
        return None
    try:
        return parse_cut(orjson.loads(text if text.lstrip().startswith("{") else Path(text).read_bytes()))
    except (orjson.JSONDecodeError, OSError):
        raise typer.BadParameter(
            f"{text[:60]!r} is neither a JSON object nor a file of one; `lakehouse replay cut` prints one",
            param_hint="--as-of",
        ) from None
