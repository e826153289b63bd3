"""Chance: the waits by which writers and clients take turns, and the share of requests that is logged.

A generator of its own, and not the functions of `random`, whose one state anything in the process may seed. A forked
process seeds it anew: two that wait the same time meet again.

Belongs here: a number by chance, a time by chance. Not here: when to wait at all, which each caller knows.
"""

import os
import random

_SOURCE = random.Random()  # noqa: S311 - no secret hangs on it
os.register_at_fork(after_in_child=_SOURCE.seed)


def draw() -> float:
    """A number from 0 to below 1."""
    return _SOURCE.random()


def jitter_s(least: float, most: float) -> float:
    """A time to wait from `least` to `most` seconds."""
    return _SOURCE.uniform(least, most)


__all__ = ["draw", "jitter_s"]
