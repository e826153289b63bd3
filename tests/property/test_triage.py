"""Property: whatever is filled and decided in whatever order, an item is decided once and never comes again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import Conflict, NotFound
from lakehouse.triage.decision import decide, line_of
from tests.unit.test_triage import NOW, Desk, choose, item

NAMES = [f"r{n}" for n in range(6)]
FILL = st.tuples(st.just("fill"), st.sets(st.sampled_from(NAMES)), st.integers(1, 5))
DECIDE = st.tuples(
    st.just("decide"), st.sampled_from(NAMES), st.sampled_from(["dana", "bo"]), st.sampled_from(["accept", "reject"]),
    st.integers(1, 3), st.booleans(),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.one_of(FILL, DECIDE), max_size=25))
def test_item_is_decided_once_and_its_line_is_written_once(steps: list[tuple[object, ...]]) -> None:
    desk = Desk(most_open=4)
    won: dict[str, tuple[str, str]] = {}
    for number, step in enumerate(steps):
        now = NOW + timedelta(minutes=number)
        if step[0] == "fill":
            _, names, testimony = step
            asks = [item(name, testimony=testimony) for name in sorted(names)]  # type: ignore[call-overload]
            desk.fill(*asks, at=now)
            before = desk.queue.items()
            report = desk.fill(*asks, at=now)
            assert (report.added, report.updated, report.withdrawn) == ({}, 0, 0)
            assert desk.queue.items() == before
        else:
            _, name, who, choice, version, is_cut_off = step
            asked = choose(str(choice), str(who), int(str(version)))
            try:
                after = desk.queue.change(item(str(name)).item_id, lambda one, a=asked, t=now: decide(one, a, at=t))  # type: ignore[misc]
            except (Conflict, NotFound):
                continue
            assert won.setdefault(str(name), (str(who), str(choice))) == (who, choice)
            if not is_cut_off and not after.is_logged:
                desk.lines.append(line_of(after))
                desk.queue.finish(after)
        assert len([one for one in desk.queue.items() if one.is_active]) <= 4
        assert not {one.subject.of for one in desk.queue.items() if one.is_active} & set(won)
    desk.fill(at=NOW + timedelta(days=1))
    assert {line["review_of"]: (line["by"], line["verdict"]) for line in desk.lines} == won
    assert len(desk.lines) == len(won)
