"""The landing plan: whatever happens in the folders, every state that stays is taken in, once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.storage.objects import ObjectInfo
from lakehouse_assets.landing_plan import (
    EMPTY,
    MAX_RUNS_PER_TICK,
    LandingCursor,
    LandingRun,
    Outcome,
    folder_fingerprint,
    pending_run_keys,
    request,
    scan,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRESH = LandingCursor(born=1)


def info(key: str, etag: str = "e") -> ObjectInfo:
    return ObjectInfo(key, 1, etag, NOW)


def listed(files: dict[str, str], *, page: int = 1000) -> list[list[ObjectInfo]]:
    objects = [info(key, etag) for key, etag in sorted(files.items())]
    return [objects[i : i + page] for i in range(0, len(objects), page)] or [[]]


def tick(
    cursor: LandingCursor,
    files: dict[str, str],
    outcomes: dict[str, Outcome] | None = None,
    *,
    page: int = 1000,
    taken: dict[str, str] | None = None,
) -> tuple[LandingCursor, list[LandingRun]]:
    """One whole look: every page, the cursor stored and read again after each, then the requests."""
    pages = listed(files, page=page)
    for number, objects in enumerate(pages, 1):
        following = None if number == len(pages) else objects[-1].key
        cursor = stored(scan(cursor, objects, next_after=following).cursor)
    known = outcomes if outcomes is not None else dict.fromkeys(pending_run_keys(cursor), "done")
    plan = request(cursor, known, taken=taken)
    return stored(plan.cursor), list(plan.runs)


def stored(cursor: LandingCursor) -> LandingCursor:
    again = LandingCursor.from_json(cursor.to_json(), now=99)
    assert again == cursor
    return again


def test_file_is_taken_at_the_second_look() -> None:
    files = {"landing/a/1.csv": "x"}
    cursor, runs = tick(FRESH, files)
    assert runs == []
    cursor, runs = tick(cursor, files)
    assert [r.dataset for r in runs] == ["a"]
    _, runs = tick(cursor, files)
    assert runs == []


def test_a_thousand_new_files_make_one_run_and_a_small_cursor() -> None:
    files = {f"landing/a/{i:05}.csv": str(i) for i in range(1000)}
    cursor, _ = tick(FRESH, files)
    cursor, runs = tick(cursor, files)
    assert len(runs) == 1
    assert len(cursor.to_json()) < 500


def test_changed_etag_and_vanished_folder_are_noticed() -> None:
    cursor, _ = tick(FRESH, {"landing/a/1.csv": "x"})
    cursor, first = tick(cursor, {"landing/a/1.csv": "x"})
    cursor, _ = tick(cursor, {"landing/a/1.csv": "y"})
    cursor, second = tick(cursor, {"landing/a/1.csv": "y"})
    cursor, _ = tick(cursor, {})
    cursor, third = tick(cursor, {})
    assert [len(r) for r in (first, second, third)] == [1, 1, 1]
    cursor, _ = tick(cursor, {})
    assert cursor.folders == {}


def test_state_that_comes_back_gets_a_run_key_of_its_own() -> None:
    keys: list[str] = []
    cursor = FRESH
    for etag in "xxyyxx":
        cursor, runs = tick(cursor, {"landing/a/1.csv": etag})
        keys += [r.run_key for r in runs]
    assert len(keys) == len(set(keys)) == 3


def test_folder_that_goes_and_comes_back_gets_a_run_key_of_its_own() -> None:
    keys: list[str] = []
    cursor, there, gone = FRESH, {"landing/a/1.csv": "x"}, dict[str, str]()
    for files in (there, there, gone, gone, gone, there, there):
        cursor, runs = tick(cursor, files)
        keys += [r.run_key for r in runs]
    assert len(keys) == len(set(keys)) == 3


def test_options_are_read_with_files_and_alone_are_nothing() -> None:
    options = {"landing/a/_options.json": "o"}
    cursor, runs = FRESH, list[LandingRun]()
    for _ in range(3):
        cursor, more = tick(cursor, options, page=1)
        runs += more
    assert runs == []
    counts = []
    for etag in ("o", "p"):
        files = {"landing/a/1.csv": "x", "landing/a/_options.json": etag, "landing/a/z.csv": "z"}
        for _ in range(3):
            cursor, more = tick(cursor, files, page=1)
            counts.append(len(more))
    assert counts == [0, 1, 0, 0, 1, 0]


def test_cursor_that_was_reset_does_not_reuse_run_keys() -> None:
    keys = set()
    for born in (1, 2):
        cursor, _ = tick(LandingCursor(born=born), {"landing/a/1.csv": "x"})
        _, runs = tick(cursor, {"landing/a/1.csv": "x"})
        keys.add(runs[0].run_key)
    assert len(keys) == 2


def test_unreadable_cursor_is_forgotten() -> None:
    for text in (None, "", "{", "[]", '{"format_version": 2}', '{"folders": 3}', '{"sweep": {}}'):
        assert LandingCursor.from_json(text, now=7.5) == LandingCursor(born=7)


def test_folder_that_never_rests_is_taken_all_the_same() -> None:
    cursor, taken = FRESH, 0
    for i in range(30):
        cursor, runs = tick(cursor, {"landing/a/1.csv": str(i)})
        taken += len(runs)
    assert taken >= 3


def test_one_run_at_a_time_per_dataset() -> None:
    cursor, _ = tick(FRESH, {"landing/a/1.csv": "x"})
    cursor, runs = tick(cursor, {"landing/a/1.csv": "x"})
    active: dict[str, Outcome] = {runs[0].run_key: "active"}
    for _ in range(5):
        cursor, more = tick(cursor, {"landing/a/1.csv": "y"}, active)
        assert more == []
    _, more = tick(cursor, {"landing/a/1.csv": "y"}, {runs[0].run_key: "done"})
    assert len(more) == 1


def test_failed_run_is_tried_again_later_under_another_key() -> None:
    files = {"landing/a/1.csv": "x"}
    cursor, _ = tick(FRESH, files)
    cursor, runs = tick(cursor, files)
    keys = [runs[0].run_key]
    looks = 0
    while len(keys) < 3:
        looks += 1
        cursor, runs = tick(cursor, files, {keys[-1]: "failed"})
        keys += [r.run_key for r in runs]
    assert len(set(keys)) == 3
    assert looks > 3  # it waits longer each time


def test_state_that_comes_back_after_another_was_read_is_asked_for_again() -> None:
    state, other = {"landing/a/1.csv": "x"}, {"landing/a/1.csv": "y"}
    read = folder_fingerprint([info("landing/a/1.csv", "y")])
    for states in ([state], [other, state, state]):  # whether a look saw the other state in between or not
        cursor, _ = tick(FRESH, state)
        cursor, runs = tick(cursor, state)
        told = {runs[0].run_key: read}
        again: list[LandingRun] = []
        for files in [*states, state, state, state]:
            cursor, more = tick(cursor, files, taken=told)
            again += more
        assert [r.fingerprint for r in again] == [folder_fingerprint([info("landing/a/1.csv", "x")])]


def test_state_that_was_read_before_it_was_seen_needs_no_other_run() -> None:
    cursor, _ = tick(FRESH, {"landing/a/1.csv": "x"})
    cursor, runs = tick(cursor, {"landing/a/1.csv": "x"})
    told = {runs[0].run_key: folder_fingerprint([info("landing/a/1.csv", "y")])}
    for _ in range(4):
        cursor, more = tick(cursor, {"landing/a/1.csv": "y"}, taken=told)
        assert more == []


def test_state_after_a_refused_or_failed_one_is_told_to_follow_it() -> None:
    for outcome, follows in (("done", False), ("refused", True), ("failed", True)):
        cursor, _ = tick(FRESH, {"landing/a/1.csv": "x"})
        cursor, runs = tick(cursor, {"landing/a/1.csv": "x"})
        assert not runs[0].follows_failure
        outcomes: dict[str, Outcome] = {runs[0].run_key: outcome}
        cursor, _ = tick(cursor, {"landing/a/1.csv": "y"}, outcomes)
        _, (run,) = tick(cursor, {"landing/a/1.csv": "y"}, outcomes)
        assert run.follows_failure is follows


def test_folder_that_is_empty_after_a_run_refused_it_is_asked_for_and_forgotten() -> None:
    files = {"landing/a/1.csv": "x"}
    cursor, _ = tick(FRESH, files)
    cursor, (run,) = tick(cursor, files)
    more: list[LandingRun] = []
    outcomes: dict[str, Outcome] = {run.run_key: "refused"}
    for _ in range(8):
        cursor, found = tick(cursor, {}, outcomes, taken={run.run_key: EMPTY})
        outcomes |= {one.run_key: "done" for one in found}
        more += found
    assert [one.fingerprint for one in more] == [EMPTY]
    assert not cursor.folders


def test_run_that_was_never_started_is_asked_for_again() -> None:
    files = {"landing/a/1.csv": "x"}
    cursor, _ = tick(FRESH, files)
    cursor, _ = tick(cursor, files)
    runs: list[LandingRun] = []
    for _ in range(5):
        cursor, more = tick(cursor, files, {})
        runs += more
    assert runs


def test_what_is_no_dataset_is_reported_once_and_left_alone() -> None:
    files = dict.fromkeys(
        ["landing/loose.csv", "landing/Bad Name/1.csv", "landing/evidence/1.csv", "landing/ok/", "landing/ok/1.csv"],
        "x",
    )
    first = scan(FRESH, [info(k) for k in sorted(files)], next_after=None)
    assert set(first.refused) == {"landing/loose.csv", "landing/Bad Name/", "landing/evidence/"}
    assert set(first.cursor.folders) == {"ok"}
    again = scan(first.cursor, [info(k) for k in files], next_after=None)
    assert again.refused == {}


def test_what_is_no_data_by_its_name_asks_for_no_run_and_is_no_refusal() -> None:
    loose = ["landing/.DS_Store", "landing/_SUCCESS", "landing/_temporary/0/x.csv", "landing/x.csv.part"]
    folder = ["landing/a/.a.csv", "landing/a/_SUCCESS", "landing/a/sub/_committed_1", "landing/a/b.csv.crdownload"]
    alone = dict.fromkeys([*loose, *folder], "x")
    cursor, _ = tick(FRESH, alone)
    cursor, runs = tick(cursor, alone)
    assert (runs, cursor.refused) == ([], ())
    with_data = {**alone, "landing/a/1.csv": "x"}
    cursor, _ = tick(cursor, with_data)
    cursor, runs = tick(cursor, with_data)
    assert [run.dataset for run in runs] == ["a"]
    more = {**with_data, "landing/a/2.csv.part": "x"}
    cursor, _ = tick(cursor, more)
    assert tick(cursor, more)[1] == []


def test_more_datasets_than_a_tick_takes_go_on_in_the_next() -> None:
    files = {f"landing/d{i}/1.csv": "x" for i in range(MAX_RUNS_PER_TICK + 20)}
    cursor, _ = tick(FRESH, files)
    cursor, first = tick(cursor, files)
    _, second = tick(cursor, files)
    assert (len(first), len(second)) == (MAX_RUNS_PER_TICK, 20)


FILES = st.dictionaries(
    st.builds("landing/{}/{}.csv".format, st.sampled_from("abc"), st.sampled_from("1234")),
    st.sampled_from("xyz"),
    max_size=8,
)


@given(states=st.lists(FILES, max_size=8), page=st.integers(1, 3))
def test_any_history_ends_with_every_dataset_in_its_last_state(states: list[dict[str, str]], page: int) -> None:
    cursor = FRESH
    taken: dict[str, str] = {}
    keys: list[str] = []
    final = states[-1] if states else {}
    for files in [*states, final, final, final]:
        cursor, runs = tick(cursor, files, page=page)
        assert len({r.dataset for r in runs}) == len(runs)
        keys += [r.run_key for r in runs]
        taken |= {r.dataset: r.fingerprint for r in runs}
    assert len(set(keys)) == len(keys)
    whole, _ = tick(FRESH, final)
    assert {n: f for n, f in taken.items() if f != "0" * 32} == {n: f.seen for n, f in whole.folders.items()}


@given(files=FILES)
def test_pages_make_no_difference(files: dict[str, str]) -> None:
    assert tick(FRESH, files, page=1)[0].folders == tick(FRESH, files, page=1000)[0].folders
