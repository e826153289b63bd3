"""Erasure on the real store: no byte that the platform reaches says the words any more, and what is left is named."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.audit import Auditor
from lakehouse.adapters.erasure import Eraser
from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_erasure import MemoryErasure
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.words import Words
from lakehouse.lineage.retracted import RetractionReport
from lakehouse.memory.log_object import VOID
from lakehouse.retrieval.playbook import ROW_RULES
from lakehouse.storage.objects import list_all
from lakehouse_assets.resources import LakeStore
from tests.integration.test_retraction import entry, retractor
from tests.lineage import FIRST, RUN, make_lake, trajectory
from tests.memory_logs import running
from tests.servers import StoreServer

SUBJECT = "Zorblatt Quixani"
WORDS = Words(SUBJECT)


def says(objects: S3ObjectStore, words: bytes) -> list[str]:
    """Keys of objects that have some bytes, those of Parquet and Lance looked into as well."""
    found = []
    for info in list_all(objects, ""):
        body = objects.get(info.key).body
        if info.key.endswith(".parquet"):
            body += str(pq.read_table(io.BytesIO(body)).to_pylist()).encode()
        if words in body:
            found.append(info.key)
    return found


def remember(objects: S3ObjectStore) -> None:
    folded = LanceFoldedRows(LanceTables(objects.location, objects), objects, "playbooks", ROW_RULES)
    with running(objects, folded=folded) as process:
        for playbook_id, query in (("p1", f"where is {SUBJECT}"), ("p2", "where is somebody else")):
            said = {"playbook_id": playbook_id, "query": query, "score": 1.0, "n": 0}
            process.log.append_sync("record", said, actor="desk")
        process.log.append_sync("delete", {"playbook_id": "p1", "n": 1}, actor="desk")
        process.log.fold()
        process.log.append_sync("feedback", {"playbook_id": "p2", "score": 0.5, "n": 2}, actor="desk")


def table_of(**columns: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def module_objects(store_process: StoreServer) -> S3ObjectStore:
    return store_process.objects(bucket="test-erasure")


@pytest.fixture(scope="module")
def erased(
    module_objects: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RetractionReport, LakeStore]:
    """A lake that a subject is in everywhere, after its erasure."""
    objects, folder = module_objects, tmp_path_factory.mktemp("lake")
    refused = orjson.dumps({"run_id": "r", "note": f"no time, {SUBJECT}"}) + b"\n"
    objects.put(f"raw/agent_trajectories/dt={FIRST}/z.jsonl", trajectory(40, says=f"Ask {SUBJECT}.") + refused)
    store = make_lake(objects, folder, kinds=())
    rows = [orjson.dumps({"raw": text, "reason": "is no JSON"}) for text in (f"{{{SUBJECT}", "{other")]
    objects.put(f"quarantine/agent_trajectories/dt={FIRST}/import-x.jsonl", b"\n".join([*rows, b""]))
    objects.put("audits/reviews/one/report.json", orjson.dumps({"answer": f"line one\n{SUBJECT} did it", "n": 1}))
    objects.put("audits/reviews/one/report.md", f"{SUBJECT} {SUBJECT}, and zorblatt\n quixani".encode())
    objects.put(f"evidence/agent_trajectories/dt={FIRST}/orphan.parquet", table_of(input_text=[f"Ask {SUBJECT}."]))
    objects.put("replay/batch-1/runs.parquet", table_of(question=["who?", f"is it {SUBJECT}?"]))
    objects.put("files/trajectories/openai_pairs/a.jsonl", f"one\ntwo {SUBJECT}\n".encode())
    remember(objects)
    # Shipped a moment ago: no evidence is made of it yet.
    objects.put(f"raw/agent_trajectories/dt={FIRST}/zz.jsonl", trajectory(44, says=f"Or {SUBJECT.upper()}."))
    (folder / "spool").mkdir()
    (folder / "spool" / "part.jsonl").write_text(f"{SUBJECT}\n\nother\n")
    eraser = Eraser(objects, store.lake.evidence, work_dir=store.lake.work_dir, local=(folder / "spool",))
    return retractor(store).retract(entry(SUBJECT, "subject"), RUN, eraser=eraser), store


def test_words_are_nowhere_but_where_the_operator_is_told(
    erased: tuple[RetractionReport, LakeStore], module_objects: S3ObjectStore
) -> None:
    report, _ = erased
    left = {place.key.partition(":")[0] for place in report.open_places}
    still = ["files/trajectories/openai_pairs/a.jsonl", "replay/batch-1/runs.parquet"]
    assert [key for key in says(module_objects, b"Quixani") if key != "catalog/retractions.json"] == still
    assert says(module_objects, b"QUIXANI") == []
    assert set(still) <= left
    assert any(place.key.endswith("part.jsonl") and place.what.startswith("1 line ") for place in report.open_places)
    told = {place.key for place in report.open_places if place.key == still[0] and "line 2" in place.what}
    assert told == {still[0]}


def test_lines_of_others_stay_where_they_were(
    erased: tuple[RetractionReport, LakeStore], module_objects: S3ObjectStore
) -> None:
    lines = module_objects.get(f"quarantine/agent_trajectories/dt={FIRST}/import-x.jsonl").body.split(b"\n")
    assert b"{other" in lines[1]
    assert lines[0].startswith(b'{"erased":')
    report = orjson.loads(module_objects.get("audits/reviews/one/report.json").body)
    assert report == {"answer": "line one\n[erased] did it", "n": 1}
    assert module_objects.get("audits/reviews/one/report.md").body == b"[erased] [erased], and [erased]"


def test_memory_goes_on_without_what_was_erased(
    erased: tuple[RetractionReport, LakeStore], module_objects: S3ObjectStore
) -> None:
    folded = LanceFoldedRows(
        LanceTables(module_objects.location, module_objects), module_objects, "playbooks", ROW_RULES
    )
    with running(module_objects, folded=folded) as process:
        assert process.numbers() == [0, 2]
        assert process.log.stats()["corrupt_lines"] == 0
        process.log.fold()
    bodies = [module_objects.get(info.key).body for info in list_all(module_objects, "log/playbooks/0")]
    assert VOID in bodies
    assert MemoryErasure(module_objects).find(WORDS) == {}


def test_audit_finds_nothing_wrong_after_an_erasure(
    erased: tuple[RetractionReport, LakeStore], module_objects: S3ObjectStore
) -> None:
    work_dir: Path = erased[1].lake.work_dir
    report = Auditor(module_objects, module_objects.location, work_dir=work_dir).audit(is_full=True)
    assert [one for one in report.findings if one.severity == "problem"] == []
