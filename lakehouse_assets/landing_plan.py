"""The landing plan: which datasets need a run, from what lies under landing/ and what was seen before.

A folder is known by a fingerprint over its keys and ETags, so the cursor stays small however many files there are.
A listing may span ticks; a folder counts once its last key has been listed.

Belongs here: the cursor, the pure planning. Not here: listing and requesting (see sensors/landing.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import orjson

from lakehouse.catalog.names import check_dataset_name
from lakehouse.errors import BadInput
from lakehouse.ingest.folder_options import OPTIONS_FILE
from lakehouse.ingest.landed_names import is_left_alone
from lakehouse.storage.objects import ObjectInfo

LANDING = "landing/"
EMPTY = "0" * 32
MAX_RUNS_PER_TICK = 100
RESTLESS_AFTER_SWEEPS = 6
"""A folder that never rests is taken after this many looks: each object in it is whole all the same."""
MAX_TRIES = 20
MAX_WAIT_SWEEPS = 60
MAX_REMEMBERED_REFUSALS = 1000
CURSOR_VERSION = 3

TAKEN_TAG = "lakehouse/landing"
"""A run tag: the fingerprint of what a run took in, which may have changed since it was asked for."""

FolderState = Literal["idle", "running", "failed", "refused"]
Outcome = Literal["active", "done", "failed", "refused", "missing"]
"""Of a run: `refused` is its input, which no repetition would change."""
_AFTER_A_FAILURE: tuple[FolderState, ...] = ("failed", "refused")


@dataclass(frozen=True, slots=True)
class Folder:
    """What is known of `landing/<dataset>/`.

    `seen` is its fingerprint at the last look, `requested` the one a run was last asked for. `serial` is the number of
    that run, `tries` counts those that failed on the same fingerprint. `wait` is the looks to let pass before the next
    run, `restless` the looks in a row at which the folder had changed, `sweep` the last listing it was in.
    """

    seen: str = EMPTY
    requested: str = EMPTY
    state: FolderState = "idle"
    serial: int = 0
    tries: int = 0
    wait: int = 0
    restless: int = 0
    sweep: int = 0


Partial = tuple[str, str, str]
"""A folder whose listing goes on: its name, the fingerprint of its files so far, and that of their options."""
NO_FOLDER: Partial = ("", EMPTY, EMPTY)


@dataclass(frozen=True, slots=True)
class LandingCursor:
    """Everything the sensor remembers; `after` is where a listing that spans ticks goes on.

    `serial` counts the runs asked for, so that a folder that goes and comes back gets a run key of its own; `born`
    makes the keys of a cursor that was reset differ from those it gave out before.
    """

    folders: Mapping[str, Folder] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    sweep: int = 1
    after: str = ""
    partial: Partial = NO_FOLDER
    looked_at: float = 0.0
    born: int = 0
    serial: int = 0

    def to_json(self) -> str:
        """The cursor as Dagster stores it."""
        document = asdict(self)
        document["folders"] = {name: list(folder.values()) for name, folder in document["folders"].items()}
        return orjson.dumps({"format_version": CURSOR_VERSION, **document}).decode()

    @classmethod
    def from_json(cls, text: str | None, *, now: float) -> LandingCursor:
        """Read a stored cursor; one that cannot be read is forgotten, since every run asked for is idempotent."""
        try:
            document = orjson.loads(text or "")
            if document.pop("format_version") != CURSOR_VERSION:
                return cls(born=int(now))
            folders = {name: Folder(*values) for name, values in document.pop("folders").items()}
            refused, partial = tuple(document.pop("refused")), tuple(document.pop("partial"))
            return cls(folders=folders, refused=refused, partial=partial, **document)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(born=int(now))


@dataclass(frozen=True, slots=True)
class LandingRun:
    """A run to request: one dataset in one state of its folder. No two have the same run key.

    One that `follows_failure` is needed also where nothing is to be loaded: its partition shows that failure till then.
    """

    dataset: str
    fingerprint: str
    run_key: str
    follows_failure: bool = False


@dataclass(frozen=True, slots=True)
class LandingPlan:
    """What to do in this tick, and what to remember. `refused` maps what is newly found to be no dataset to why."""

    cursor: LandingCursor
    runs: tuple[LandingRun, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def scan(cursor: LandingCursor, objects: Iterable[ObjectInfo], *, next_after: str | None) -> LandingPlan:
    """Take a stretch of the listing into account.

    Args:
        cursor: What was remembered.
        objects: The keys after `cursor.after`, in the order of the listing; keys of a folder follow each other.
        next_after: Where the listing goes on; None when it has come to its end.
    """
    folders = dict(cursor.folders)
    refused: dict[str, str] = {}
    name, files, options = cursor.partial
    for info in objects:
        if info.key.endswith("/"):
            continue  # what some tools write to show a folder
        path = info.key.removeprefix(LANDING)
        is_options = _is_options(path)
        if not is_options and is_left_alone(path):
            continue
        folder, reason = _folder_of(info.key)
        if reason:
            refused[folder] = reason
            continue
        if folder != name:
            _finish(folders, name, _fingerprint(files, options), cursor.sweep)
            name, files, options = folder, EMPTY, EMPTY
        if is_options:
            options = add_to_fingerprint(options, info)
        else:
            files = add_to_fingerprint(files, info)
    is_end = next_after is None
    if is_end:
        _finish(folders, name, _fingerprint(files, options), cursor.sweep)
        for absent in [n for n, f in folders.items() if f.sweep != cursor.sweep]:
            _finish(folders, absent, EMPTY, cursor.sweep)
        name, files, options = NO_FOLDER
    following = replace(
        cursor,
        folders=folders,
        refused=tuple(sorted({*cursor.refused, *refused}))[:MAX_REMEMBERED_REFUSALS],
        sweep=cursor.sweep + is_end,
        after=next_after or "",
        partial=(name, files, options),
    )
    return LandingPlan(following, refused={k: r for k, r in refused.items() if k not in cursor.refused})


def request(
    cursor: LandingCursor,
    outcomes: Mapping[str, Outcome],
    *,
    taken: Mapping[str, str] | None = None,
    busy: Collection[str] = (),
) -> LandingPlan:
    """Choose the runs to ask for: folders that rest in a state that no run has taken in.

    Args:
        cursor: As `scan` left it at the end of a listing.
        outcomes: By run key, what became of the runs of `pending_run_keys`; one that is not in it was never started.
        taken: By run key, the fingerprint of what a run took in, where it has said so.
        busy: Datasets that a run of somebody else is at work on; they are looked at again in the next tick.
    """
    folders: dict[str, Folder] = {}
    runs: list[LandingRun] = []
    serial = cursor.serial
    for name, known in sorted(cursor.folders.items()):
        folder = known
        if known.state == "running":
            run_key = _run(cursor, name, known).run_key
            folder = _settle(known, outcomes.get(run_key, "missing"), (taken or {}).get(run_key, known.requested))
        if name not in busy and _is_due(folder) and len(runs) < MAX_RUNS_PER_TICK:
            tries = folder.tries if folder.requested == folder.seen else 0
            serial += 1
            follows_failure = folder.state in _AFTER_A_FAILURE
            folder = replace(folder, requested=folder.seen, state="running", serial=serial, tries=tries)
            runs.append(replace(_run(cursor, name, folder), follows_failure=follows_failure))
        if folder.state != "idle" or (folder.seen, folder.requested) != (EMPTY, EMPTY):
            folders[name] = folder
    return LandingPlan(replace(cursor, folders=folders, serial=serial), tuple(runs))


def without_runs(plan: LandingPlan, synced: Collection[str]) -> LandingPlan:
    """The plan without the runs of datasets that hold already what lies in their folders."""
    folders = dict(plan.cursor.folders)
    folders |= {name: replace(folders[name], state="idle") for name in synced}
    runs = tuple(run for run in plan.runs if run.dataset not in synced)
    return replace(plan, cursor=replace(plan.cursor, folders=folders), runs=runs)


def pending_run_keys(cursor: LandingCursor) -> list[str]:
    """Run keys whose outcome `request` needs to know."""
    return [_run(cursor, name, f).run_key for name, f in sorted(cursor.folders.items()) if f.state == "running"]


def add_to_fingerprint(fingerprint: str, info: ObjectInfo) -> str:
    """Add an object to a folder's fingerprint: a sum of hashes, so it can go on in the next tick and has no order."""
    digest = hashlib.sha256(f"{info.key}\0{info.etag}".encode()).digest()
    total = int(fingerprint, 16) + int.from_bytes(digest[:16], "big")
    return f"{total % (1 << 128):032x}"


def folder_fingerprint(objects: Iterable[ObjectInfo]) -> str:
    """The fingerprint of a folder, from its data files and its options."""
    files, options = EMPTY, EMPTY
    for info in objects:
        if _is_options(info.key.removeprefix(LANDING)):
            options = add_to_fingerprint(options, info)
        else:
            files = add_to_fingerprint(files, info)
    return _fingerprint(files, options)


def _is_options(path: str) -> bool:
    return path.count("/") == 1 and path.endswith(f"/{OPTIONS_FILE}")


def _fingerprint(files: str, options: str) -> str:
    """The fingerprint of a folder: options alone, without a file to read with them, are as good as nothing."""
    return EMPTY if files == EMPTY else f"{(int(files, 16) + int(options, 16)) % (1 << 128):032x}"


def _run(cursor: LandingCursor, name: str, folder: Folder) -> LandingRun:
    run_key = f"landing:{name}:{folder.requested[:16]}:{cursor.born}.{folder.serial}"
    return LandingRun(name, folder.requested, run_key)


def _finish(folders: dict[str, Folder], name: str, fingerprint: str, sweep: int) -> None:
    if not name:
        return
    known = folders.get(name, Folder())
    # A folder seen for the first time has changed, too: an ETag counts when it was there twice.
    restless = 0 if fingerprint == known.seen else known.restless + 1
    folders[name] = replace(known, seen=fingerprint, restless=restless, sweep=sweep, wait=max(0, known.wait - 1))


def _settle(folder: Folder, outcome: Outcome, taken: str) -> Folder:
    if outcome == "active":
        return folder
    # Changed, read, and changed back: what a folder is now was asked for then, and not taken in.
    is_past = taken != folder.requested == folder.seen
    if outcome in ("done", "refused") and not is_past:
        if outcome == "done":
            return replace(folder, state="idle", requested=taken, tries=0)
        # One that found nothing leaves a red partition; that the folder is empty is asked for, and takes it away.
        return replace(folder, state="refused", requested=folder.requested if taken == EMPTY else taken, tries=0)
    tries = folder.tries + 1
    if tries > MAX_TRIES:
        return replace(folder, state="idle", tries=0)
    return replace(folder, state="failed", tries=tries, wait=min(2**tries, MAX_WAIT_SWEEPS))


def _is_due(folder: Folder) -> bool:
    if folder.state == "running" or 0 < folder.restless < RESTLESS_AFTER_SWEEPS:
        return False
    if folder.seen != folder.requested:
        return True  # a new state need not wait for what an old one failed on
    return folder.state == "failed" and folder.wait == 0


def _folder_of(key: str) -> tuple[str, str]:
    """The folder of a landing key, and why it cannot be a dataset (empty when it can)."""
    folder, slash, _ = key.removeprefix(LANDING).partition("/")
    if not slash:
        return key, "it lies in no folder; put it under landing/<dataset>/"
    try:
        return check_dataset_name(folder), ""
    except BadInput as error:
        return f"{LANDING}{folder}/", error.detail
