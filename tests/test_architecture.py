"""The rules of the house: who imports whom, where operators are built, what an import costs, what the README says."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "mindrestore"
# A module imports only from its own row and the rows before it.
ROWS = (
    "errors",
    "files",
    "images",
    "launch",
    "recipes",
    "data",
    "models",
    "weights",
    "losses",
    "engine",
    "evaluation",
    "inference",
    "pages",
    "serve",
    "cloud",
    "training",
    "api",
    "cli",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and path.name != "__main__.py")


def row_of(module: str) -> int:
    parts = module.split(".")
    return ROWS.index(parts[1]) if len(parts) > 1 else -1  # `from mindrestore import __version__` is free


def imported_modules(path: Path) -> list[str]:
    """Name every mindrestore module that a file imports, inside functions too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            candidates = [f"{node.module}.{alias.name}" for alias in node.names]
            names += candidates if node.module == "mindrestore" else [node.module]
    return [name for name in names if name.split(".")[0] == "mindrestore"]


def module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_a_module_imports_only_from_rows_above(path):
    own = ROWS.index(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    below = [name for name in imported_modules(path) if name.split(".")[1] in ROWS and row_of(name) > own]
    assert below == []


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_operators_with_changing_signatures_are_built_in_one_place(path):
    if module_id(path) == "models/layers.py":
        return
    cells = "Conv[123]d(Transpose)?|BatchNorm[123]d|LayerNorm|AvgPool2d|MaxPool2d|ReflectionPad2d|PReLU|GELU"
    pattern = rf"\bnn\.({cells})\("
    found = re.findall(pattern, path.read_text(encoding="utf-8"))
    assert found == [], "use models/layers.py, which passes every argument"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_files_functions_and_parameter_lists_stay_short(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 380
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 45, f"{node.name} has {lines} lines"
            count = len(
                [
                    a
                    for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                    if a.arg not in ("self", "cls")
                ]
            )
            builds_a_cell = (
                node.name == "__init__"
            )  # a network takes its hyper-parameters as keywords, without a config object
            assert count <= 7 or builds_a_cell, f"{node.name} has {count} parameters"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_importing_the_package_is_quick_and_loads_nothing():
    code = (
        "import sys, time; start = time.perf_counter(); import mindrestore; took = time.perf_counter() - start;"
        "print(took, 'mindspore' in sys.modules, 'numpy' in sys.modules)"
    )
    times = []
    for _ in range(3):
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_source()
        ).stdout
        took, mindspore, numpy = out.split()
        assert (mindspore, numpy) == ("False", "False")
        times.append(float(took))
    assert statistics.median(times) < 0.5


def test_building_the_command_line_does_not_load_mindspore():
    code = (
        "import sys; from mindrestore.cli.main import build_parser; build_parser(); print('mindspore' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_source()
    ).stdout
    assert out.strip() == "False"


def test_all_public_names_exist():
    import mindrestore

    for name in mindrestore.__all__:
        assert callable(getattr(mindrestore, name)), name


def with_source() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def readme_commands() -> list[str]:
    """Collect the commands of the README's shell blocks, comments and line continuations removed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in blocks.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("command", readme_commands())
def test_every_readme_command_is_run_somewhere(command):
    """A test or the demo script names the program and the sub-command of every command in the README."""
    covering = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__).resolve()]
    covering += [ROOT / "scripts" / name for name in ("demo.sh", "test.sh", "common.sh")]
    texts = [path.read_text(encoding="utf-8") for path in covering]
    needles = essential_words(command)
    covered = any(all(any(form in text for form in forms) for forms in needles) for text in texts)
    assert covered, f"nothing runs {needles}"


def essential_words(command: str) -> list[tuple[str, ...]]:
    """Return what a covering test has to contain, each in one of several forms: script or sub-command, and flags."""
    words = command.split()
    while "=" in words[0]:  # NAME=value before the program
        words.pop(0)
    if words[0] in ("bash", "python", "python3"):
        words.pop(0)
    if words[:2] == ["-m", "pip"] or words[0] == "pip":
        return [("pip install",)]
    program = Path(words[0])
    forms = (f'"{words[1]}"',) if words[0] == "mindrestore" else (program.name, f'"{program.stem}"')
    return [forms, *((word.split("=")[0],) for word in words[1:] if word.startswith("--") and len(word) > 2)]


def test_test_files_have_names_of_their_own():
    """Two test files of one name cannot be collected together."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
