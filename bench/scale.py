"""The staffing table at three sizes: ingested, embedded, indexed, searched; rates, memory, roles that nobody has.

    python bench/scale.py [--rows 500000] [--no-growth]

For each size (10,000, 100,000 and `--rows`) a store and an API process of its own: the CSV over HTTP, `lakehouse corpus
build workers` with static vectors, until the API answers from the whole corpus by its codes; then ten questions, seven
for roles that the table has and three for roles that it has not. The margin is how far the least of the present roles'
best probabilities of relevance (the threshold that still lets something through, to 0.05) is over the greatest of the
absent ones'. With the filter at 0.3 a present role must come first and an absent one must give nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from corpus import build, pid_of, wait_for_rows  # noqa: E402
from ingest import MIB, Watch  # noqa: E402
from load import wait_until_indexed  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.sample.vocabulary import OCCUPATIONS  # noqa: E402
from lakehouse.sample.workers import write_workers  # noqa: E402
from tests.api import ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

SIZES = (10_000, 100_000)
THRESHOLD = 0.3
STEPS = [n / 20 for n in range(1, 20)]
# What is asked, and the role that must come first; None: nobody in the table does that.
QUESTIONS = {
    "electrician with industrial wiring": "Electrician",
    "forklift driver OSHA-30": "Forklift Operator",
    "welder for structural steel": "Welder",
    "CNC machinist who reads blueprints": "CNC Machinist",
    "registered nurse for night shifts": "Registered Nurse",
    "line cook for a busy kitchen": "Line Cook",
    "diesel mechanic for trucks": "Diesel Mechanic",
    "dental hygienist": None,
    "patent attorney": None,
    "marine biologist": None,
}
REPEATS = 20


@dataclass(frozen=True)
class Measured:
    """One size; `margin` is that of probabilities."""

    rows: int
    csv_mib: float
    ingest_s: float
    build_s: float
    build_mib: float
    searchable_s: float
    indexed_s: float
    search_p50_ms: float
    api_mib: float
    wrong: list[str]
    present: float
    absent: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--no-growth", action="store_true", help="only --rows, without the smaller sizes")
    given = parser.parse_args()
    titles = {occupation.title for occupation in OCCUPATIONS}
    assert {role for role in QUESTIONS.values() if role} <= titles
    smaller = [] if given.no_growth else [size for size in SIZES if size < given.rows]
    found = []
    for rows in [*smaller, given.rows]:
        with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
            found.append(measure(Path(name), rows))
        show(found)
    last = found[-1]
    for text in last.wrong:
        print(f"      {text}")
    margin = last.present - last.absent
    print(f"{'FAIL' if last.wrong else 'PASS'}  questions with a wrong answer: {len(last.wrong)} (limit <= 0)")
    print(f"{'PASS' if margin > 0 else 'FAIL'}  margin of present over absent roles: {margin:.2f} (limit >= 0.05)")
    return 1 if last.wrong or margin < STEPS[0] else 0


def measure(folder: Path, rows: int) -> Measured:
    csv = folder / "workers.csv"
    write_workers(csv, rows)
    with store_server(folder / "store") as server:
        require_fsync(server.embedded)
        environ = api_environ(
            server.objects(), folder / "api", corpora_dir=ROOT / "corpora", log_level="warning",
            default_embedder="static", playbook_embedder="static", holdout_share=0,
        )  # fmt: skip
        api = ApiProcess(environ, folder / "api.log")
        api.start()
        try:
            with api.client(timeout_s=900) as client:
                begun = time.perf_counter()
                with csv.open("rb") as file:
                    client.post("/v1/ingest?name=workers", files={"file": file}).raise_for_status()
                ingest_s = time.perf_counter() - begun
                build_s, build_mib, _ = build(environ)
                begun = time.perf_counter()
                wait_for_rows(api, rows)
                searchable_s = time.perf_counter() - begun
                wait_until_indexed(api, rows)
                indexed_s = time.perf_counter() - begun
                wrong, present, absent = ask_all(client)
                p50_ms = time_searches(client)
            api_mib = Watch(pid_of(api)).rss_bytes() / MIB
        finally:
            api.stop()
    return Measured(
        rows, csv.stat().st_size / MIB, ingest_s, build_s, build_mib, searchable_s, indexed_s, p50_ms, api_mib, wrong,
        present, absent,
    )  # fmt: skip


def ask_all(client: httpx.Client) -> tuple[list[str], float, float]:
    """What is wrong, the least best probability of present roles, the greatest of absent ones."""
    wrong: list[str] = []
    present: list[float] = []
    absent: list[float] = []
    for question, role in QUESTIONS.items():
        roles = ask(client, question, THRESHOLD)
        best = max((step for step in STEPS if ask(client, question, step)), default=0.0)
        (absent if role is None else present).append(best)
        if role is None and roles:
            wrong.append(f"{question!r}: nobody does that, and {roles[:3]} came back")
        if role is not None and (not roles or roles[0] != role):
            wrong.append(f"{question!r}: {role} expected first, {roles[:3]} came")
        print(f"  {question:<38}{best:6.2f}  {', '.join(roles[:3]) or 'nothing'}")
    return wrong, min(present), max(absent)


def ask(client: httpx.Client, question: str, threshold: float) -> list[str]:
    """Roles of the results that pass the threshold, best first."""
    body = {"query": question, "corpora": ["workers"], "k": 10, "use_playbook": False,
            "relevance": {"threshold": threshold}}  # fmt: skip
    answer = client.post("/v1/matrix/search", json=body)
    answer.raise_for_status()
    document = answer.json()
    if document["unjudged"]:
        raise SystemExit(f"the corpus cannot be judged: {document['unjudged']}")
    return [str(result["metadata"]["role"]) for result in document["results"]]


def time_searches(client: httpx.Client) -> float:
    """The median of searches that were not asked before, ms."""
    times = []
    for n in range(REPEATS):
        for question in QUESTIONS:
            body = {"query": f"{question} {n}", "corpora": ["workers"], "k": 10, "use_playbook": False}
            begun = time.perf_counter()
            client.post("/v1/matrix/search", json=body).raise_for_status()
            times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)[len(times) // 2]


def show(found: list[Measured]) -> None:
    print(
        f"\n{'rows':>9}{'CSV MiB':>9}{'ingest s':>10}{'rows/s':>9}{'build s':>9}{'rows/s':>9}{'build MiB':>11}"
        f"{'searchable s':>14}{'by codes s':>12}{'cold p50 ms':>13}{'API MiB':>9}{'present':>9}{'absent':>8}"
    )
    for one in found:
        print(
            f"{one.rows:9,}{one.csv_mib:9.0f}{one.ingest_s:10.1f}{one.rows / one.ingest_s:9,.0f}{one.build_s:9.1f}"
            f"{one.rows / one.build_s:9,.0f}{one.build_mib:11,.0f}{one.searchable_s:14.1f}{one.indexed_s:12.1f}"
            f"{one.search_p50_ms:13.2f}{one.api_mib:9,.0f}{one.present:9.2f}{one.absent:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
