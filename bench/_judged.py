"""Judged collections of ../shared/data, embedded by an embedder of the platform; embeddings are kept in a folder.

Collection: documents, queries, and which documents are relevant to which query.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.embedders import open_embedder
from lakehouse.settings import load_settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CODE = "O*NET-SOC Code"
_BATCH = 256


@dataclass(frozen=True)
class Collection:
    """`gains[n]` are the relevant documents of query n; gains are binary, as the published figures have them."""

    name: str
    ids: list[str]
    texts: list[str]
    queries: list[str]
    gains: list[dict[str, float]]
    vectors: NDArray[np.float32]
    query_vectors: NDArray[np.float32]


class Embeddings:
    """Embeds each list of texts once; the folder holds what was embedded before."""

    def __init__(self, folder: Path, embedder: str = "minilm") -> None:
        self._folder = folder
        self.embedder = open_embedder(embedder, load_settings({}, env_file=None))

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        digest = hashlib.sha256("\0".join([self.embedder.name, *texts]).encode()).hexdigest()[:32]
        path = self._folder / f"{digest}.npy"
        if not path.exists():
            vectors = np.empty((len(texts), self.embedder.dimension), np.float32)
            order = np.argsort([len(text) for text in texts], kind="stable")
            for start in range(0, len(texts), _BATCH):
                batch = order[start : start + _BATCH]
                vectors[batch] = self.embedder.embed([texts[n] for n in batch])
            np.save(path, vectors)
        return np.load(path)


def scifact(embed: Embeddings) -> Collection:
    """BEIR SciFact, test: claims → abstracts (title and text)."""
    folder = DATA / "scifact"
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    queries = [line.split("\t") for line in (folder / "queries.tsv").read_text().splitlines()]
    gains: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.txt").read_text().splitlines():
        query, _, document, _ = line.split()
        gains.setdefault(query, {})[document] = 1.0
    return _collection(
        "scifact",
        [d["_id"] for d in documents],
        [f"{d['title']} {d['text']}" for d in documents],
        [text for _, text in queries],
        [gains[number] for number, _ in queries],
        embed,
    )


def cranfield(embed: Embeddings) -> Collection:
    """Cranfield: questions of aeronautics → abstracts; a query's number is its order in the file."""
    folder = DATA / "cranfield"
    documents = re.findall(r"<doc>(.*?)</doc>", (folder / "cran.all.1400.xml").read_text(), re.DOTALL)

    def part(document: str, tag: str) -> str:
        found = re.search(rf"<{tag}>(.*?)</{tag}>", document, re.DOTALL)
        return " ".join(found[1].split()) if found else ""

    def text(document: str) -> str:
        title, body = part(document, "title"), part(document, "text")
        # The text repeats the title.
        return f"{title} {body.removeprefix(title).strip()}".strip()

    ids = [part(document, "docno") for document in documents]
    queries = re.findall(r"<title>(.*?)</title>", (folder / "cran.qry.xml").read_text(), re.DOTALL)
    gains: list[dict[str, float]] = [{} for _ in queries]
    known = set(ids)
    for line in (folder / "cranqrel.trec.txt").read_text().splitlines():
        query, _, document, grade = line.split()
        if int(grade) > 0 and document in known:
            gains[int(query) - 1][document] = 1.0
    texts = [text(document) for document in documents]
    return _collection("cranfield", ids, texts, [" ".join(q.split()) for q in queries], gains, embed)


def onet(embed: Embeddings) -> Collection:
    """O*NET: titles as workers reported them → occupations, whose text is "Title. Description" and nothing else."""
    occupations = _tsv("Occupation Data.txt")
    gains: dict[str, dict[str, float]] = {}
    for row in _tsv("Sample of Reported Titles.txt"):
        gains.setdefault(row["Reported Job Title"], {})[row[CODE]] = 1.0
    titles = sorted(gains)
    return _collection(
        "onet",
        [o[CODE] for o in occupations],
        [f"{o['Title']}. {o['Description']}" for o in occupations],
        titles,
        [gains[title] for title in titles],
        embed,
    )


def _tsv(name: str) -> list[dict[str, str]]:
    with (DATA / "onet" / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _collection(
    name: str, ids: list[str], texts: list[str], queries: list[str], gains: list[dict[str, float]], embed: Embeddings
) -> Collection:
    return Collection(name, ids, texts, queries, gains, embed.of(texts), embed.of(queries))


LOADERS: dict[str, Callable[[Embeddings], Collection]] = {"scifact": scifact, "cranfield": cranfield, "onet": onet}
