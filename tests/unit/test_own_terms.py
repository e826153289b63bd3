"""What the API refuses is told in the terms of the command, and other people's words stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from lakehouse_cli.main import app
from lakehouse_cli.own_terms import command_of, in_own_terms, terms_of


def terms(*path: str) -> dict[str, str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return terms_of(command_of(group, [*path, "argument", "--option", "sql"]))


@pytest.mark.parametrize(
    ("command", "said", "fields", "told"),
    [
        (
            "sql",
            'max_rows is 20000, but JSON has at most 10000 rows; "format": "arrow" and "csv" stream any number',
            {},
            '--max-rows is 20000, but JSON has at most 10000 rows; --format arrow and "csv" stream any number',
        ),
        ("sql", "body.as_of: Input should have timezone info", {}, "--as-of: Input should have timezone info"),
        ("sql", "'receipts' shows now; leave as_of out", {}, "'receipts' shows now; leave --as-of out"),
        (
            "ingest",
            "dataset 'a' has other columns: 'b' BIGINT is new. Nothing was changed; send evolve=true to accept them",
            {},
            "dataset 'a' has other columns: 'b' BIGINT is new. Nothing was changed; give --evolve to accept them",
        ),
        (
            "ingest",
            "correct the file, or send on_error=quarantine to load the good records",
            {},
            "correct the file, or give --on-error quarantine to load the good records",
        ),
        ("ingest", "it is not utf-8; state it with encoding=", {}, "it is not utf-8; state it with --encoding"),
        ("ingest", "types is not JSON (line 1)", {"option": "types"}, "--types is not JSON (line 1)"),
        ("ingest", "types['zip'] must be a type", {"option": "types"}, "--types['zip'] must be a type"),
        ("ingest", "encoding 'ebcdic' is unknown", {"option": "encoding"}, "--encoding 'ebcdic' is unknown"),
        ("ingest", "column 'name': 'mode=true' is not a BIGINT", {}, "column 'name': 'mode=true' is not a BIGINT"),
        ("ingest", "the file: mode of 3 names, types that differ", {}, "the file: mode of 3 names, types that differ"),
        ("search", "sql_filter needs the dataset; use filter", {}, "--sql-filter needs the dataset; use --filter"),
        ("search", "filter.state must not be null", {}, "--filter.state must not be null"),
        ("search", "it does not fit: too long - at `$.corpora[0]`", {}, "it does not fit: too long - at --corpus"),
        ("search", "corpora must name one at least", {}, "--corpus must name one at least"),
        ("search", "there is no column use_playbooks", {}, "there is no column use_playbooks"),
        ("playbook record", "query and answer_id must not be blank", {}, "query and ANSWER_ID must not be blank"),
        (
            "triage decide",
            "token 'x' decides in its own name; `by` needs the scope 'admin'",
            {},
            "token 'x' decides in its own name; --by needs the scope 'admin'",
        ),
        (
            "datasets",
            "no dataset 'a'; GET /v1/catalog lists those there are",
            {},
            "no dataset 'a'; `lakehouse datasets` lists those there are",
        ),
        (
            "answer",
            "there is no corpus 'a'; GET /v1/vectors/index lists those there are",
            {},
            "there is no corpus 'a'; `lakehouse index list` lists those there are",
        ),
        ("sql", "body.sql: it has no characters", {}, "QUERY: it has no characters"),
        (
            "ingest",
            "the file is text in UTF-16; state the encoding: utf-16. Nothing was loaded",
            {},
            "the file is text in UTF-16; state it with --encoding utf-16. Nothing was loaded",
        ),
        ("sql", "see GET /v1/catalog/{name}", {}, "see GET /v1/catalog/{name}"),
        ("pathway retire", "reason must not be blank", {"field": "reason"}, "REASON must not be blank"),
    ],
)  # fmt: skip
def test_refusal_names_what_was_typed(command: str, said: str, fields: dict[str, Any], told: str) -> None:
    assert in_own_terms(said, terms(*command.split()), fields) == told
