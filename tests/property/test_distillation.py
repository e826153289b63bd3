"""Corpora of any runs in any order: the same bytes, every candidate accounted for, no entity in two splits."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.adapters.distill_build import build_corpus
from lakehouse.adapters.distill_signatures import SignatureFile
from lakehouse.distillation.clusters import join_clusters
from lakehouse.distillation.known_names import KnownNames
from lakehouse.distillation.parameters import corpus_parameters
from lakehouse.distillation.refusal import Refused
from lakehouse.distillation.scrub import scrub_sample, second_look
from lakehouse.distillation.splits import over_limit, split_of
from lakehouse.distillation.twins import band_shape, exact_copies, shingles
from tests.distilling import all_bytes, lake, rows_of, run

NAMES = KnownNames(["Jane Doe", "José García"])
SOME = settings(max_examples=12)
vocabulary = st.sampled_from(
    ["shift", "Monday", "jane@x.org", "(415) 555-0132", "crew", "536-22-1234", "ok", "who", "\n"]
)
answers = st.lists(vocabulary, max_size=12).map(" ".join)
pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["a@b.org", "ａ@b.org", "555-123-4567", "+1 (415) 555-0132", "536-22-1234", "ssn 536221234", "12 Main St",
         "4111 1111 1111 1111", "Jane Doe", "jose garcia", "Jane", "[EMAIL_1]", "phone: ", '{"phone": "4155550132"}',
         "%40", "&#64;", "\\u0040", "<b>", "[NAME_", "1]"]
    ),
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(0, 14))
    return [
        run(
            f"r{number}",
            draw(answers) or "who",
            draw(answers),
            score=draw(st.sampled_from(["accepted", "accepted", "rejected", None])),
            task_id=draw(st.sampled_from([None, "t1", "t2", "t3"])),
            user=draw(st.sampled_from([None, "u1", "u2"])),
        )
        for number in range(count)
    ]


@SOME
@given(runs(), st.randoms(use_true_random=False), st.sampled_from(["sft", "preference", "rag"]), st.integers(0, 3))
def test_any_order_of_runs_gives_the_same_bytes(rows: list[dict[str, Any]], chance: Any, kind: Any, seed: int) -> None:
    parameters = corpus_parameters(kind, seed=seed, split_shares=(0.4, 0.3, 0.3))
    with tempfile.TemporaryDirectory() as folder:
        one = build_corpus(lake(rows), parameters, Path(folder) / "one")
        shuffled = chance.sample(rows, len(rows))
        other = build_corpus(lake(shuffled), parameters, Path(folder) / "other")
        assert one.manifest == other.manifest
        assert all_bytes(one.folder) == all_bytes(other.folder)
        counts = one.manifest.counts
        assert counts.candidates == counts.samples + sum(counts.by_gate.values())
        splits: dict[str, set[str]] = {}
        users = {row["run_id"]: json.loads(row["metadata"])["user"] for row in rows}
        for row in rows_of(one.folder / "provenance.parquet"):
            for entity in (row["task_id"], users[row["run_id"]], users.get(row["other_run_id"])):
                if entity is not None:
                    splits.setdefault(entity, set()).add(row["split"])
        assert all(len(some) == 1 for some in splits.values())


@given(st.lists(pieces, max_size=8).map("".join), st.lists(pieces, max_size=8).map(" ".join))
def test_scrubbing_twice_changes_nothing_and_leaves_nothing(asked: str, answered: str) -> None:
    sample = [[{"role": "user", "content": asked}], [{"role": "assistant", "content": answered}]]
    try:
        once, tools, _ = scrub_sample(sample, None, NAMES)
    except Refused:
        return
    for messages in once:
        assert second_look(messages[0]["content"], NAMES) == set()
    again, _, counts = scrub_sample(once, tools, NAMES)
    assert (again, counts) == (once, {})


@given(st.text(max_size=40), st.integers(-(2**63), 2**63 - 1), st.lists(st.integers(0, 9), min_size=3, max_size=3))
def test_every_cluster_has_a_split_that_has_a_share(key: str, seed: int, weights: list[int]) -> None:
    if not any(weights):
        return
    shares = [weight / sum(weights) for weight in weights]
    assert shares[split_of(key.encode("utf-8", "replace"), seed, shares)] > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(-1, 1)), max_size=30))
def test_copies_point_to_the_first_of_their_form(samples: list[tuple[int, int, int]]) -> None:
    keys = np.array([(one, one) for one, _, _ in samples], dtype=np.uint64).reshape(-1, 2)
    forms = np.array([form for _, form, _ in samples], dtype=np.uint8)
    labels = np.array([label for _, _, label in samples], dtype=np.int8)
    first, is_torn = exact_copies(keys, forms, labels)
    for place, (key, form, _) in enumerate(samples):
        like = [other for other, sample in enumerate(samples) if sample[:2] == (key, form)]
        assert first[place] == like[0]
        assert is_torn[place] == (len({samples[other][2] for other in like}) > 1)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_clusters_are_what_can_be_reached(count: int, joined: list[tuple[int, int]]) -> None:
    pairs = np.array([pair for pair in joined if max(pair) < count], dtype=np.int64).reshape(-1, 2)
    clusters = join_clusters(count, pairs)
    reached = {place: {place} for place in range(count)}
    for _ in range(count):
        for one, other in pairs.tolist():
            reached[one] = reached[other] = reached[one] | reached[other]
            for place in reached[one]:
                reached[place] = reached[one]
    assert clusters.tolist() == [min(reached[place]) for place in range(count)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.booleans()), max_size=30), st.integers(1, 4))
def test_no_task_has_more_than_its_limit(samples: list[tuple[int, int, bool]], limit: int) -> None:
    tasks = np.array([task for task, _, _ in samples], dtype=np.uint64)
    forms = np.array([form for _, form, _ in samples], dtype=np.uint8)
    is_kept = np.array([kept for _, _, kept in samples], dtype=np.bool_)
    many = set(over_limit(tasks, forms, is_kept, limit).tolist())
    for task in range(4):
        for form in range(2):
            there = [n for n, (t, f, kept) in enumerate(samples) if (t, f, kept) == (task, form, True)]
            left = [n for n in there if n not in many]
            assert left == (there if task == 0 else there[:limit])


@given(st.floats(0.5, 1))
def test_bands_find_what_is_as_alike_as_asked(likeness: float) -> None:
    bands, rows = band_shape(likeness)
    assert bands * rows <= 128
    assert 1 - (1 - likeness**rows) ** bands >= 0.98


@settings(max_examples=20)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12).map(" ".join), max_size=20))
def test_equal_texts_are_always_found(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, SignatureFile(Path(folder) / "signatures") as file:
        file.add([shingles([text]) for text in texts])
        pairs, likeness = file.alike(0.85)
        found = {tuple(pair) for pair, how in zip(pairs.tolist(), likeness, strict=True) if how == 1}
        clusters = join_clusters(len(texts), pairs)
    assert all(one < other for one, other in found)
    for place, text in enumerate(texts):
        assert clusters[place] == clusters[texts.index(text)]
