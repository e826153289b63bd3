"""Chance: the waits by which writers and clients take turns, and the share of requests that is logged.

`random.SystemRandom` and not the functions of `random`: those have one state for the process, which a seed set for
something else makes predictable, and which forked processes would share; two that wait the same time meet again.

Belongs here: a number by chance, a time by chance. Not here: when to wait at all, which each caller knows.
"""

import random

_SOURCE = random.SystemRandom()


def draw() -> float:
    """A number from 0 to below 1."""
    return _SOURCE.random()


def jitter_s(least: float, most: float) -> float:
    """A time to wait from `least` to `most` seconds."""
    return _SOURCE.uniform(least, most)


__all__ = ["draw", "jitter_s"]
