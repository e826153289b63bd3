"""Declarations of corpora: what they may say, and refusals that name file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.corpus_files import find_declaration, read_file, read_folder
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.chunking import Chunking
from lakehouse.retrieval.corpus import DatasetSource, FilesSource, MetadataColumn, part_names
from lakehouse.retrieval.text_template import parse_template, text_of
from tests.corpora import declare

SHIPPED = Path(__file__).resolve().parents[2] / "corpora"
WHOLE = """\
name: jobs
description: Open jobs.
source: {dataset: jobs}
id: job_id
text: "{title}. {body}"
metadata:
  title:
  skills: {split: ", "}
  pay: {column: pay_max, type: number, optional: true}
embedder: static
rerank_embedder: minilm
distance: dot
chunking: {max_tokens: 200, overlap: 20}
partitions: 4
"""


def put(folder: Path, text: str, name: str = "jobs.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_every_key_is_read(tmp_path: Path) -> None:
    made = read_file(put(tmp_path, WHOLE))
    assert (made.name, made.source, made.id_column, made.description) == (
        "jobs", DatasetSource("jobs"), "job_id", "Open jobs."
    )  # fmt: skip
    assert made.metadata == (
        MetadataColumn("title", "title"),
        MetadataColumn("skills", "skills", split=", "),
        MetadataColumn("pay", "pay_max", type="number", is_optional=True),
    )
    assert (made.embedder, made.rerank_embedder, made.distance) == ("static", "minilm", "dot")
    assert (made.chunking, made.partitions) == (Chunking(200, 20, "tokens"), 4)
    assert made.columns == ("job_id", "title", "body", "skills", "pay_max")


def test_least_declaration_has_the_defaults(tmp_path: Path) -> None:
    made = read_file(put(tmp_path, 'name: jobs\nsource: {files: [a.txt]}\nid: code\ntext: "{t}"\nmetadata: [t]\n'))
    assert made.source == FilesSource((tmp_path / "a.txt",))
    assert (made.embedder, made.distance, made.chunking, made.partitions) == (None, "cosine", None, 1)
    assert made.metadata == (MetadataColumn("t", "t"),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("name: jobs", "name: Jobs"), "line 1: name: .*lower-case"),
        (("name: jobs", "name: works"), "line 1: name: .*jobs.yaml; they must agree"),
        (("name: jobs", "nam: jobs"), "line 1: nam: is not a key here"),
        (("id: job_id\n", ""), "id: is missing"),
        (("id: job_id", "id: 7"), "line 4: id: must be a text, not 7"),
        (("{dataset: jobs}", "jobs"), "line 3: source: must be a mapping"),
        (("{dataset: jobs}", "{}"), "line 3: source: needs either"),
        (("{dataset: jobs}", "{dataset: jobs, files: [a]}"), "line 3: source: needs either"),
        (("{dataset: jobs}", "{dataset: Jobs}"), "line 3: source.dataset: .*a name matches"),
        (("{dataset: jobs}", "{files: a.csv}"), "line 3: source.files: must be a list"),
        (("{dataset: jobs}", "{files: [a.dat]}"), "line 3: source.files: .*add `format: csv`"),
        (("{dataset: jobs}", "{files: [a.dat], format: xml}"), "line 3: source.format: .*must be csv"),
        (("{title}. {body}", "{title"), "line 5: text: .*odd brace"),
        (("{title}. {body}", "no field"), "line 5: text: the text names no column"),
        (("{title}. {body}", "{}"), "line 5: text: .*empty field"),
        (("{title}. {body}", "{title!r}"), "line 5: text: .*only the column's name"),
        (("{title}. {body}", "{title:>9}"), "line 5: text: .*only the column's name"),
        (('{split: ", "}', "{split: 7}"), "line 8: metadata.skills.split: must be the text between"),
        (("type: number", "type: float"), "line 9: metadata.pay.type: .*one of text, integer"),
        (("optional: true", "optional: maybe"), "line 9: metadata.pay.optional: must be true or false"),
        (("embedder: static", "embedder: [static]"), "line 10: embedder: must be a text"),
        (("distance: dot", "distance: hamming"), "line 12: distance: .*cosine, l2, dot"),
        (("max_tokens: 200", "max_tokens: 0"), "line 13: chunking: max_tokens is 0"),
        (("max_tokens: 200", "max_chars: 9"), "line 13: chunking.max_chars: is not a key here"),
        (("max_tokens: 200", "max_tokens: 9, max_words: 9"), "line 13: chunking: needs either"),
        (("overlap: 20", "overlap: 150"), "line 13: chunking: overlap is 150"),
        (("partitions: 4", "partitions: 1000"), "line 14: partitions: .*1 to 256"),
        (("partitions: 4", "partitions: 4\nname: jobs"), "line 15: name: the key stands here a second time"),
        (("name: jobs", "name: [jobs"), "line [0-9]+: not YAML"),
        (("name: jobs", "name: !!python/object:os.system jobs"), "cannot be read"),
    ],
)
def test_refusal_names_file_line_key_and_remedy(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    assert change[0] in WHOLE
    with pytest.raises(BadInput, match=rf"jobs\.yaml:? ?{problem}"):
        read_file(put(tmp_path, WHOLE.replace(*change)))


@pytest.mark.parametrize("text", ["", "- a\n", "text\n", "\x00"])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"jobs\.yaml"):
        read_file(put(tmp_path, text))


def test_one_bad_file_hides_no_other(tmp_path: Path) -> None:
    put(tmp_path, WHOLE)
    put(tmp_path, "name: [", "broken.yaml")
    put(tmp_path, "not a declaration", "README.md")
    found = {d.name: d for d in read_folder(tmp_path)}
    assert set(found) == {"broken", "jobs"}
    assert found["jobs"].require().name == "jobs"
    assert "not YAML" in found["broken"].problem
    with pytest.raises(BadInput, match="broken"):
        find_declaration(tmp_path, "broken")
    with pytest.raises(NotFound, match=r"declared: broken, jobs.*add nope\.yaml"):
        find_declaration(tmp_path, "nope")
    assert read_folder(tmp_path / "absent") == []


def test_fingerprint_changes_with_what_decides_the_rows_and_with_nothing_else() -> None:
    base = declare().fingerprint("fake")
    same = [declare(description="x"), declare(rerank_embedder="other"), declare(source={"dataset": "others"})]
    assert {d.fingerprint("fake") for d in same} == {base}
    other = [
        declare(id="title"), declare(text="{title}"), declare(metadata=["title"]), declare(distance="l2"),
        declare(chunking={"max_words": 5}), declare(partitions=2),
    ]  # fmt: skip
    assert len({base, declare().fingerprint("other"), *(d.fingerprint("fake") for d in other)}) == 8


def test_template_is_filled_with_columns_and_nothing_else() -> None:
    template = parse_template(["{role} in {city.name}", "Tags: {tags[0]}", "{{braces}} {role}"])
    assert template.fields == ("role", "city.name", "tags[0]")
    values = {"role": "Welder", "city.name": "Troy", "tags[0]": " "}
    assert template.fill(values) == "Welder in Troy\n{braces} Welder"
    assert template.fill(dict.fromkeys(values, "")) == ""


def test_literal_line_alone_is_no_text() -> None:
    template = parse_template(["About us.", "{body}"])
    assert template.fill({"body": "x"}) == "About us.\nx"
    assert template.fill({"body": "\n"}) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("a", "a"), (7, "7"), (0.5, "0.5"), (True, "true"), (["a", None, 2], "a, , 2")]
)
def test_value_as_text(value: object, text: str) -> None:
    assert text_of(value) == text


def test_parts_have_names_that_sort() -> None:
    assert part_names(1) == ["all"]
    names = part_names(12)
    assert names == sorted(names)
    assert len(set(names)) == 12


def test_shipped_declarations_are_right() -> None:
    found = {d.name: d.require() for d in read_folder(SHIPPED)}
    assert {"workers", "notes", "occupations"} <= set(found)
    workers = found["workers"]
    assert (workers.dataset, workers.embedder, workers.rerank_embedder) == ("workers", "static", "minilm")
