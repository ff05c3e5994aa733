"""The house rules: which module may import which, who may load matplotlib, and how quick `--help` is."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edunn"

# A module imports lower levels, and siblings inside its own folder; nothing else, and no circles.
LEVELS = {
    "errors": 0, "version": 0,
    "runtime": 1,
    "activations": 2, "differences": 2, "figures": 2, "metrics": 2,
    "layers": 3, "losses": 3, "penalties": 3, "results": 3, "updates": 3,
    "data": 4, "features": 4, "graph": 4, "history": 4, "models": 4,
    "descent": 5, "gradcheck": 5, "landscape": 5, "minimise": 5, "neighbours": 5,
    "exercises": 6, "selection": 6,
    "experiment": 7, "lessons": 7, "play": 7,
    "cli": 8, "__main__": 8, "__init__": 8,
}  # fmt: skip

# What crosses a level all the same, and why.
ALLOWED: dict[tuple[str, str], str] = {}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The name in the table: a file on the ground floor, or the folder that a file belongs to."""
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def imported(path: Path, inner: bool) -> set[str]:
    """Every module that a file imports, written absolutely; with `inner`, imports inside functions as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if inner:
        nodes = list(ast.walk(tree))
    else:
        nodes, waiting = [], list(tree.body)
        while waiting:
            node = waiting.pop()
            nodes.append(node)
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                waiting += list(ast.iter_child_nodes(node))
    package = ["edunn", *path.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = [*base, *(node.module.split(".") if node.module else [])]
            if origin == ["edunn"]:  # `from . import errors` names modules; what is no module is the root's own
                modules = {alias.name for alias in node.names if alias.name in LEVELS}
                found |= {f"edunn.{name}" for name in modules}
                if len(modules) < len(node.names):
                    found.add("edunn.__init__")
            else:
                found.add(".".join(origin))
    return found


def inside(path: Path) -> set[str]:
    """The units of this package that a file depends on, its own aside. The command line loads late on purpose."""
    late = unit(path) in ("cli", "__main__")
    names = [name.split(".") for name in imported(path, inner=not late)]
    units = {parts[1] if len(parts) > 1 else "__init__" for parts in names if parts[0] == "edunn"}
    return units - {unit(path)}


def test_every_module_has_a_level() -> None:
    unknown = {unit(path) for path in files()} - set(LEVELS)
    assert not unknown, f"give each of {sorted(unknown)} a level in this test and in the design"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = unit(path)
    wrong = {
        other: LEVELS.get(other)
        for other in inside(path)
        if not LEVELS.get(other, 99) < LEVELS[own] and (own, other) not in ALLOWED
    }
    assert not wrong, f"{own} (level {LEVELS[own]}) imports {wrong}"


def test_allowances_are_used() -> None:
    """An allowance whose import is gone goes as well."""
    for own, other in ALLOWED:
        assert any(other in inside(path) for path in files() if unit(path) == own)


def module(path: Path) -> str:
    """A file's name as it is imported."""
    parts = ["edunn", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needs(path: Path, modules: set[str]) -> set[str]:
    """The modules of this package that a file imports, `from . import a` as the module a, wherever the import stands.

    A command is imported when it is called, so what the command line imports late is left out.
    """
    late = unit(path) in ("cli", "__main__")
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waiting: list[ast.AST] = list(tree.body)
    package = ["edunn", *path.relative_to(PACKAGE).parent.parts]
    while waiting:
        node = waiting.pop()
        if not (late and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module.split(".") if node.module else [])])
            inner = {f"{origin}.{alias.name}" for alias in node.names} & modules
            found |= inner if len(inner) == len(node.names) else inner | {origin}
    return found & modules - {module(path)}


def test_no_circles() -> None:
    """No file needs itself through others: imports inside functions and under TYPE_CHECKING count as well."""
    modules = {module(path): path for path in files()}
    graph = {name: needs(path, set(modules)) for name, path in modules.items()}
    while graph:  # modules that need no other, or that no other needs, are in no circle
        needed = set().union(*graph.values())
        free = {name for name, others in graph.items() if not others & set(graph) or name not in needed}
        assert free, f"a circle of imports among {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in free}


@pytest.mark.parametrize("library", ["matplotlib", "mpl_toolkits"])
def test_only_figures_import_matplotlib(library: str) -> None:
    users = {unit(path) for path in files() for name in imported(path, inner=True) if name.split(".")[0] == library}
    assert users <= {"figures"}


def test_tests_and_other_workshops_are_not_imported() -> None:
    """What the package needs at run time is in its dependencies; oracles and extras are asked for late, or never."""
    runtime = {"torch", "numpy", "matplotlib", "mpl_toolkits", "tqdm", "safetensors", "tomli_w", "PIL", "edunn"}
    for path in files():
        others = {name.split(".")[0] for name in imported(path, inner=False)} - set(sys.stdlib_module_names) - runtime
        if path.parent.name == "kernels" and path.name != "__init__.py":
            others.discard("triton")  # kernels/__init__.py imports these files late, where Triton is installed
        if path.parent.name == "play":
            others -= {
                "starlette",
                "uvicorn",
            }  # play/__init__.py imports these files late, where the extra is installed
        assert not others, f"{path.relative_to(PACKAGE)} imports {others}"


def loaded(code: str) -> set[str]:
    """The top-level packages that a fresh python has loaded after running some code."""
    code += "\nimport sys, json; print('\\n' + json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


HELP = (
    "import sys\nfrom edunn.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as e:\n    assert not e.code"
)


@pytest.mark.parametrize(
    "code",
    [
        "import edunn",
        "import edunn; dir(edunn); edunn.__version__",
        HELP,
        HELP.replace("--help", "--version"),
        "import edunn.errors",
    ],
    ids=["import edunn", "dir(edunn)", "edunn --help", "edunn --version", "edunn.errors"],
)
def test_loads_neither_torch_nor_matplotlib(code: str) -> None:
    assert not loaded(code) & {"torch", "numpy", "matplotlib", "PIL", "tqdm"}


def test_public_names_load_on_first_use() -> None:
    after = loaded("import edunn; edunn.losses.CrossEntropy")
    assert "torch" in after
    assert "matplotlib" not in after
    code = (
        "import edunn\n"
        "assert set(dir(edunn)) >= {'losses', 'models', 'descend', 'Samples', '__version__'}\n"
        "from edunn.descent import descend\n"
        "assert edunn.descend is descend and edunn.descent.descend is descend\n"
        "try:\n    edunn.nothing\nexcept AttributeError as e:\n    assert 'nothing' in str(e)\n"
        "else:\n    raise SystemExit(1)"
    )
    assert "torch" in loaded(code)


@pytest.mark.skipif(sys.platform == "win32", reason="os.times gives no times of children there")
def test_help_takes_less_than_a_third_of_a_second_of_cpu_time() -> None:
    """CPU time of the child, user and system: a busy machine does not change it much. The best of three."""
    spent = []
    for _ in range(3):
        before = os.times()
        ran = subprocess.run([sys.executable, "-m", "edunn", "--help"], capture_output=True, text=True, check=True)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert "edunn COMMAND --help" in ran.stdout
    assert min(spent) < 0.3


@pytest.mark.parametrize(
    ("arguments", "code", "err"),
    [
        ([], 0, ""),
        (["trian"], 2, "edunn: 'trian' is not a command. Did you mean 'train'?\n"),
        (["--nonsense"], 2, "edunn: unrecognized arguments: --nonsense. See edunn --help.\n"),
    ],
    ids=["nothing", "a misspelt command", "an unknown option"],
)
def test_the_overview_without_torch(arguments: list[str], code: int, err: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "edunn", *arguments], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (code, err)
    assert ("usage: edunn" in ran.stdout) == (code == 0)
