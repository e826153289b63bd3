"""What every embedder does: the two built-in models, an endpoint over HTTP, the fake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lakehouse.adapters.embedders import open_embedder
from lakehouse.adapters.endpoint_embedder import EndpointEmbedder
from lakehouse.adapters.minilm_embedder import MiniLmEmbedder
from lakehouse.adapters.static_embedder import StaticEmbedder
from lakehouse.retrieval.embedding import Embedder
from lakehouse.settings import load_settings
from lakehouse.settings_retrieval import EmbeddingEndpoint
from tests.fakes.embedders import FakeEmbedder
from tests.fakes.embedding_endpoint import embedding_server

TEXTS = [
    "forklift operator, night shift",
    "Certified welder with MIG and TIG experience in Toledo, Ohio",
    "x",
    "José Müller speaks 日本語 and 🙂",
    "electrician " * 40,
    "Skills: wiring, conduit bending, panel upgrades.\n- licensed\t(OH)",
]


@pytest.fixture(scope="module", params=["minilm", "static", "endpoint", "fake"])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    match request.param:
        case "minilm":
            yield MiniLmEmbedder(threads=2)
        case "static":
            yield StaticEmbedder()
        case "fake":
            yield FakeEmbedder()
        case _:
            with embedding_server(FakeEmbedder(dimension=48)) as server:
                endpoint = EmbeddingEndpoint(url=server.url, model="nomic-embed-text", dimension=48)
                with contextlib.closing(EndpointEmbedder("nomic", endpoint, timeout_s=30)) as embedder:
                    yield embedder


def test_vectors_are_finite_and_of_unit_length(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(TEXTS[::-1])[::-1], together, atol=1e-5)


def test_many_texts_come_in_the_order_they_were_given(embedder: Embedder) -> None:
    texts = [f"worker {n} " + "knows bricks and mortar " * (n % 7) for n in range(150)]
    vectors = embedder.embed(texts)
    for n in (0, 6, 63, 64, 65, 149):
        np.testing.assert_allclose(vectors[n], embedder.embed([texts[n]])[0], atol=1e-5)


def test_different_texts_have_different_vectors(embedder: Embedder) -> None:
    likeness = embedder.embed(TEXTS) @ embedder.embed(TEXTS).T
    np.fill_diagonal(likeness, 0)
    assert likeness.max() < 0.999


def test_same_text_twice_has_the_same_vector(embedder: Embedder) -> None:
    vectors = embedder.embed(["one text", "another", "one text"])
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_blank_text_has_the_first_axis(embedder: Embedder) -> None:
    axis = np.eye(1, embedder.dimension, dtype=np.float32)[0]
    vectors = embedder.embed(["", "words", " \n\t"])
    np.testing.assert_array_equal(vectors[0], axis)
    np.testing.assert_array_equal(vectors[2], axis)
    np.testing.assert_allclose(vectors[1], embedder.embed(["words"])[0], atol=1e-5)
    np.testing.assert_array_equal(embedder.embed([""])[0], axis)


@pytest.mark.parametrize("text", ["a" * 300_000, "ab " * 100_000, "日本" * 50_000, "\x00\x01", "<s> </s> [CLS] [PAD]"])
def test_odd_text_has_a_vector_like_any_other(embedder: Embedder, text: str) -> None:
    vector = embedder.embed([text])[0]
    assert np.isfinite(vector).all()
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5


def test_threads_do_not_disturb_each_other(embedder: Embedder) -> None:
    lists = [[f"text {n} of {thread}" for n in range(20)] for thread in range(8)]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(embedder.embed, lists))
    for texts, vectors in zip(lists, at_once, strict=True):
        np.testing.assert_allclose(vectors, embedder.embed(texts), atol=1e-5)


PARAPHRASES = [
    ("A man is eating food.", "Someone is having a meal."),
    ("The stock market fell sharply today.", "Share prices dropped a lot."),
    ("How do I fix a leaking pipe?", "repairing plumbing that drips water"),
    ("She plays the violin in an orchestra.", "A woman performs classical music on a string instrument."),
]


@pytest.mark.parametrize(("model", "margin"), [("minilm", 0.25), ("static", 0.1)])
def test_paraphrase_is_nearer_than_every_other_sentence(model: str, margin: float) -> None:
    embedder = open_embedder(model, load_settings({}, env_file=None))
    left, right = (embedder.embed([pair[side] for pair in PARAPHRASES]) for side in (0, 1))
    likeness = left @ right.T
    others = likeness - 2 * np.eye(len(PARAPHRASES))
    assert (likeness.diagonal() > others.max(axis=1) + margin).all()
