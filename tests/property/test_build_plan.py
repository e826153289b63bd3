"""The comparison of a build agrees with a naive one for any rows, whatever was there before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.retrieval.build_plan import CHANGED, NEW, UNCHANGED, KnownRows
from lakehouse.retrieval.corpus_rows import RowMaker, SourceBatch, content_hash, id_digest, part_of
from tests.corpora import declare

IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
ROWS = st.dictionaries(IDS, st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2)), max_size=20)


def made(rows: dict[str, tuple[str, int]], *, partitions: int = 1, part: int = 0) -> object:
    declaration = declare(text="{title}", metadata=["weight"], partitions=partitions)
    columns = {
        "id": list(rows),
        "title": [title for title, _ in rows.values()],
        "weight": [weight for _, weight in rows.values()],
    }
    maker = RowMaker(declaration, embedder="fake", columns=list(columns), part=part)
    return maker.make(SourceBatch(columns, len(rows), 1))


@given(ROWS, ROWS, st.sets(IDS, max_size=5), st.integers(1, 3))
def test_verdicts_are_those_of_a_row_by_row_comparison(
    before: dict[str, tuple[str, int]], now: dict[str, tuple[str, int]], foreign: set[str], partitions: int
) -> None:
    seen: list[str] = []
    for part in range(partitions):
        stored = [(i, None) for i in sorted(foreign - before.keys())]
        everything = made(before)
        own = declare(text="{title}", metadata=["weight"], partitions=partitions)
        assert own.partitions == partitions
        hashes = {}
        for p in range(partitions):
            some = made(before, partitions=partitions, part=p)
            for row_id, text, digest in zip(some.ids, some.text_digests, some.digests, strict=True):  # type: ignore[attr-defined]
                hashes[row_id] = content_hash(text, digest)
        stored += [(i, hashes[i]) for i in everything.ids]  # type: ignore[attr-defined]
        known = KnownRows(parts=partitions, part=part)
        for start in range(0, len(stored), 3):
            some_rows = stored[start : start + 3]
            known.add([i for i, _ in some_rows], [h for _, h in some_rows])
        known.settle()
        mine = made(now, partitions=partitions, part=part)
        kinds = known.judge(mine)  # type: ignore[arg-type]
        same_text = known.same_text(mine)  # type: ignore[arg-type]
        for row_id, kind, position in zip(mine.ids, kinds, same_text, strict=True):  # type: ignore[attr-defined]
            seen.append(row_id)
            expected = NEW if row_id not in before else UNCHANGED if before[row_id] == now[row_id] else CHANGED
            assert kind == expected
            has_text = row_id in before and before[row_id][0] == now[row_id][0]
            assert (stored[position][0] == row_id) if has_text else position == -1
        gone = sorted(stored[p][0] for p in known.gone())
        assert gone == sorted(i for i in before.keys() - now.keys() if part_of(id_digest(i), partitions) == part)
    assert sorted(seen) == sorted(now)
