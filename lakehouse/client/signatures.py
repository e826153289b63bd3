"""How a call looks as a method: under its own name, with the type of its result, in `help` and in errors.

Belongs here: the signature, what is said of arguments that do not fit it. Not here: the methods (see sync_method.py,
async_method.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def method_signature(make: Callable[..., Any]) -> inspect.Signature:
    """The signature of a method that makes a call and sends it: its result is the call's.

    Args:
        make: Makes the call; annotated with `Call[…]`.
    """
    signature = inspect.signature(make)
    result = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    return signature.replace(return_annotation=result)


def require_fit(name: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a method does not take.

    Raises:
        TypeError: By the method's name, with what it takes.
    """
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}: {error}; it is called as {name}({', '.join(_parameters(signature))})") from None


def _parameters(signature: inspect.Signature) -> list[str]:
    """The parameters by name, with the star before those that are given by name alone."""
    names: list[str] = []
    is_by_name = False
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not is_by_name:
            names.append("*")
            is_by_name = True
        names.append(parameter.name if parameter.default is inspect.Parameter.empty else f"{parameter.name}=…")
    return names
