"""A lake that every page has something to show of: workers, a corpus, evidence of real runs, two builds, memory.

Belongs here: filling it by the platform's own commands and routes. Not here: what pages show of it (see
tests/integration/test_ui_*.py), pictures (see docs/screenshots.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.triage_queue import TriageQueue
from lakehouse.settings import load_settings
from lakehouse.triage.item import Item, Subject
from tests.api import ApiProcess, clean_environ
from tests.commands import run_command

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
SCRIPT = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
NEED = "electrician with industrial wiring in Toledo"


def fill_lake(api: ApiProcess, folder: Path, *, workers: int) -> None:
    """Fill the lake of a running API.

    Args:
        api: The API.
        folder: For files on their way.
        workers: How many workers there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lakehouse(api.environ, "sample", "workers", "--rows", str(workers), "--out", str(folder / "workers.csv"))
    blocks = folder / "client_blocks.csv"
    lakehouse(api.environ, "sample", "client_blocks", "--rows", "50", "--workers", str(workers), "--out", str(blocks))
    with api.client() as client:
        for name in ("workers", "client_blocks"):
            _ingest(client, name, folder / f"{name}.csv")
        _ingest(client, "hostile", _hostile(folder))
        _ingest(client, "hostile", _hostile(folder, more=1), mode="replace")
    lakehouse(api.environ, "corpus", "build", "workers")
    fill_evidence(api.environ, folder)
    with api.client() as client:
        fill_memory(client)
        rows = client.post(
            "/v1/sql", json={"sql": "SELECT run_id, task_id, stream, dt FROM scored ORDER BY ALL LIMIT 6"}
        )
    fill_triage(api.environ, rows.raise_for_status().json()["rows"])


def fill_evidence(environ: Mapping[str, str], folder: Path) -> None:
    """Real runs, made evidence, scored, and built into corpora twice."""
    runs = folder / "runs.jsonl"
    runs.write_text(
        "".join(
            json.dumps(
                {
                    "timestamp": 1_760_000_000 + 3600 * number,
                    "workload_id": f"night-{number % 7}",
                    "client_id": "pages",
                    "request": {
                        "model": "small-model",
                        "messages": [
                            {"role": "user", "content": f"Task {number}: {SCRIPT} who can weld on night {number}?"}
                        ],
                    },
                    "response": {
                        "choices": [
                            {
                                "message": {
                                    "role": "assistant",
                                    "content": f"Call worker {number}, certified since {1990 + number % 30} {SCRIPT}",
                                }
                            }
                        ]
                    },
                }
            )
            + "\n"
            for number in range(60)
        )
    )
    taubench = sorted((SHARED / "taubench").glob("*.json"))[:1]
    if taubench:
        lakehouse(environ, "import", "tau_bench", str(taubench[0]))
    lakehouse(
        environ, "import", "openai_pairs", str(runs), "--source", "support/pages",
        "--licence", "CC0-1.0", "--model", "small-model",
    )  # fmt: skip
    lakehouse(environ, "materialize")
    lakehouse(environ, "score")
    lakehouse(environ, "export", "sft")
    narrower = folder / "narrower.json"
    narrower.write_text('{"seed": 5}')
    lakehouse(environ, "export", "sft", "--parameters", str(narrower))


def fill_memory(client: httpx.Client) -> None:
    """Searches with outcomes, playbooks, and pathways with a history."""
    found = client.post("/v1/matrix/search", json={"query": NEED, "corpora": ["workers"], "k": 8}).raise_for_status()
    trace, results = found.json()["trace_id"], found.json()["results"]
    for place, score in ((6, 1.0), (7, 1.0), (0, -1.0)):
        record = {"query": NEED, "answer_id": results[place]["id"], "answer_corpus": "workers", "score": score}
        client.post("/v1/matrix/playbooks/record", json=record | {"tags": ["fill"]}).raise_for_status()
    client.post("/v1/outcomes", json={"trace_id": trace, "success": True}).raise_for_status()
    content = {
        "task": f"fill 3 welders in Toledo {SCRIPT}",
        "steps": ["search certified within 30 miles", "call first"],
    }
    added = client.post("/v1/pathway/add", json={"content": content, "tags": ["fill", "welder"]}).raise_for_status()
    uid = added.json()["uid"]
    better = content | {"steps": ["search by reliability", "call at eight", "confirm by SMS"]}
    client.post("/v1/pathway/update", json={"uid": uid, "content": better}).raise_for_status()
    revised = {"predecessor_uid": uid, "content": better | {"note": "two shifts"}}
    client.post("/v1/pathway/revise", json=revised).raise_for_status()


def fill_triage(environ: Mapping[str, str], runs: Sequence[Sequence[str]]) -> None:
    """Items about runs that are there, as a filled queue has them."""
    queue = TriageQueue(connect_store(load_settings(environ, env_file=None)))
    for place, (run_id, task_id, stream, day) in enumerate(runs):
        detail = {"stream": stream, "dt": day, "score": "needs_human_review"}
        queue.add(
            Item(
                subject=Subject("run", run_id, sha256=f"{place:064x}", task_id=task_id, detail=detail),
                kind="needs_review",
                reasons=(f"nobody could tell {SCRIPT}",),
                priority=50 - place,
                priority_reasons=("50: it waits for a person",),
                created_at="2026-03-01T10:00:00.000000Z",
            )
        )


def _hostile(folder: Path, *, more: int = 0) -> Path:
    """A table whose cells are markup, one of them of a megabyte."""
    path = folder / f"hostile{more}.csv"
    cell = SCRIPT.replace('"', '""')
    big = "x" * (1 << 20)
    path.write_text(f'id,text\n1,"{cell}"\n2,"{big}"\n' + "".join(f"{n},row {n}\n" for n in range(3, 40 + more)))
    return path


def _ingest(client: httpx.Client, name: str, path: Path, *, mode: str = "replace") -> None:
    with path.open("rb") as file:
        client.post("/v1/ingest", params={"name": name, "mode": mode}, files={"file": file}).raise_for_status()


def lakehouse(environ: Mapping[str, str], *arguments: str, exit_codes: Sequence[int] = (0,)) -> None:
    """Run a command, in this process: a dozen processes would spend most of their time on imports."""
    done = run_command(*arguments, environ={**clean_environ(), **environ}, cwd=ROOT)
    assert done.returncode in exit_codes, f"lakehouse {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
