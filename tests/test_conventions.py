"""The rules of the house that no linter knows: module length and names, what an import loads, words that stay out."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("lakehouse", "lakehouse_api", "lakehouse_assets", "lakehouse_cli", "jobs", "sensors")
MODULES = sorted(p for package in PRODUCT for p in (ROOT / package).rglob("*.py"))
MAX_LINES = 300
# What gives another value in each process: two workers of pytest-xdist would collect tests of other names.
OF_THE_MOMENT = {"now", "utc_now", "today", "time", "random", "uuid4", "token_hex", "urandom", "getpid"}
BUILT = {"lakehouse_cli.command_modules": "dict(lakehouse_cli.command_modules.LazyCommands())"}  # every command
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20


# Each of these is one test of all modules: as a test of each module they were every fourth test of the whole run.
def test_every_module_fits_in_a_readers_head() -> None:
    lines = {relative(path): path.read_text().count("\n") for path in MODULES}
    long = [f"{name} has {count} lines" for name, count in lines.items() if count > MAX_LINES]
    assert not long, f"{'; '.join(long)}; split along their concepts what is over {MAX_LINES}"


def test_every_module_name_says_what_is_in_it() -> None:
    mute = [relative(path) for path in MODULES if BANNED_NAMES & set(path.with_suffix("").parts)]
    assert not mute, f"these bear names that say nothing: {', '.join(mute)}"


def test_every_module_docstring_says_what_belongs_here() -> None:
    heads = {relative(path): path.read_text()[:1500] for path in MODULES if path.stat().st_size > 0}
    bare = [name for name, head in heads.items() if not head.startswith('"""')]
    assert not bare, f"these have no docstring: {', '.join(bare)}"
    vague = [name for name, head in heads.items() if "Belongs here" not in head]
    assert not vague, f'{", ".join(vague)}: say "Belongs here: … Not here: …"'


def test_modules_that_a_docstring_sends_to_are_there() -> None:
    names = {module.name for module in MODULES}
    gone = []
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        for name in re.findall(r"(?:[\w.]+/)*\w+\.py\b", docstring):
            # The source of a format that another project defines; a word that stands for any name.
            is_foreign = name.startswith("src/") or Path(name).stem.isupper()
            is_there = (ROOT / name).is_file() or (path.parent / name).is_file() or name in names
            gone += [] if is_foreign or is_there else [f"{relative(path)} sends its reader to {name}"]
    assert not gone, "; ".join(gone)


def test_names_of_tests_are_the_same_in_every_process() -> None:
    wrong = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for call in _calls_in_parameters(ast.parse(path.read_text())):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            # The header of gzip holds the time.
            is_stamped = name == "compress" and not any(word.arg == "mtime" for word in call.keywords)
            is_time_of_day = name == "time" and call.args
            if (name in OF_THE_MOMENT and not is_time_of_day) or is_stamped:
                wrong.append(f"{relative(path)}:{call.lineno} {name}()")
    assert not wrong, f"parameters of tests that differ from process to process: {wrong}"


def _calls_in_parameters(tree: ast.Module) -> list[ast.Call]:
    marks = [
        mark
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and getattr(mark.func, "attr", "") == "parametrize"
    ]
    inner = [node for mark in marks for argument in mark.args for node in ast.walk(argument)]
    # A lambda is called when the test runs and has no part in its name.
    late = {id(node) for each in inner if isinstance(each, ast.Lambda) for node in ast.walk(each)}
    return [node for node in inner if isinstance(node, ast.Call) and id(node) not in late]


def test_every_capability_is_on_the_map() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in (ROOT / "lakehouse").glob("*/__init__.py")}
    missing = sorted(name for name in packages if f"`{name}`" not in page)
    assert not missing, f"docs/architecture.md does not say what {', '.join(missing)} is for"


@pytest.mark.parametrize("section", ["[tool.dagster]", "[tool.dg]"])
def test_pyproject_has_no_section_that_hides_workspace_yaml(section: str) -> None:
    assert section not in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("lakehouse_api.app", ("dagster", "lancedb", "pandas", "mcp")),
        ("lakehouse.adapters.embedding_service", ("onnxruntime", "tokenizers", "safetensors", "openai", "wordllama")),
        ("lakehouse.adapters.connect", ("dagster", "fastapi", "duckdb", "boto3")),
        ("lakehouse_cli.command_modules", ("dagster", "fastapi", "duckdb", "boto3", "pyarrow")),
        ("lakehouse.client", ("httpx", "numpy", "pyarrow", "pydantic", "dagster", "fastapi")),
    ],
)
def test_importing_loads_nothing_heavy(module: str, forbidden: tuple[str, ...]) -> None:
    loaded = f"[m for m in {forbidden!r} if m in sys.modules]"
    program = f"import sys, {module}; {BUILT.get(module, 'pass')}; print({loaded})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
