"""Minutes of adding, replacing, deleting, searching and compacting at once, two API processes on one bucket.

    python bench/soak.py [--minutes 5] [--writers 8] [--in-lance]

Each writer has items of its own, and so knows what must be there: what was acknowledged is found at once by the process
that took it and by the other one at its revision, with the vector it has now; what was deleted is never found; under a
filter on the writer exactly its own items come back. Meanwhile an optimizer compacts, re-indexes and removes versions.
`--in-lance` gives the second process no memory for indexes, so that it serves the corpus from its table.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _peers import rss_mib  # noqa: E402

from lakehouse.adapters.lance_tables import LanceTables  # noqa: E402
from lakehouse.adapters.lance_upkeep import optimize  # noqa: E402
from lakehouse.adapters.objects import S3ObjectStore  # noqa: E402
from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.errors import LakehouseError, Unavailable  # noqa: E402
from tests.api import ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

INDEX = "/v1/vectors/index/soak"
DIMENSION = 64
SEED_ROWS = 6_000
MOST_OWN = 300
MOST_AT_ONCE = 20
# What is kept while it soaks: a reader holds a version for much less.
HISTORY = timedelta(seconds=30)
OPTIMIZE_EVERY_S = 5.0
# The time after which a write is seen by processes that were not told of it.
SEEN_S = 2.0
SHOWN = 5


@dataclass
class Tally:
    """What happened, over all threads."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        with self.lock:
            self.counts[what] += number

    def fail(self, error: str) -> None:
        with self.lock:
            self.errors.append(error)

    def expect(self, is_right: bool, what: str) -> None:
        self.count("checks")
        if not is_right:
            with self.lock:
                self.wrong.append(what)


class Writer:
    """One client with items of its own.

    Args:
        name: Of its items.
        clients: One for each process.
        tally: Of all.
        seed: Of what it does.
    """

    def __init__(self, name: str, clients: list[httpx.Client], tally: Tally, *, seed: int) -> None:
        self._name = name
        self._clients = clients
        self._tally = tally
        self._draw = np.random.default_rng(seed)
        self._own: dict[str, NDArray[np.float32]] = {}
        self._gone: dict[str, NDArray[np.float32]] = {}
        self._made = 0

    @property
    def own(self) -> set[str]:
        """Ids that must be there."""
        return set(self._own)

    def step(self) -> None:
        """Write once, and look from both sides."""
        here = int(self._draw.integers(len(self._clients)))
        is_full = len(self._own) > MOST_OWN
        revision = self._delete(here) if self._own and (is_full or self._draw.random() < 0.35) else self._add(here)
        if revision is not None:
            self._look(here, None)
            self._look(1 - here, revision)

    def _add(self, at: int) -> str | None:
        count = int(self._draw.integers(1, MOST_AT_ONCE + 1))
        again = [str(i) for i in self._draw.permutation(list(self._own))[: count // 3]]
        fresh = [f"{self._name}-{self._made + n}" for n in range(count - len(again))]
        self._made += len(fresh)
        given = dict(zip([*fresh, *again], self._draw.standard_normal((count, DIMENSION), np.float32), strict=True))
        items = [{"id": i, "vector": v.tolist(), "metadata": {"writer": self._name}} for i, v in given.items()]
        answer = self._call(at, "add", {"items": items})
        if answer is None:
            return None
        self._tally.count("added", count)
        self._own |= given
        return str(answer["revision"])

    def _delete(self, at: int) -> str | None:
        ids = [str(i) for i in self._draw.permutation(list(self._own))[: int(self._draw.integers(1, MOST_AT_ONCE))]]
        answer = self._call(at, "delete", {"ids": ids})
        if answer is None:
            return None
        self._tally.count("deleted", len(ids))
        self._tally.expect(answer["deleted"] == len(ids), f"{answer['deleted']} of {len(ids)} ids were deleted")
        self._gone = {i: self._own.pop(i) for i in ids}
        return str(answer["revision"])

    def _look(self, at: int, revision: str | None) -> None:
        at_revision = {} if revision is None else {"min_revision": revision}
        for i in [str(one) for one in self._draw.permutation(list(self._own))[:2]]:
            results = self._search(at, {"vector": self._own[i].tolist(), "k": 3, **at_revision})
            if results is not None:
                is_first = bool(results) and results[0]["id"] == i and results[0]["distance"] < 1e-4
                self._tally.expect(is_first, f"process {at}: {i} is not the nearest to its own vector: {results[:1]}")
        for i, vector in list(self._gone.items())[:2]:
            results = self._search(at, {"vector": vector.tolist(), "k": 10, **at_revision})
            if results is not None:
                self._tally.expect(i not in {r["id"] for r in results}, f"process {at}: {i} was deleted and found")
        body = {
            "vector": self._draw.standard_normal(DIMENSION).tolist(), "k": 2 * MOST_OWN + MOST_AT_ONCE,
            "filter": {"writer": self._name}, **at_revision,
        }  # fmt: skip
        results = self._search(at, body) if self._own else None
        if results is not None:
            found = [r["id"] for r in results]
            missing, odd = self.own - set(found), set(found) - self.own
            is_exact = not missing and not odd and len(found) == len(self._own)
            self._tally.expect(
                is_exact, f"process {at}: of {len(self._own)} {len(missing)} are missing, {len(odd)} are too many"
            )

    def _search(self, at: int, body: dict[str, Any]) -> list[dict[str, Any]] | None:
        self._tally.count("searches")
        answer = self._call(at, "search", body)
        return None if answer is None else list(answer["results"])

    def _call(self, at: int, what: str, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            answer = self._clients[at].post(f"{INDEX}/{what}", json=body)
        except httpx.HTTPError as error:
            self._tally.fail(f"process {at}, {what}: {error!r}")
            return None
        if answer.status_code != 200:
            self._tally.fail(f"process {at}, {what}: {answer.status_code} {answer.text[:200]}")
            return None
        return dict(answer.json())


def keep_optimizing(objects: S3ObjectStore, tally: Tally, stop: threading.Event) -> None:
    """What the scheduled upkeep does, without pause for the schedule."""
    tables = LanceTables(objects.location, objects)
    while not stop.wait(OPTIMIZE_EVERY_S):
        try:
            table = tables.open("soak")
            assert table is not None
            done = optimize(table, history=HISTORY)
            tally.count("optimized")
            tally.count("versions removed", done["versions_removed"])
            if table.count() >= SEED_ROWS and "index" not in table.info:
                table.build_index()
        except Unavailable:  # other writers won; the next run tries again
            tally.count("optimize put off")
        except LakehouseError as error:
            tally.fail(f"optimize: {error.detail}")


def run(apis: list[ApiProcess], objects: S3ObjectStore, *, minutes: float, writers: int) -> tuple[Tally, set[str]]:
    """Soak; what happened, and the ids that must be there at the end."""
    tally, stop = Tally(), threading.Event()
    clients = [api.client(timeout_s=30) for api in apis]
    made = {"name": "soak", "dimension": DIMENSION, "embedder": "static"}
    clients[0].post("/v1/vectors/index", json=made).raise_for_status()
    draw = np.random.default_rng([1, 1])
    seeds = draw.standard_normal((SEED_ROWS, DIMENSION), np.float32)
    for start in range(0, SEED_ROWS, 1_000):
        part = range(start, start + 1_000)
        items = [{"id": f"seed-{n}", "vector": seeds[n].tolist(), "metadata": {"writer": "seed"}} for n in part]
        clients[0].post(f"{INDEX}/add", json={"items": items}).raise_for_status()
    crew = [Writer(f"w{n}", clients, tally, seed=n) for n in range(writers)]

    def work(writer: Writer) -> None:
        while not stop.is_set():
            writer.step()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in crew]
    threads.append(threading.Thread(target=keep_optimizing, args=(objects, tally, stop)))
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    while time.monotonic() - begun < minutes * 60 and not stop.wait(10):
        sizes = " ".join(f"{rss_mib(api.process.pid):,.0f}" for api in apis if api.process is not None)
        print(
            f"{time.monotonic() - begun:5.0f} s  {dict(tally.counts)}  errors {len(tally.errors)}"
            f"  wrong {len(tally.wrong)}  MiB {sizes}",
            flush=True,
        )
    stop.set()
    for thread in threads:
        thread.join()
    expected = {f"seed-{n}" for n in range(SEED_ROWS)}.union(*(writer.own for writer in crew))
    return tally, expected


def check_end(apis: list[ApiProcess], objects: S3ObjectStore, expected: set[str], tally: Tally) -> None:
    """Both processes, and the table, hold what the writers say."""
    time.sleep(2 * SEEN_S)
    table = LanceTables(objects.location, objects).open("soak")
    assert table is not None
    stored = [i for batch in table.scan(["id"]) for i in batch.column("id").to_pylist()]
    tally.expect(len(stored) == len(set(stored)), "an id is in the table twice")
    tally.expect(set(stored) == expected, f"the table has {len(stored)} rows, {len(expected)} were acknowledged")
    for number, api in enumerate(apis):
        with api.client() as client:
            view = client.get(INDEX).json()
        tally.expect(view["rows"] == len(expected), f"process {number} has {view['rows']} of {len(expected)} rows")
        print(f"process {number}: {view['rows']:,} rows, {view['state']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--in-lance", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as name:
        folder = Path(name)
        with store_server(folder / "store") as server:
            require_fsync(server.embedded)
            objects = server.objects()
            apis = []
            for number in range(2):
                little = {"index_memory_bytes": 1} if number and given.in_lance else {}
                environ = api_environ(
                    objects, folder / f"api-{number}", default_embedder="static", playbook_embedder="static",
                    log_level="warning", **little,
                )  # fmt: skip
                apis.append(ApiProcess(environ, folder / f"api-{number}.log"))
            try:
                for api in apis:
                    api.start()
                tally, expected = run(apis, objects, minutes=given.minutes, writers=given.writers)
                check_end(apis, objects, expected, tally)
            finally:
                for api in apis:
                    if api.process is not None:
                        api.stop()
            for api in apis:
                print(api.log.read_text()[-2000:])
    return report(tally)


def report(tally: Tally) -> int:
    for text, number in collections.Counter(e[:160] for e in tally.errors).most_common(SHOWN):
        print(f"      {number} x {text}")
    for text in tally.wrong[:SHOWN]:
        print(f"      {text}")
    print(f"{dict(tally.counts)}")
    is_busy = all(tally.counts[what] for what in ("added", "deleted", "searches", "optimized", "checks"))
    for what, number in (("errors", len(tally.errors)), ("wrong answers", len(tally.wrong))):
        print(f"{'FAIL' if number else 'PASS'}  {what}: {number} (limit 0)")
    print(f"{'PASS' if is_busy else 'FAIL'}  everything was done at least once")
    return 0 if is_busy and not tally.errors and not tally.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
