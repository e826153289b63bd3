"""The tools: their names, what they say to a language model, and which route each of them is.

Belongs here: the table. Not here: how they run (see runs.py), their fields (see lakehouse_api/schemas).
"""

from __future__ import annotations

from lakehouse_api.hot_routes import HOT
from lakehouse_api.mcp.json_schemas import model_schema, struct_schema
from lakehouse_api.mcp.runs import (
    by_hot_route,
    naming_corpora,
    run_answer,
    run_chat,
    run_pathway_history,
    run_sql,
    run_validate,
)
from lakehouse_api.mcp.tool import Run, Tool
from lakehouse_api.schemas.answers import AnswerCall, AnswerReply
from lakehouse_api.schemas.chat import ChatCall, ChatReply
from lakehouse_api.schemas.matrix import MatrixAnswer, PlaybookRecorded
from lakehouse_api.schemas.mcp import PathwayHistoryAsked, SqlToolQuery, Verdict
from lakehouse_api.schemas.outcomes import OutcomeTaken
from lakehouse_api.schemas.pathway import PathwayHistory, PathwayResults, PathwayWritten
from lakehouse_api.schemas.sql import SqlAnswer

INSTRUCTIONS = """\
Lakehouse holds datasets that answer SQL and corpora that are searched by meaning, and learns from what worked.
Start with `sql` and "SHOW TABLES" for the datasets; `matrix_search` names the corpora when it is asked for one that
is not there. Keep the `trace_id` of a search, a chat or an answer and report with `outcome` whether it helped: later
searches get better by it. Before a task of several steps look with `pathway_search` how it was solved before, and
remember with `pathway_add` what worked. Check with `validate` what is to be sent to a person. An error says what is
wrong and what to do next."""


def offered_tools() -> tuple[Tool, ...]:
    """Every tool, in the order in which they are listed."""
    return (
        _matrix_search(), _sql(), _validate(), _chat(), _answer(), _outcome(), _playbook_record(),
        _pathway_add(), _pathway_search(), _pathway_history(),
    )  # fmt: skip


def _matrix_search() -> Tool:
    return _hot(
        "/v1/matrix/search", MatrixAnswer, name="matrix_search", title="Search corpora",
        description=(
            "Search one or several corpora by meaning and words together and get the best records with their metadata."
            " Use it to find people, notes or documents that fit a description; for counts, exact values and joins use"
            " `sql`. Filters hold before the search, so k results come back whenever k records match. A corpus that is"
            " not there is answered with the names of those that are. Keep `trace_id` for `outcome`."
        ),
        run=naming_corpora(by_hot_route("/v1/matrix/search")), is_read_only=True,
    )  # fmt: skip


def _sql() -> Tool:
    return Tool(
        name="sql",
        title="Query datasets with SQL",
        description=(
            "Run one DuckDB SQL statement that reads (SELECT, WITH, DESCRIBE, SHOW TABLES, SUMMARIZE, EXPLAIN) over"
            " the datasets. Begin with SHOW TABLES and DESCRIBE <table>. Nothing can be written. Personal columns are"
            " masked unless the token has the scope pii. At most 200 rows come back unless max_rows says more (up to"
            " 1000); `truncated` is true when there were more, so aggregate or filter rather than fetch everything."
        ),
        scopes=("read",),
        takes=model_schema(SqlToolQuery, mode="validation"),
        gives=model_schema(SqlAnswer, mode="serialization"),
        run=run_sql,
        is_read_only=True,
    )


def _validate() -> Tool:
    return _hot(
        "/v1/validate", Verdict, name="validate", title="Validate a message, a fill or a playbook",
        description=(
            "Check by written rules whether something may be sent or used: an e-mail {to, subject, body}, an SMS {to,"
            " body}, a fill {fills: [{candidate_id, name}]} against the workers and the order in `context`, or a"
            " playbook {operation, endorsed_names}. Call it before anything goes to a person. `passed` is the verdict;"
            " when it is false, `error` names the field and the reason: correct that and validate again. Nothing is"
            " sent."
        ),
        run=run_validate, is_read_only=True,
    )  # fmt: skip


def _chat() -> Tool:
    return Tool(
        name="chat",
        title="Ask a language model",
        description=(
            "Send messages to one of the platform's own language models and get its reply. Leave `model` out for the"
            " embedded default, which is small and stays on the machine; `provider/name` may reach a remote provider"
            " and cost money (`cost_usd`). It knows nothing of the data here: use `answer` for questions about records."
            " The call is logged."
        ),
        scopes=("write",),
        takes=model_schema(ChatCall, mode="validation"),
        gives=model_schema(ChatReply, mode="serialization"),
        run=run_chat,
        is_open_world=True,
    )


def _answer() -> Tool:
    return Tool(
        name="answer",
        title="Answer a task from records",
        description=(
            "Answer a task in one call: search the corpora, show a model what was found within a token budget, and let"
            " the answer out only when it is grounded in it and valid. `citations` are the records that were shown."
            " When `answer` is null, `validation.error` says why it was refused. Use it for questions about records"
            " when the platform's model shall write the answer; use `matrix_search` to read the records yourself. Keep"
            " `trace_id` for `outcome`. The call is logged."
        ),
        scopes=("write", "read"),
        takes=model_schema(AnswerCall, mode="validation"),
        gives=model_schema(AnswerReply, mode="serialization"),
        run=naming_corpora(run_answer),
        is_open_world=True,
    )


def _outcome() -> Tool:
    return _hot(
        "/v1/outcomes", OutcomeTaken, name="outcome", title="Report how it went",
        description=(
            "Report whether a search, a chat or an answer helped, by the `trace_id` that it gave: success true or"
            " false, or a score from -1 to 1, and with `answer_id` the result that was used. It credits or debits what"
            " had been shown, so later searches rank better. Report once the result is known, not before; of several"
            " reports the latest counts."
        ),
        run=by_hot_route("/v1/outcomes"),
    )  # fmt: skip


def _playbook_record() -> Tool:
    return _hot(
        "/v1/matrix/playbooks/record", PlaybookRecorded, name="playbook_record", title="Remember what worked",
        description=(
            "Remember that a record was the right answer (score up to 1) or a wrong one (down to -1) for a query, so"
            " that similar queries rank it higher or lower from now on, for everybody. Record only what was confirmed."
            " When you hold a `trace_id`, prefer `outcome`."
        ),
        run=by_hot_route("/v1/matrix/playbooks/record"),
    )  # fmt: skip


def _pathway_add() -> Tool:
    return _hot(
        "/v1/pathway/add", PathwayWritten, name="pathway_add", title="Remember how it was solved",
        description=(
            "Remember how a task was solved, so that the next one like it starts from there: `content` is any JSON,"
            " best {task, steps}, with `tags` to find it by. Search with `pathway_search` first; what came from there"
            " is added with provenance recalled. What a trace says already is linked to it instead of added (`added`"
            " is false). With `validate` nothing is remembered that does not pass."
        ),
        run=by_hot_route("/v1/pathway/add"),
    )  # fmt: skip


def _pathway_search() -> Tool:
    return _hot(
        "/v1/pathway/search", PathwayResults, name="pathway_search", title="Find how it was solved before",
        description=(
            "Find traces of how tasks like this one were solved, by meaning and words of `text`, by `tags` that are all"
            " on the trace, and by time; without a text the newest come. Call it before a task of several steps. Needs"
            " the scope pii: traces are free text of people."
        ),
        run=by_hot_route("/v1/pathway/search"), is_read_only=True, more_scopes=("pii",),
    )  # fmt: skip


def _pathway_history() -> Tool:
    return Tool(
        name="pathway_history",
        title="Read the history of a trace",
        description=(
            "Read a trace by its `uid` with what it revises, back to the first, and all that was said of them: who"
            " added, updated or retired what, when, and why. Use it to see whether a trace still holds and what was"
            " wrong with the one before. Needs the scope pii."
        ),
        scopes=("read", "pii"),
        takes=model_schema(PathwayHistoryAsked, mode="validation"),
        gives=struct_schema(PathwayHistory),
        run=run_pathway_history,
        is_read_only=True,
    )


def _hot(
    path: str, gives: type, *, name: str, title: str, description: str, run: Run, is_read_only: bool = False,
    more_scopes: tuple[str, ...] = (),
) -> Tool:  # fmt: skip
    """A tool that is a hot route: its scope and its fields are the route's."""
    route = HOT.declared(path)
    return Tool(
        name=name,
        title=title,
        description=description,
        scopes=(route.scope, *more_scopes),
        takes=struct_schema(route.body.struct),
        gives=struct_schema(gives),
        run=run,
        is_read_only=is_read_only,
    )
