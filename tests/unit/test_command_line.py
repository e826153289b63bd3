"""What every command has in common: names of arguments, ids and lines that are whole, a file that cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.testing import CliRunner

from lakehouse.adapters.objects import refusal
from lakehouse.events.disk import disk_usage_percent
from lakehouse.settings import load_settings
from lakehouse_cli import dataset_tables, exchange_commands, main, search_tables
from lakehouse_cli.command_modules import _MODULES, commands_of
from lakehouse_cli.command_panels import _PANELS
from lakehouse_cli.doctor import _disk
from lakehouse_cli.main import app
from lakehouse_cli.terminal import id_column, output_console

ID = "01a22c0c-7b48-77d9-bef8-610509f034e2"
FOLDER = Path(main.__file__).parent


def commands(group: TyperGroup) -> Iterator[TyperCommand | TyperGroup]:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from commands(command)
        if isinstance(command, TyperCommand | TyperGroup):
            yield command


def leaves(group: TyperGroup, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, *path, name)
        elif isinstance(command, TyperCommand):
            yield " ".join((*path, name)), command


def test_arguments_are_named_in_capitals() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    named = [p.metavar for c in commands(group) for p in c.params if isinstance(p, TyperArgument)]
    assert named
    assert [name for name in named if name is None or name != name.upper()] == []


def test_every_command_stands_under_a_heading() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    shown = [name for name, command in group.commands.items() if not command.hidden]
    assert shown == [name for panel in _PANELS.values() for name in panel]
    told = CliRunner().invoke(app, ["--help"]).output
    assert all(panel in told for panel in _PANELS)


def test_every_module_of_commands_is_known_with_what_it_registers() -> None:
    assert set(_MODULES) == {path.stem for path in FOLDER.glob("*_commands.py")}
    assert {module: tuple(commands_of(module)) for module in _MODULES} == _MODULES


def test_call_imports_the_module_of_its_command_alone() -> None:
    program = (
        "import sys\nfrom lakehouse_cli.main import run\nsys.argv = ['lakehouse', 'token', '--help']\n"
        "try:\n    run()\nfinally:\n    print([m for m in sys.modules if m.endswith('_commands')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "['lakehouse_cli.process_commands']"


def test_command_that_is_mistyped_is_told_which_was_meant() -> None:
    done = CliRunner().invoke(app, ["ingset"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "Did you mean 'ingest'?" in done.output


def test_version_is_told() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"lakehouse {version('lakehouse')}\n")


def test_help_shows_brackets_as_they_are() -> None:
    for path in (["index", "create"], ["pathway", "add"]):
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).output
        assert "`{0,62}`" not in shown
    assert "{, [ or" in shown


def test_file_that_cannot_be_written_is_named_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "env"
    done = CliRunner().invoke(app, ["doctor", "--write-env-example", str(path)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"error: {path}: No such file or directory\n"
    traced = CliRunner().invoke(app, ["--debug", "doctor", "--write-env-example", str(path)])
    assert isinstance(traced.exception, FileNotFoundError)


def test_doctor_measures_the_disk_as_what_refuses_writes_does(tmp_path: Path) -> None:
    (found,) = _disk(load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path / "not" / "made")}, env_file=None))
    assert f"{disk_usage_percent(tmp_path):.0f} % of the disk" in found.message


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_store_that_refuses_a_key_names_the_settings(code: str) -> None:
    told = str(refusal(403, code, "datasets/"))
    assert code in told
    assert "correct LAKEHOUSE_S3_ACCESS_KEY_ID and LAKEHOUSE_S3_SECRET_ACCESS_KEY" in told


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", ""])
def test_store_that_refuses_a_time_says_to_set_the_clocks(code: str) -> None:
    told = str(refusal(403, code, "datasets/"))
    assert "clock" in told
    assert "right" in told


def test_id_that_is_none_of_an_item_is_told_before_the_api_is_asked() -> None:
    for command in (["show", "ITEM"], ["decide", "ITEM", "accept"]):
        done = CliRunner().invoke(app, ["triage", *command], env={"COLUMNS": "200"})
        assert done.exit_code == 2
        assert "'ITEM' is not an id of an item; see: lakehouse triage list" in done.output


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("export", "nope"), "KIND"),
        (("materialize", "nope"), "STREAMS"),
        (("exchange", "evidence-out", "out.jsonl", "--stream", "nope"), "--stream"),
        (("import", "nope", "."), "FORMAT"),
        (("drift", "report", "nope"), "KIND"),
    ],
)
def test_name_that_none_of_a_fixed_list_is_exits_with_two(
    arguments: tuple[str, ...], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no settings of whoever runs this
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert f"Invalid value for {hint}" in done.output


def test_every_command_that_tells_something_tells_it_as_json() -> None:
    # What these print is itself for programs, is a file, or is told while it happens.
    without = {"up", "down", "token", "sql", "sample", "replay cut", "supervise"}
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    silent = {path for path, command in leaves(group) if all("--json" not in p.opts for p in command.params)}
    assert silent == without


def test_what_was_written_is_told_beside_the_lines_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    exchange_commands.tell_written(Path("-"), "record", 2, as_json=True)
    exchange_commands.tell_written(Path("a.jsonl"), "record", 2, as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.err) == {"file": "-", "records": 2}
    assert json.loads(said.out) == {"file": "a.jsonl", "records": 2}


def test_pipe_gets_lines_and_ids_whole(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * 300
    dataset_tables.print_answer({"columns": [{"name": "a"}], "rows": [[text]], "truncated": False, "row_count": 1})
    assert text in capsys.readouterr().out
    entry = {"playbook_id": ID, "query": "q" * 100, "answer_id": "a" * 90, "answer_corpus": "c" * 60, "evidence": 1}
    search_tables.print_playbooks({"playbooks": [{**entry, "mean_score": 1.0}], "next": None})
    out = capsys.readouterr().out
    assert ID in out
    assert "a" * 90 in out
    assert output_console().width > 1000


def test_narrow_terminal_shows_ids_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(id_column("playbook"), "query", "answer", "corpus", "evidence", "score")
    table.add_row(ID, "lift truck operator for tonight", "n2", "shifts", "2", "+1.00")
    Console(width=80).print(table)
    assert ID in capsys.readouterr().out
