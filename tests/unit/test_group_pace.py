"""Groups of some writes keep their distance; single writes and crowds do not wait."""

from __future__ import annotations

from lakehouse.adapters.group_pace import GroupPace


class Clock:
    """A clock that stands still but for those who sleep."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now_s += seconds


def test_single_writes_and_crowds_follow_each_other_at_once() -> None:
    clock = Clock()
    pace = GroupPace(0.01, monotonic=clock.monotonic, sleep=clock.sleep)
    for count in (0, 1, 3, 50, 1):
        pace.keep()
        pace.begin(count)
    assert clock.slept == []


def test_group_after_one_of_some_waits_for_the_rest_of_its_time() -> None:
    clock = Clock()
    pace = GroupPace(0.01, monotonic=clock.monotonic, sleep=clock.sleep)
    pace.begin(5)
    clock.now_s += 0.004  # it was written
    pace.keep()
    pace.begin(20)
    clock.now_s += 0.02  # that took longer than the distance
    pace.keep()
    pace.begin(1)
    pace.keep()
    assert clock.slept == [0.006]
