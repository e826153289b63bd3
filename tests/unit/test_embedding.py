"""Embedding's arithmetic, the texts it takes, names and model files."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lakehouse.adapters.embedders import embedder_name, embedder_names, open_embedder
from lakehouse.adapters.minilm_embedder import MiniLmEmbedder
from lakehouse.adapters.package_files import package_file
from lakehouse.adapters.static_embedder import TOKENIZER_FILE, WEIGHTS_FILE, StaticEmbedder
from lakehouse.errors import BadInput, Unavailable
from lakehouse.retrieval.embedding import (
    MAX_TEXT_BYTES,
    check_texts,
    length_buckets,
    mean_pool,
    padded,
    sums_by_owner,
    unit_rows,
)
from lakehouse.settings import Settings, load_settings

NOMIC = '{"nomic": {"url": "http://127.0.0.1:1/v1", "model": "nomic-embed-text:v1.5", "dimension": 768}}'


@pytest.fixture
def settings() -> Settings:
    return load_settings({"LAKEHOUSE_EMBEDDING_ENDPOINTS": NOMIC}, env_file=None)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "there is no text to embed"),
        (["a", ""], "text 1 is blank"),
        (["a", "b", " \n"], "text 2 is blank"),
        (["é" * (MAX_TEXT_BYTES // 2) + "x"], "text 0 has 1048577 bytes"),
        (["a", "b\ud800c"], "text 1 has half of a surrogate pair at character 1"),
        (["a", "b", "c", "d"], "4 texts in one call, but at most 3"),
    ],
)
def test_text_that_nobody_means_is_refused_by_its_index(texts: list[str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_texts(texts, most=3)


def test_text_of_a_mebibyte_is_taken() -> None:
    check_texts(["x" * MAX_TEXT_BYTES, "🙂"])


def test_mean_pool_counts_no_padding() -> None:
    hidden = np.array([[[1, 2], [3, 4], [99, 99]], [[5, 6], [99, 99], [99, 99]]], dtype=np.float32)
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    assert_allclose(mean_pool(hidden, mask), [[2, 3], [5, 6]])
    assert_array_equal(mean_pool(hidden, np.zeros_like(mask)), np.zeros((2, 2)))


def test_unit_rows_give_the_first_axis_to_rows_without_direction() -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0], [1e-20, 0]], dtype=np.float32))
    assert_allclose(rows, [[0.6, 0.8], [1, 0], [1, 0]])


@given(st.lists(st.integers(0, 300), max_size=80), st.integers(1, 20), st.integers(1, 2000))
def test_length_buckets_hold_every_index_once_by_rising_length(lengths: list[int], size: int, most: int) -> None:
    buckets = length_buckets(lengths, size, most_tokens=most)
    flat = [int(i) for bucket in buckets for i in bucket]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[i] for i in flat] == sorted(lengths)
    assert all(0 < len(bucket) <= size for bucket in buckets)
    assert all(len(bucket) == 1 or len(bucket) * lengths[bucket[-1]] <= most for bucket in buckets)
    for bucket, following in itertools.pairwise(buckets):  # none that could have taken one more
        assert len(bucket) == size or (len(bucket) + 1) * lengths[following[0]] > most


def test_padded_ids_are_told_apart_from_padding() -> None:
    matrix, mask = padded([[7, 8, 9], [], [5]])
    assert_array_equal(matrix, [[7, 8, 9], [0, 0, 0], [5, 0, 0]])
    assert_array_equal(mask, [[1, 1, 1], [0, 0, 0], [1, 0, 0]])
    assert padded([[], []])[0].shape == (2, 1)


@given(st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=30), st.integers(1, 12))
def test_sums_by_owner_are_the_sums_and_stay_within_their_memory(items: list[list[int]], most: int) -> None:
    table = np.arange(20, dtype=np.float32).reshape(10, 2)
    made = []

    def rows_of(ids: list[int]) -> np.ndarray:
        made.append(len(ids))
        return table[ids]

    sums = sums_by_owner(items, rows_of, dimension=2, most=most)
    assert_array_equal(sums, [table[own].sum(axis=0) if own else [0, 0] for own in items] or np.zeros((0, 2)))
    assert max(made, default=0) < 2 * most


def test_static_vector_is_the_mean_of_the_token_rows() -> None:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    (table,) = load_file(package_file(*WEIGHTS_FILE)).values()
    tokenizer = Tokenizer.from_file(str(package_file(*TOKENIZER_FILE)))
    embedder = StaticEmbedder()
    for text in ("MIG and TIG welding in Toledo, OH 43604", "unverständlich 日本語 🙂", "a b a b", "w" * 200):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        mean = table[ids].astype(np.float32).mean(axis=0)
        for _ in range(2):  # unknown words, then known ones
            assert_allclose(embedder.embed([text])[0], mean / np.linalg.norm(mean), atol=1e-6)
        assert embedder.count_tokens([text]) == len(ids)


@pytest.fixture(scope="module")
def static() -> StaticEmbedder:
    return StaticEmbedder()


@settings_of(deadline=None, max_examples=50)
@given(words=st.lists(st.text(st.characters(exclude_categories=("Cs", "Z", "C")), min_size=1), min_size=1, max_size=5))
def test_static_word_has_the_tokens_that_the_tokenizer_gives_it(static: StaticEmbedder, words: list[str]) -> None:
    tokenizer = static._words._tokenizer
    for word in (*words, "</s>", "a<s>b", "▁", "▁▁x", "'s", "Ünïcode-₹1🙂"):
        assert static._words.tokens([word])[0] == tokenizer.encode(word, add_special_tokens=False).ids


def test_static_words_beyond_those_kept_are_embedded_alike() -> None:
    embedder = StaticEmbedder()
    texts = [" ".join(f"{n}x{m}" for m in range(400)) for n in range(330)]
    before = embedder.embed(texts[:3])
    embedder.embed(texts)
    assert_allclose(embedder.embed(texts[:3]), before, atol=1e-6)


def test_minilm_reads_the_first_256_tokens() -> None:
    embedder = MiniLmEmbedder(threads=1)
    long = "word " * 300
    assert embedder.count_tokens([long]) == 256
    assert_allclose(embedder.embed([long + "and more"]), embedder.embed([long + "or less"]), atol=1e-6)


def test_endpoint_goes_by_its_name_and_with_its_model(settings: Settings) -> None:
    full = "nomic/nomic-embed-text:v1.5"
    assert embedder_names(settings) == ["minilm", "static", full]
    assert [embedder_name(n, settings) for n in ("static", "nomic", full)] == ["static", full, full]


@pytest.mark.parametrize("name", ["gpt", "", "nomic/other-model", "minilm/x", "NOMIC"])
def test_unknown_embedder_is_refused_with_the_known_ones(settings: Settings, name: str) -> None:
    with pytest.raises(BadInput, match=f"there is no embedder '{name}'; there are minilm, static, nomic/nomic-embed"):
        open_embedder(name, settings)


@pytest.mark.parametrize(
    ("package", "words"),
    [("no_such_package_here", "the package is not installed"), ("wordllama", "the installed package lacks it")],
)
def test_missing_model_file_is_named_without_folders_of_the_machine(package: str, words: str) -> None:
    with pytest.raises(Unavailable) as caught:
        package_file(package, "weights", "none.bin")
    assert f"weights/none.bin of the package '{package}' is missing ({words})" in caught.value.detail
    assert str(Path(np.__file__).parents[1]) not in caught.value.detail


def test_damaged_model_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.bin"
    for content in (b"", b"no model", b"{}"):
        path.write_bytes(content)
        for opening in (
            lambda: MiniLmEmbedder(threads=1, model=path),
            lambda: MiniLmEmbedder(threads=1, tokenizer=path),
            lambda: StaticEmbedder(weights=path),
            lambda: StaticEmbedder(tokenizer=path),
            lambda: StaticEmbedder(weights=tmp_path / "damaged.bin.none", tokenizer=path),
        ):
            with pytest.raises(Unavailable, match=r"cannot read its file damaged\.bin") as caught:
                opening()
            assert str(tmp_path) not in caught.value.detail


def test_model_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    program = (
        "from lakehouse.adapters.minilm_embedder import MiniLmEmbedder; MiniLmEmbedder(threads=1).embed(['a nurse'])"
    )
    environ = {"HOME": str(tmp_path), "PATH": os.defpath}
    subprocess.run([sys.executable, "-c", program], env=environ, check=True, timeout=120)
    assert list(tmp_path.rglob("*")) == []
