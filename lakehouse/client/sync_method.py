"""Calls as blocking methods of a client, and of its groups.

Belongs here: the descriptor, the group. Not here: which calls there are (see sync_client.py).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Generic, ParamSpec, Protocol, Self, TypeVar, overload

from lakehouse.client.call import Call
from lakehouse.client.signatures import method_signature, require_fit

P = ParamSpec("P")
T = TypeVar("T")


class Sends(Protocol):
    """What sends calls."""

    def _send(self, call: Call[T]) -> T: ...


class Method(Generic[P, T]):
    """A call as a method: its arguments, its result."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        return method_signature(self._make)

    @overload
    def __get__(self, sender: None, _: type) -> Self: ...

    @overload
    def __get__(self, sender: Sends, _: type) -> Callable[P, T]: ...

    def __get__(self, sender: Sends | None, _: type) -> Self | Callable[P, T]:
        if sender is None:
            return self

        @functools.wraps(self._make)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                call = self._make(*args, **kwargs)
            except TypeError:
                require_fit(self._name, self._signature, args, kwargs)
                raise
            return sender._send(call)

        method.__name__ = method.__qualname__ = self._name
        method.__signature__ = self._signature  # type: ignore[attr-defined]
        return method


class Group:
    """Calls that belong together."""

    def __init__(self, client: Sends) -> None:
        self._send = client._send
