"""Parameters behind the `?`: one that a route does not know is refused, for it was meant to do something.

OpenAI's routes leave them alone, as proxies of that API add theirs; so do health and metrics, which probes ask, and
pages, to whose addresses mail and chat programs add.

Belongs here: the refusal, and the parameter that several routes have. Not here: what a route knows (see routes/),
fields of bodies (see struct_bodies.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Annotated

import fastapi
from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from lakehouse.errors import BadInput
from lakehouse_api.openai_errors import is_openai

_SHOWN = 40
MinRevision = Annotated[str | None, fastapi.Query(description="Wait up to 2 s until this write is visible.")]
"""Of the routes that read what a write answered with a `revision` changed."""


async def known_parameters(request: Request) -> None:
    """Refuse parameters that the route of a request does not know; a dependency of the routes.

    Raises:
        BadInput: There is one; the message names what was probably meant, else those there are.
    """
    if not request.scope["query_string"] or is_openai(request.scope):
        return
    fields = get_flat_params(request.scope["route"].dependant)
    refuse_unknown(request.query_params, [field.alias for field in fields if isinstance(field.field_info, Query)])


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name that is not known.

    Args:
        given: The parameters' names.
        known: Those that the route has.

    Raises:
        BadInput: As `known_parameters`.
    """
    unknown = sorted(set(given) - set(known))
    if not unknown:
        return
    said = f"there is no parameter {unknown[0][:_SHOWN]!r}"
    if not known:
        raise BadInput(f"{said}: this route takes none behind the `?`", option="query")
    meant = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f"; did you mean {meant[0]!r}?" if meant else ""
    raise BadInput(f"{said}{hint or ';'} there {'are' if len(known) > 1 else 'is'} {', '.join(known)}", option="query")
