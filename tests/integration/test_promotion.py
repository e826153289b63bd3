"""From judged runs to a promoted config and back: proposals, held-out replays, the watch; SQL and evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from typing import Any

import orjson
import pytest

from lakehouse.adapters.evidence_index import EvidenceIndex
from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.promotion import LIVE, ROLLED_BACK, Promotions
from lakehouse.adapters.promotion_evidence import JudgedRuns
from lakehouse.adapters.replay_batches import Replays
from lakehouse.adapters.replay_judge import judge
from lakehouse.adapters.replay_nightly import NightlyReplay
from lakehouse.adapters.replay_tasks import past_tasks
from lakehouse.adapters.scored_days import ScoredDays
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse.promotion.split import is_held_out, question_key
from lakehouse.replay.arms import Arm
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.settings import Settings
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.replaying import asked, fill_lake, raw_lines_of, replay_settings, rows_of, tasks
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio
DAY = date(2026, 3, 1)
RUN = RunFacts("run-of-a-test")
QUESTIONS = [f"Who is an electrician in Ohio, for site {n}?" for n in range(110)]
RIGHT, WRONG = "It is Maria Lopez (id 100).", "Nobody fits."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="promotions")
    store_process.drop_bucket("promotions")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        server.by_model = {
            "m": Reply(document=completion(WRONG)),
            "x": Reply(document=completion(RIGHT)),
            "judge": Reply(document=completion('{"better": "A"}')),
        }
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("promotions")
    return replay_settings(store, folder, endpoint.url, chat_model="ollama/m", replay_nightly_tasks=31)


@pytest.fixture(scope="module")
async def api(settings: Settings, store: S3ObjectStore) -> AsyncIterator[RunningApi]:
    """A lake with a corpus, and judged runs: model x did well, model m in half of its runs."""
    async with running_api(settings) as running:
        await fill_lake(running)
        lines = [answered(n, "x" if n % 2 else "m") for n in range(len(QUESTIONS))]
        put(store, "chat_calls", lines)
        put(store, "outcomes", [outcome(n, 1.0 if n % 2 or n % 4 else -1.0) for n in range(len(QUESTIONS))])
        materialize(store, settings, "chat_calls", "outcomes")
        yield running


def answered(n: int, model: str) -> dict[str, Any]:
    shown = [{"corpus": "crew", "id": "100"}, {"corpus": "crew", "id": "101"}]
    return {
        "run_id": f"run-{n:03d}", "recorded_at": f"{DAY}T10:00:{n % 60:02d}.000000Z", "status": "ok",
        "provider": "ollama",
        "provider_model": model, "messages": [{"role": "user", "content": QUESTIONS[n]}], "content": RIGHT,
        "finish_reason": "stop", "task": QUESTIONS[n], "config_version": "answer/0+search/0",
        "retrieved_context": {"corpora": ["crew"], "shown": shown, "arm": "playbook"},
    }  # fmt: skip


def outcome(
    n: int, score: float, *, version: str = "answer/0+search/0", day: date = DAY, of: str = ""
) -> dict[str, Any]:
    return {
        "run_id": f"o-{of}{n}", "recorded_at": f"{day}T11:00:00.000000Z",
        "outcome_of": f"{of}-{n}" if of else f"run-{n:03d}",
        "score": score, "answer_id": "100", "actor": "primary", "config_version": version,
    }  # fmt: skip


def put(
    store: S3ObjectStore, stream: str, lines: Sequence[dict[str, Any]], *, day: date = DAY, part: str = "a"
) -> None:
    body = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    store.put(f"raw/{stream}/dt={day}/{part}.jsonl", body)


def materialize(store: S3ObjectStore, settings: Settings, *streams: str) -> dict[str, int]:
    folder = settings.data_dir / "work"
    made = EvidenceMaterializer(store, work_dir=folder)
    counts = {"new": 0, "quarantined": 0}
    for stream in streams:
        for result in made.materialize(stream, list(made.behind(stream)), RUN):
            if result.partition is not None:
                counts = {name: counts[name] + result.partition.counts[name] for name in counts}
    EvidenceIndex(store, store.location, work_dir=folder).refresh()
    ScoredDays(store, store.location, work_dir=folder).score(RUN)
    return counts


@pytest.fixture
def nightly(api: RunningApi, settings: Settings, store: S3ObjectStore) -> NightlyReplay:
    return NightlyReplay(settings, store, store.location, work_dir=settings.data_dir / "work")


@pytest.fixture
def promotions(nightly: NightlyReplay) -> Promotions:
    return nightly.promotions


def live(store: S3ObjectStore) -> int:
    return ConfigStore(store).live("answer").version


async def test_past_tasks_know_the_records_that_outcomes_name(
    api: RunningApi, store: S3ObjectStore, settings: Settings
) -> None:
    found = past_tasks(store, store.location, work_dir=settings.data_dir / "work", most=1000)
    # Where an outcome says that the record failed, nothing is known of the right one.
    assert len(found) == sum(1 for n in range(len(QUESTIONS)) if n % 4)
    assert all(task.expected == {"ids": ["100"]} and task.corpora == ("crew",) for task in found)
    assert found[0].replay_of is not None
    judged = JudgedRuns(store, store.location, work_dir=settings.data_dir / "work").observed()
    on_this_side = sum(not is_held_out(question) for question in QUESTIONS)
    assert {name: one.runs for name, one in judged.corpora.items()} == {("crew", "crew"): on_this_side}
    held = past_tasks(store, store.location, work_dir=settings.data_dir / "work", most=1000, side="held_out")
    seen = past_tasks(store, store.location, work_dir=settings.data_dir / "work", most=1000, side="seen")
    assert len(held) + len(seen) == len(found)
    assert all(is_held_out(task.question) for task in held)
    assert not {task.question for task in held} & {task.question for task in seen}


async def test_tasks_of_a_corpus_that_is_gone_are_passed_over(
    api: RunningApi, store: S3ObjectStore, settings: Settings
) -> None:
    folder = settings.data_dir / "work"
    before = past_tasks(store, store.location, work_dir=folder, most=1000)
    line = answered(1, "x") | {"run_id": "run-gone", "task": "Who is an electrician, of those who left?"}
    line["retrieved_context"] = {"corpora": ["left"], "shown": [{"corpus": "left", "id": "100"}], "arm": "off"}
    put(store, "chat_calls", [line], part="gone")
    put(store, "outcomes", [outcome(1, 1.0) | {"run_id": "o-gone", "outcome_of": "run-gone"}], part="gone")
    materialize(store, settings, "chat_calls", "outcomes")
    assert past_tasks(store, store.location, work_dir=folder, most=1000) == before
    told = past_tasks(store, store.location, work_dir=folder, most=1000, is_gone_told=True)
    assert [task.corpora for task in told if task not in before] == [("left",)]


async def test_runs_without_outcomes_count_by_their_scores(
    api: RunningApi, store: S3ObjectStore, settings: Settings
) -> None:
    seen = JudgedRuns(store, store.location, work_dir=settings.data_dir / "work")
    before = seen.observed()
    line = answered(0, "reviewed") | {"run_id": "run-reviewed", "task": "Who is an electrician in Ohio, once more?"}
    other = line | {"run_id": "run-unknown", "provider_model": "unknown"}
    assert not is_held_out(line["task"])
    put(store, "chat_calls", [line, other], part="reviewed")
    said = {"run_id": "rev-1", "recorded_at": line["recorded_at"], "review_of": "run-reviewed", "by": "dana",
            "is_human": True, "verdict": "accept"}  # fmt: skip
    put(store, "reviews", [said])
    materialize(store, settings, "chat_calls", "reviews")
    after = seen.observed()
    assert (after.models["ollama/reviewed"].runs, after.models["ollama/reviewed"].mean) == (1, 1.0)
    assert "ollama/unknown" not in after.models
    assert after.ranks[1] == before.ranks[1] + 1  # it names the first of what was shown by its id


async def test_night_tries_a_proposal_and_makes_it_live_and_the_watch_takes_it_back(
    nightly: NightlyReplay, promotions: Promotions, store: S3ObjectStore, settings: Settings, api: RunningApi
) -> None:
    for name in await _only_the_model_is_proposed(nightly, store):
        assert name.startswith("replay/proposals/")
    # Of fewer tasks than rules ask for nothing can come: the proposal waits for a night that has them.
    evening = utc_now()
    few = NightlyReplay(
        settings.model_copy(update={"replay_nightly_tasks": 2}), store, store.location, work_dir=settings.data_dir,
        clock=lambda: evening,
    )  # fmt: skip
    night = await few.run()
    assert str(night.batch_id).startswith("nightly-")
    again = await few.run()
    assert (again.batch_id, again.skipped is not None) == (night.batch_id, True)
    none = NightlyReplay(
        settings.model_copy(update={"replay_nightly_tasks": 0}), store, store.location, work_dir=settings.data_dir
    )
    assert (await none.run()).batch_id is None
    # One that cannot be had stands in nobody's way.
    known = [orjson.loads(store.get(info.key).body) for info in list_all(store, "replay/proposals/")]
    (model,) = [one for one in known if one["name"] == "model"]
    gone = model | {"proposal_id": "p-0", "answer": {"model": "openrouter/gone"}}
    store.put("replay/proposals/p-0.json", orjson.dumps(gone))
    night = await nightly.run()
    assert night.verdict is not None
    assert (night.verdict["verdict"], night.verdict["rule"]) == ("promote", "promote.better")
    assert night.verdict["facts"]["shared_tasks"] == 0
    assert night.verdict["facts"]["proposals"] == len(known) + 1  # they share the tasks, whether or not they were tried
    assert night.promoted is not None
    assert night.promoted["expected"]["source"] == "outcomes"
    assert (live(store), ConfigStore(store).live("answer").document["model"]) == (1, "ollama/x")
    with pytest.raises(Conflict, match="promoted before"):
        promotions.promote(str(night.batch_id), by="me")
    # A promotion that was cut off after the config was written is finished by the next try, with nothing written twice.
    key = f"replay/promotions/{night.batch_id}.json"
    cut_off = orjson.loads(store.get(key).body) | {"state": "begun"}
    cut_off["configs"][0]["to"] = None
    store.put(key, orjson.dumps(cut_off))
    assert promotions.promote(str(night.batch_id), by="me")["configs"] == night.promoted["configs"]
    assert live(store) == 1
    # Nothing is taken back while outcomes are as expected, or few.
    ((record, decision),) = promotions.watch()
    assert (record["state"], decision.rule) == (LIVE, "hold.too_few_outcomes")
    now = utc_now()
    today = now.date()
    bad = [outcome(n, -1.0, version="answer/1+search/0", day=today, of="late") for n in range(25)]
    for line in bad:
        line["recorded_at"] = now.isoformat()
    put(store, "outcomes", bad, day=today, part="late")
    materialize(store, settings, "outcomes")
    ((record, decision),) = promotions.watch()
    assert (record["state"], decision.rule) == (ROLLED_BACK, "roll_back.fell_below")
    assert live(store) == 0
    assert promotions.watch() == []
    said = [
        (line["action"], line["subject"], line["actor"]) for line in raw_lines_of(store) if line["stream"] == "audits"
    ]
    assert ("promotion.promote", "answer/1", "nightly") in said
    assert ("promotion.roll_back", "answer/1", "watch") in said
    assert materialize(store, settings, "audits")["quarantined"] == 0


async def _only_the_model_is_proposed(nightly: NightlyReplay, store: S3ObjectStore) -> list[str]:
    from lakehouse.adapters.promotion_proposals import PROPOSALS

    nightly._proposals.propose()
    keys = [info.key for info in list_all(store, PROPOSALS)]
    proposed = {key: orjson.loads(store.get(key).body) for key in keys}
    assert {"model"} <= {one["name"] for one in proposed.values()}
    made_of = {key for one in proposed.values() for key in one["tasks"]}
    held_out = {question_key(question) for question in QUESTIONS if is_held_out(question)}
    assert {question_key(question) for question in QUESTIONS} - held_out <= made_of
    assert not made_of & held_out
    for one in proposed.values():
        if one["name"] != "model":  # as if they were tried on earlier nights
            store.put(f"replay/try-{one['proposal_id']}/batch.json", b"{}")
            store.put(f"replay/try-{one['proposal_id']}/verdict.json", b"{}")
    return keys


async def test_what_no_verdict_promotes_stays(
    promotions: Promotions, settings: Settings, store: S3ObjectStore, endpoint: ChatEndpointServer
) -> None:
    replays = Replays(settings, store)
    before = live(store)
    few = await replays.begin(asked(tasks(2), Arm("current"), Arm("new", answer={"k": 5}), batch_id="few"))
    assert few.verdict is not None
    with pytest.raises(Conflict, match=r"is hold, by rule hold\.too_few_tasks"):
        promotions.promote("few", by="me")
    with pytest.raises(NotFound, match="no batch 'nothing'"):
        promotions.promote("nothing", by="me")
    assert live(store) == before


async def _won(replays: Replays, name: str, *arms: Arm) -> None:
    some = [task for task in tasks(124) if task.task_id in {f"t-{4 * n}" for n in range(31)}]
    done = await replays.begin(asked(some, *arms, batch_id=name))
    assert done.verdict is not None
    assert done.verdict["verdict"] == "promote", done.verdict["reasons"]


async def test_config_that_is_no_longer_valid_or_not_what_was_compared_is_not_promoted(
    promotions: Promotions, settings: Settings, store: S3ObjectStore, api: RunningApi
) -> None:
    replays = Replays(settings, store)
    current, better = Arm("current"), Arm("new", answer={"model": "ollama/x"})
    await _won(replays, "won", current, better)
    before = live(store)
    batch = store.get("replay/won/batch.json").body
    with pytest.raises(Conflict, match="replay again"):  # the baseline's model is in no live config
        promotions.promote("won", by="me")
    store.put("replay/won/batch.json", batch.replace(b'"pathway_k":', b'"pathway_q":'))
    with pytest.raises(BadInput, match="no longer valid"):
        promotions.promote("won", by="me")
    switched = asked(tasks(1), current, Arm("new", pathway=True, answer={"model": "ollama/x"}), batch_id="switched")
    await replays.begin(switched)
    verdict = orjson.loads(store.get("replay/won/verdict.json").body)
    store.put("replay/switched/verdict.json", orjson.dumps(verdict))
    with pytest.raises(BadInput, match="differ in retrieval, playbook or pathway"):
        promotions.promote("switched", by="me")
    assert live(store) == before


async def test_corpus_of_another_embedder_is_tried_made_live_and_taken_back(
    promotions: Promotions, settings: Settings, store: S3ObjectStore, api: RunningApi
) -> None:
    items = [{"id": "100", "text": "Electrician in Columbus, Ohio", "metadata": {"name": "Maria Lopez"}}]
    configs = ConfigStore(store)
    async with api.client() as client:
        await client.post("/v1/vectors/index", json={"name": "crew_m", "dimension": 256, "distance": "cosine"})
        assert (await client.post("/v1/vectors/index/crew_m/add", json={"items": items})).status_code == 200
        before = configs.publish("answer", {"model": "ollama/m"}, by="me").version
        replays = Replays(settings, store)
        await _won(
            replays, "twin", Arm("current"), Arm("new", answer={"model": "ollama/x", "corpora": {"crew": "crew_m"}})
        )
        rows = [row for row in replays.store.rows(replays.store.read("twin")) if row["arm"] == "new"]
        assert {found["corpus"] for row in rows for found in row["retrieved"]} == {"crew_m"}
        assert set(rows[0]["as_of"]["tables"]) == {"crew", "crew_m"}
        # Begun before there was such a field: what is not said is the default.
        batch = orjson.loads(store.get("replay/twin/batch.json").body)
        del batch["arms"][0]["answer"]["corpora"]
        store.put("replay/twin/batch.json", orjson.dumps(batch))
        promotions.promote("twin", by="me")
        question = {"task": QUESTIONS[0], "corpora": ["crew"], "model": "ollama/x"}

        async def cited() -> set[str]:
            version = f"answer/{live(store)}"
            answer = await client.post("/v1/answer", json=question | {"config": version})
            assert answer.status_code == 200, answer.text
            return {one["corpus"] for one in answer.json()["citations"]}

        assert await cited() == {"crew_m"}
        assert (await client.delete("/v1/vectors/index/crew_m")).status_code in {200, 204}
        gone = await client.post("/v1/answer", json=question | {"config": f"answer/{live(store)}"})
        assert (gone.status_code, "lakehouse rollback" in gone.json()["detail"]) == (404, True), gone.text
        promotions.roll_back("twin", by="me", reason="the corpus is gone")
        assert live(store) == before
        assert await cited() == {"crew"}
    # A promotion that was cut off, and somebody's own config since: neither finishing it nor closing it touches that.
    key = "replay/promotions/twin.json"
    cut_off = orjson.loads(store.get(key).body) | {"state": "begun"}
    cut_off["configs"][0]["to"] = None
    store.put(key, orjson.dumps(cut_off))
    own = configs.publish("answer", {"k": 7}, by="dana").version
    with pytest.raises(Conflict, match=f"answer/{own} is live by now"):
        promotions.promote("twin", by="me")
    assert live(store) == own
    assert promotions.roll_back("twin", by="me", reason="never done")["state"] == ROLLED_BACK
    assert live(store) == own
    promotions.set_version("answer", 0, by="me")


async def test_any_version_can_be_set_and_a_wrong_one_is_refused(promotions: Promotions, store: S3ObjectStore) -> None:
    configs = ConfigStore(store)
    made = configs.publish("answer", {"k": 4}, by="me")
    broken = configs.publish("answer", {"gone": 4}, by="me")
    promotions.set_version("answer", made.version, by="me")
    with pytest.raises(BadInput, match="no field 'gone'"):
        promotions.set_version("answer", broken.version, by="me")
    with pytest.raises(NotFound):
        promotions.set_version("prompt", 1, by="me")
    assert live(store) == made.version
    promotions.set_version("answer", 0, by="me")
    assert live(store) == 0
    with pytest.raises((NotFound, Conflict)):
        promotions.roll_back("nothing", by="me", reason="x")


async def test_judge_that_likes_the_first_place_says_nothing(
    promotions: Promotions, settings: Settings, store: S3ObjectStore
) -> None:
    replays = Replays(settings, store)
    done = await replays.begin(
        asked(tasks(3)[:1], Arm("current"), Arm("new", answer={"model": "ollama/x"}), batch_id="judged")
    )
    told = await judge(replays, "judged", model="ollama/judge")
    assert (told["pairs"], told["counts"]["unsteady"], told["first_share"]) == (1, 1, 1.0)
    assert told["agreement"] is None
    verdict = orjson.loads(store.get("replay/judged/verdict.json").body)
    assert verdict["facts"]["judged_tasks"] == 0
    assert verdict["verdict"] == "hold"
    assert len(list(list_all(store, "replay/judged/judge/"))) == 1
    assert (await judge(replays, "judged", model="ollama/judge")) == told
    assert rows_of(replays, done)


async def test_runs_are_seen_in_sql_and_become_evidence(
    api: RunningApi, settings: Settings, store: S3ObjectStore, endpoint: ChatEndpointServer
) -> None:
    replays = Replays(settings, store)
    await replays.begin(asked(tasks(2), batch_id="seen"))
    endpoint.by_model["gone"] = Reply(status=500, document={})
    open_one = await replays.begin(asked(tasks(2), model="ollama/gone", batch_id="open"))
    assert open_one.verdict is None
    sql = (
        "SELECT batch_id, arm, count(*), count(match.exact), any_value(error), min(length(as_of)) > 50,"
        " any_value(question) FROM replay_runs WHERE batch_id IN ('seen', 'open') GROUP BY ALL ORDER BY ALL"
    )
    async with api.client() as client:
        answer = await client.post("/v1/sql", json={"sql": sql})
        assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    assert [row[:4] for row in rows] == [["open", "both", 1, 0], ["open", "cold", 2, 0], ["seen", "both", 2, 2],
                                         ["seen", "cold", 2, 2]]  # fmt: skip
    assert rows[0][4].startswith("502 ")
    assert all(row[5] for row in rows)
    assert materialize(store, settings, "replay_runs") == {
        "new": sum(1 for line in raw_lines_of(store) if line["stream"] == "replay_runs"), "quarantined": 0,
    }  # fmt: skip
