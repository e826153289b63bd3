"""Playing scenarios against a service: as fast as so many at once can be, or at a pace that does not wait for answers.

At a pace, latencies count from when a scenario was meant to begin, so a service that falls behind shows it. Waiting for
each answer before the next request would hide that (coordinated omission).

Belongs here: connections, pace, clocks, when it ends. Not here: what is played (see lakehouse/load/).
"""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from lakehouse.adapters.kept_http import Broken, KeptConnection, Target
from lakehouse.load.steps import Reply, Scenario, Wrong
from lakehouse.load.tally import Tally

_LOOK_S = 0.25
_AFTER_BROKEN_S = 0.1
# A garbage collection of the objects that exist already would delay every answer.
_GC_THRESHOLDS = (50_000, 50, 50)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, how long.

    Args:
        concurrency: Connections, each with one scenario at a time.
        duration_s: No scenario begins later; None: when the scenarios end.
        starts: Seconds after the start at which scenarios are meant to begin; None: each when the one before has ended.
        timeout_s: Longest wait for one answer, and for those that are behind the pace at the end.
    """

    concurrency: int
    duration_s: float | None = None
    starts: Iterator[float] | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it; `cpu_share` is the part of one core that this process took."""

    tally: Tally
    seconds: float
    cpu_share: float


def play(scenarios: Iterator[Scenario], target: Target, pace: Pace) -> Played:
    """Play scenarios until they, or the time, end. Interrupted (Ctrl-C), it ends early, in order.

    Args:
        scenarios: In their order.
        target: The service.
        pace: How much at once, how long.

    Raises:
        Unavailable: The service takes no connection at the start.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    try:
        return run(_Driver(scenarios, target, pace).run())
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class _Driver:
    """One run."""

    def __init__(self, scenarios: Iterator[Scenario], target: Target, pace: Pace) -> None:
        self._scenarios = scenarios
        self._pace = pace
        self._connections = [KeptConnection(target) for _ in range(pace.concurrency)]
        self._tally = Tally()
        self._is_over = False
        self._is_interrupted = False
        self._due: asyncio.Queue[float | None] = asyncio.Queue()
        self._stop_pacing = threading.Event()
        self._begun = 0.0

    async def run(self) -> Played:
        """Play."""
        await asyncio.gather(*(connection.connect() for connection in self._connections))
        with suppress(ValueError, RuntimeError, NotImplementedError):  # only the main thread hears signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        self._begun = begun
        watch = asyncio.create_task(self._watch(begun))
        try:
            if self._pace.starts is None:
                await asyncio.gather(*(self._play_on(connection) for connection in self._connections))
            else:
                await self._paced(self._pace.starts, begun)
        finally:
            watch.cancel()
            seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_begun
            for connection in self._connections:
                connection.close()
        return Played(self._tally, seconds, cpu_s / max(seconds, 1e-9))

    def _interrupt(self) -> None:
        """End early; the next Ctrl-C ends at once."""
        self._is_over = self._is_interrupted = True
        self._stop_pacing.set()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    async def _play_on(self, connection: KeptConnection) -> None:
        while not self._is_over and (scenario := next(self._scenarios, None)) is not None:
            await self._play(scenario, connection, begun=time.perf_counter())

    async def _paced(self, starts: Iterator[float], begun: float) -> None:
        loop = asyncio.get_running_loop()
        # A thread, as the timers of the loop have a resolution of a millisecond, longer than many answers take.
        pacer = threading.Thread(target=self._give_starts, args=(starts, begun, loop), daemon=True)
        pacer.start()
        try:
            await asyncio.gather(*(self._play_due(connection) for connection in self._connections))
        finally:
            self._stop_pacing.set()
            await asyncio.to_thread(pacer.join)

    def _give_starts(self, starts: Iterator[float], begun: float, loop: asyncio.AbstractEventLoop) -> None:
        for at in starts:
            due = begun + at
            if self._stop_pacing.wait(max(0.0, due - time.perf_counter())):
                break
            loop.call_soon_threadsafe(self._put_due, due)
        for _ in self._connections:
            loop.call_soon_threadsafe(self._due.put_nowait, None)

    def _put_due(self, due: float) -> None:
        self._tally.start_lags_ms.append((time.perf_counter() - due) * 1000)
        self._due.put_nowait(due)

    async def _play_due(self, connection: KeptConnection) -> None:
        while (due := await self._due.get()) is not None:
            if self._is_over:
                self._tally.never_begun += not self._is_interrupted
                continue
            scenario = next(self._scenarios, None)
            if scenario is None:
                self._stop_pacing.set()
                continue
            await self._play(scenario, connection, begun=due)

    async def _watch(self, begun: float) -> None:
        """Ends waits that are too long, and the whole when its time is over."""
        end = None if self._pace.duration_s is None else begun + self._pace.duration_s
        if end is not None and self._pace.starts is not None:
            end += self._pace.timeout_s  # time for scenarios that are behind the pace
        while True:
            now = time.perf_counter()
            self._is_over = self._is_over or (end is not None and now >= end)
            for connection in self._connections:
                connection.give_up_before(now - self._pace.timeout_s)
            left_s = _LOOK_S if end is None or self._is_over else max(0.0, end - now)
            await asyncio.sleep(min(_LOOK_S, left_s))

    async def _play(self, scenario: Scenario, connection: KeptConnection, *, begun: float) -> None:
        tally, steps, asked_at = self._tally, scenario.steps, begun
        ask, is_failed = next(steps), True
        while True:
            try:
                status, body, now = await connection.ask(ask.method, ask.path, ask.body)
                tally.answered(ask.kind, (now - asked_at) * 1000)
                following = steps.send(Reply(status, body))
            except StopIteration:
                is_failed = False
                break
            except Broken as error:
                now = time.perf_counter()
                tally.unanswered(ask.kind)
                tally.failed(scenario.kind, ask.kind, Wrong("no answer", str(error)))
                steps.close()
                await asyncio.sleep(_AFTER_BROKEN_S)
                break
            except Wrong as wrong:
                tally.failed(scenario.kind, ask.kind, wrong)
                break
            ask, asked_at = following, time.perf_counter()
        tally.played(scenario.kind, (now - begun) * 1000, at_s=now - self._begun, is_failed=is_failed)
