"""The rules of the house: who imports whom, where operators are built, what an import costs, what the README says."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "mindrestore"
# A module imports only from its own row and the rows before it.
ROWS = (
    "version",
    "errors",
    "files",
    "images",
    "launch",
    "recipes",
    "data",
    "models",
    "weights",
    "losses",
    "evaluation",
    "engine",
    "exporting",
    "inference",
    "pages",
    "serve",
    "cloud",
    "ready",
    "training",
    "api",
    "published",
    "cli",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and path.name != "__main__.py")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
LINES, FUNCTION_LINES, PARAMETERS = 350, 40, 7
PUBLISHED_SIGNATURE = "published/predictor.py: __init__"  # four parameters are those of PaddleGAN's tutorial


def module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported_modules(path: Path) -> list[str]:
    """Name every mindrestore module or object that a file imports, inside functions and for type checkers too."""
    names = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] == "mindrestore"]


def row_of(path_or_name: Path | str) -> int:
    """Return the row of a file or of an imported name; what the package itself hands on stands above all rows."""
    parts = module_id(path_or_name).split("/") if isinstance(path_or_name, Path) else path_or_name.split(".")[1:]
    room = parts[0].removesuffix(".py")
    return ROWS.index(room) if room in ROWS else len(ROWS)


def functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """List every function: where it is, its tree, whether it is the constructor of a cell."""
    found = []
    for path, tree in TREES.items():
        cells = {
            id(method)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and module_id(path).startswith("models/")
            for method in node.body
            if getattr(method, "name", "") == "__init__"
        }
        found += [
            (f"{module_id(path)}: {node.name}", node, id(node) in cells)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
    return found


def test_no_arrow_runs_back_up():
    """A module imports from its own row and the rows before it, and never from the face of the package."""
    assert {module_id(path).split("/")[0].removesuffix(".py") for path in MODULES} == set(ROWS)
    arrows = [(path, name) for path in MODULES for name in imported_modules(path)]
    assert [f"{module_id(path)} imports {name}" for path, name in arrows if row_of(name) > row_of(path)] == []


def test_no_modules_import_each_other_in_a_circle():
    modules = {".".join(("mindrestore", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in MODULES}
    arrows = {
        name: {found if found in modules else found.rpartition(".")[0] for found in imported_modules(path)}
        for name, path in modules.items()
    }
    reached = {name: set(targets) & modules.keys() for name, targets in arrows.items()}
    for middle in modules:  # Warshall: everything that can be reached
        for name in modules:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    circles = {tuple(sorted(o for o in reached[n] if n in reached[o])) for n in modules if n in reached[n]}
    assert circles == set()


def test_operators_with_changing_signatures_are_built_in_one_place():
    cells = "Conv[123]d(Transpose)?|BatchNorm[123]d|LayerNorm|AvgPool2d|MaxPool2d|ReflectionPad2d|PReLU|GELU"
    pattern = re.compile(rf"\b(nn\.({cells})|ops\.(Conv2D|conv2d|PReLU|MirrorPad))\(")
    others = [path for path in MODULES if not module_id(path).startswith("models/layers/")]
    found = [module_id(path) for path in others if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == [], "use the layers of models/layers, which pass every argument and have a form for every device"


def test_files_stay_short():
    assert [module_id(p) for p in MODULES if len(p.read_text(encoding="utf-8").splitlines()) > LINES] == []


def test_functions_stay_short():
    def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        body = node.body[1:] if ast.get_docstring(node) else node.body
        return body[-1].end_lineno - body[0].lineno + 1 if body else 0

    assert [name for name, node, _ in functions() if lines(node) > FUNCTION_LINES] == []


def test_parameter_lists_stay_short():
    """A network takes its hyper-parameters as keywords only, without a config object; everything else takes seven."""

    def count(node: ast.FunctionDef | ast.AsyncFunctionDef, cell: bool) -> int:
        positional = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        keywords = [] if cell else [argument.arg for argument in node.args.kwonlyargs]
        return len([name for name in (*positional, *keywords) if name not in ("self", "cls")])

    assert [name for name, node, cell in functions() if count(node, cell) > PARAMETERS] == [PUBLISHED_SIGNATURE]


def test_every_module_says_what_it_is_for():
    assert [module_id(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_docstrings_say_what_is_done_in_words_of_the_field():
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lines = [
        (module_id(path), (ast.get_docstring(node) or "").split("\n")[0])
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, documented)
    ]
    wrong = re.compile(r"(Gives?|Tells?|Holds?|Says?)\b")
    assert [f"{path}: {line}" for path, line in lines if wrong.match(line)] == []


def test_what_is_not_something_is_said_plainly():
    """`is not a TIFF file` instead of `is no TIFF file`, in messages, docstrings and comments."""
    wrong = re.compile(r"(?<!there )(?<!There )\b(?:is|are|was|were) no (?!longer|more)[\w-]+")
    lines = [(path, line) for path in MODULES for line in path.read_text(encoding="utf-8").splitlines()]
    assert [f"{module_id(path)}: {line.strip()}" for path, line in lines if wrong.search(line)] == []


def test_no_two_public_classes_have_one_name():
    """Networks are read one by one: there, an Encoder is the encoder of its file."""
    places: dict[str, list[str]] = {}
    for path, tree in TREES.items():
        for node in tree.body if not module_id(path).startswith("models/") else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module_id(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_importing_the_package_is_quick_and_loads_nothing():
    code = (
        "import sys, time; start = time.process_time(); import mindrestore; took = time.process_time() - start;"
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


def test_every_readme_command_is_run_somewhere():
    """A test or the demo script names the program and the sub-command of every command in the README."""
    covering = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__).resolve()]
    covering += [ROOT / "scripts" / name for name in ("demo.sh", "test.sh", "common.sh")]
    texts = [path.read_text(encoding="utf-8") for path in covering]
    assert len(readme_commands()) > 10

    def covered(command: str) -> bool:
        needles = essential_words(command)
        return any(all(any(form in text for form in forms) for forms in needles) for text in texts)

    assert [command for command in readme_commands() if not covered(command)] == [], "nothing runs these"


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
