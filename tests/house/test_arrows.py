"""The house: imports point one way, and the package depends on NumPy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_rnn.engine.primitive import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tinygrad_rnn"

# A file may import from floors before its own, and from its own. The longest matching prefix counts.
FLOORS = [
    ["engine.tensor", "engine._methods"],
    ["engine.primitive"],
    ["engine.derivatives"],
    ["engine.accumulate"],
    ["engine"],
    ["dtypes", "device", "random"],
    ["autograd"],
    ["ops", "pickling"],
    ["optim", "utils"],
    [
        "nn.init",
        "nn.functional",
        "nn.parameter",
        "nn.hooks",
        "nn.registry",
        "nn.state",
        "nn.module",
        "nn.containers",
    ],
    ["nn"],
    ["compile", "distributions", "testing", "analysis", "viz", "serialization", "interop", "distributed"],
    ["compat"],
    [""],
]
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """`nn.cells` for nn/cells.py, `nn` for nn/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int:
    matches = [
        (len(name), k)
        for k, floor in enumerate(FLOORS)
        for name in floor
        if f"{module}.".startswith(f"{name}.") or not name
    ]
    return max(matches)[1]


def imports_of(path: Path) -> list[tuple[int, str, bool]]:
    """(line, module imported, whether inside a function) for imports within the package."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    inside = {
        n
        for f in ast.walk(tree)
        if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))
        for n in ast.walk(f)
    }
    package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [p for p in package[: len(package) - node.level + 1] if p]
            stem = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                deeper = PACKAGE.joinpath(*stem, alias.name)
                is_module = deeper.with_suffix(".py").exists() or deeper.is_dir()
                found.append(
                    (node.lineno, ".".join([*stem, alias.name] if is_module else stem), node in inside)
                )
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path) or "tinygrad_rnn")
def test_no_import_turns_back(path):
    here = floor_of(module_of(path))
    back = [f"line {line}: {name}" for line, name, _ in imports_of(path) if floor_of(name) > here]
    assert not back, f"{module_of(path)} imports from a later floor: {back}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path) or "tinygrad_rnn")
def test_no_import_hides_in_a_function(path):
    hidden = [f"line {line}: {name}" for line, name, inside in imports_of(path) if inside]
    assert not hidden, f"{module_of(path)} imports inside a function: {hidden}"


def test_an_arrow_that_turns_back_is_noticed():
    order = "engine.tensor engine.backward autograd.gradients ops.shape nn.cells testing compat".split()
    floors = [floor_of(module) for module in order]
    assert floors == sorted(set(floors))
    assert floor_of("optim.adam") < floor_of("nn.module")  # optim knows no nn
    assert floor_of("nn.functional.loss") < floor_of("nn.layers")


def test_the_package_imports_nothing_but_numpy_and_the_standard_library():
    allowed = {*sys.stdlib_module_names, "numpy"}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            strangers = {name.split(".")[0] for name in names} - allowed
            if path.parent == PACKAGE / "testing" / "strategies":
                strangers -= {"hypothesis"}  # imported when it is asked for, and only here
            if path.is_relative_to(PACKAGE / "viz"):
                strangers -= {"matplotlib"}
            assert not strangers, f"{path.relative_to(ROOT)}:{node.lineno} imports {strangers}"


def test_the_engine_imports_numpy_alone():
    for path in (PACKAGE / "engine").glob("*.py"):
        assert all(name.startswith("engine") for _, name, _ in imports_of(path)), path


def test_the_engine_names_no_operation():
    """A primitive's peculiarities are attributes of it, beside its row: no other file compares names."""
    for path in (PACKAGE / "engine").glob("*.py"):
        if path.name != "derivatives.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf8")))
            assert not {n.value for n in nodes if isinstance(n, ast.Constant)} & REGISTRY.keys(), path


def test_importing_the_package_loads_nothing_third_party_but_numpy():
    code = (
        "import sys; before = set(sys.modules); import numpy; numpys = set(sys.modules); import tinygrad_rnn;"
        "new = {name.split('.')[0] for name in set(sys.modules) - numpys};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'tinygrad_rnn', 'numpy'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
