"""The platform's acceptance: what is recorded makes later answers better, run after run, over the real API.

O*NET: titles as workers reported them are the queries, occupations are the answers. Outcomes of some titles of each
occupation are recorded, and titles that never were are searched. `bench/learning.py` is the whole experiment.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.retrieval.evaluation import ndcg, paired_bootstrap
from tests.retrieving import retrieval_api

pytestmark = pytest.mark.anyio
CODE = "O*NET-SOC Code"
BULK = 1000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


class Titles:
    """A third of the occupations with four titles or more: one title of each is never recorded."""

    def __init__(self, onet: Path) -> None:
        self.occupations = table(onet / "Occupation Data.txt")
        answers: dict[str, set[str]] = defaultdict(set)
        for row in table(onet / "Sample of Reported Titles.txt"):
            answers[row["Reported Job Title"]].add(row[CODE])
        homes: dict[str, list[str]] = defaultdict(list)
        for title in sorted(answers):
            homes[min(answers[title])].append(title)
        shuffle = random.Random(7)
        self.answers = answers
        self.test, self.first_run, self.second_run = [], [], []
        for code in sorted(homes)[::3]:
            titles = homes[code]
            if len(titles) >= 4:
                shuffle.shuffle(titles)
                self.test.append(titles[0])
                self.first_run += titles[1:3]
                self.second_run += titles[3:]


@pytest.fixture
async def client(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with retrieval_api(objects, tmp_path / "data") as api, api.client() as opened:
        yield opened


async def quality(client: httpx.AsyncClient, titles: Titles, *, playbook: bool) -> np.ndarray:  # type: ignore[type-arg]
    """nDCG@10 of each test title."""
    values = []
    for title in titles.test:
        request = {"query": title, "corpora": ["occupations"], "k": 10, "use_playbook": playbook}
        answer = await client.post("/v1/matrix/search", json=request)
        assert answer.status_code == 200, answer.text
        ranked = [result["id"] for result in answer.json()["results"]]
        values.append(ndcg(ranked, dict.fromkeys(titles.answers[title], 1.0)))
    return np.array(values)


async def record(client: httpx.AsyncClient, titles: Titles, run: list[str]) -> None:
    records = [
        {"query": title, "answer_id": code, "answer_corpus": "occupations"}
        for title in run
        for code in sorted(titles.answers[title])
    ]
    for first in range(0, len(records), BULK):
        answer = await client.post("/v1/matrix/playbooks/bulk", json={"records": records[first : first + BULK]})
        assert answer.status_code == 200, answer.text


async def test_answers_to_queries_never_seen_get_better_run_after_run(
    client: httpx.AsyncClient, shared_data: Path
) -> None:
    titles = Titles(shared_data / "onet")
    items = [{"id": o[CODE], "text": f"{o['Title']}. {o['Description']}"} for o in titles.occupations]
    await client.post("/v1/vectors/index", json={"name": "occupations"})
    added = await client.post("/v1/vectors/index/occupations/add", json={"items": items})
    assert added.status_code == 200, added.text

    cold = await quality(client, titles, playbook=True)
    await record(client, titles, titles.first_run)
    once = await quality(client, titles, playbook=True)
    await record(client, titles, titles.second_run)
    twice = await quality(client, titles, playbook=True)

    assert paired_bootstrap(once, cold, seed=1).low > 0
    assert twice.mean() > once.mean()
    assert paired_bootstrap(twice, cold, seed=1).low > 0.05
    without = await quality(client, titles, playbook=False)
    assert without.tolist() == cold.tolist(), "without playbooks nothing has changed"
    print(f"{len(titles.test)} titles, nDCG@10: {cold.mean():.3f}, {once.mean():.3f}, {twice.mean():.3f}")
