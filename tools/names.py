"""Write down the names that operations have said they have (`@operation`, and the rows of derivatives.py).

python tools/names.py            writes the parts of these files that are made by it
python tools/names.py --check    fails if one is not up to date

    ops/elementwise.py     the rows of engine/derivatives.py that are operations as they stand
    ops/__init__.py        the imports of all operations
    __init__.py            the same for the package, and second names
    engine/_methods.pyi    the methods and attributes of Tensor, for type checkers
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "tinygrad_rnn"
STUB = PACKAGE / "engine" / "_methods.pyi"
HEAD = '''"""The methods that operations attach to Tensor; made by tools/names.py."""

import builtins
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd.hooks import RemovableHandle
from ..device import device as Device
from ..ops.reduce import Extremes
from .tensor import Array, Tensor

Dim = builtins.int | Sequence[builtins.int] | None

class TensorMethods:
'''
OVERRIDES = ("__eq__", "__ne__")  # object's return truth values
PYTHONS = ("__module__", "__doc__", "__annotations__", "__dict__", "__weakref__")
UNARY = ("__abs__", "__invert__", "__neg__", "__pos__")


def own_names() -> set[str]:
    """The names that the class itself defines."""
    tree = ast.parse((STUB.parent / "tensor.py").read_text(encoding="utf8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    named = {getattr(node, "name", None) for node in body}
    targets = [t for node in body for t in getattr(node, "targets", [getattr(node, "target", None)])]
    return {*named, *(getattr(t, "id", None) for t in targets)} - {None}


def written(annotation: Any, default: str) -> str:
    """An annotation as text. Tensor has methods int, bool and float, which hide Python's types there."""
    given = getattr(annotation, "__name__", str(annotation))
    text = default if annotation is inspect.Parameter.empty else given
    return re.sub(r"\b(int|bool|float|str)\b", r"builtins.\1", text)


def parameters(function: Any) -> Iterator[str]:
    """The parameters after the first as text, with their annotations, and `= ...` for a default."""
    starred = False
    for p in list(inspect.signature(function).parameters.values())[1:]:
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or p.kind in (p.VAR_POSITIONAL, p.KEYWORD_ONLY)
        yield f"{star}{p.name}: {written(p.annotation, 'Any')}" + ("" if p.default is p.empty else " = ...")


def signature(name: str, function: Any) -> str:
    """`def name(self, ...) -> result: ...`; of an operator, which may be a lambda, only what is certain."""
    result = written(inspect.signature(function).return_annotation, "Tensor")
    if re.fullmatch("__[a-z]+__", name) and function.__name__ != name:
        given = [] if name in UNARY else ["other: Any"]
        given = ["index: Any", "value: Any"] if name == "__setitem__" else given
    else:
        given = list(parameters(function))
    return f"    def {name}({', '.join(['self', *given])}) -> {result}: ..."


def lines(tensor: type) -> Iterator[str]:
    """A line for each attached method and attribute, and those of a property."""
    own = own_names()
    for name, value in sorted(vars(tensor).items()):
        if name in own or name in PYTHONS or (name in vars(object) and value is vars(object)[name]):
            continue
        if isinstance(value, property):
            yield "    @property\n" + signature(name, value.fget)
            if value.fset:
                yield f"    @{name}.setter\n    def {name}(self, value: Any) -> None: ..."
        elif isinstance(value, FunctionType):
            yield signature(name, value) + ("  # type: ignore[override]" if name in OVERRIDES else "")
        else:
            yield f"    {name}: {'builtins.bool' if isinstance(value, bool) else 'Any'}"


# --- parts of modules


def wrapped(head: str, names: list[str], tail: str) -> str:
    """`head`, the names with commas, `tail`: in lines of at most 110 characters."""
    body = textwrap.fill(", ".join(names) + ",", 110, initial_indent="    ", subsequent_indent="    ")
    return f"{head}\n{body}\n{tail}\n"


def rows(package: Any) -> str:
    """A line for each primitive that is an operation as it stands."""
    found = [p for p in package.engine.primitive.REGISTRY.values() if p.doc]
    return "".join(
        f"{p.name} = {'unary' if len(p.rules) == 1 else 'binary'}(derivatives.{p.name})\n" for p in found
    )


def imports_of_ops(package: Any) -> str:
    """The operations, by the module that defines them, and `__all__`."""
    operations = package.ops.operation.OPERATIONS
    modules: dict[str, list[str]] = {}
    for name in sorted(operations):
        modules.setdefault(operations[name].__module__.rpartition(".")[2], []).append(name)
    imports = (wrapped(f"from .{module} import (", names, ")") for module, names in sorted(modules.items()))
    return "".join(imports) + "\n" + wrapped("__all__ = [", [f'"{name}"' for name in sorted(operations)], "]")


def imports_of_package(package: Any) -> str:
    """The operations again, and the names that some of them have beside their own."""
    aliases = sorted(package.ops.operation.ALIASES.items())
    return (
        wrapped("from .ops import (", sorted(package.ops.operation.OPERATIONS), ")")
        + "\n"
        + "".join(f"{alias} = {name}\n" for alias, name in aliases)
        + "\n__all__ += ops.__all__\n"
        + wrapped("__all__ += [", [f'"{alias}"' for alias, _ in aliases], "]")
    )


PARTS = {"ops/elementwise.py": rows, "ops/__init__.py": imports_of_ops, "__init__.py": imports_of_package}
START, END = "# [made by tools/names.py\n", "# ]\n"


def with_part(text: str, part: str) -> str:
    """A module's text with its generated part replaced."""
    before, _, rest = text.partition(START)
    return before + START + part + END + rest.partition(END)[2]


def load() -> Any:
    """The package; if an operation has moved to another module, after the imports have been made anew."""
    sys.path.insert(0, str(PACKAGE.parent))
    try:
        return importlib.import_module("tinygrad_rnn")
    except ImportError:
        if "--check" in sys.argv:
            raise
        modules = ", ".join(p.stem for p in (PACKAGE / "ops").glob("*.py") if p.stem != "__init__")
        parts = {
            "ops/__init__.py": f"from . import {modules}\nglobals().update(OPERATIONS)\n",
            "__init__.py": "globals().update(ops.OPERATIONS)\n",
        }
        for name, part in parts.items():
            text = with_part((PACKAGE / name).read_text(encoding="utf8"), part)
            (PACKAGE / name).write_text(text, encoding="utf8")
        for name in [name for name in sys.modules if name.startswith("tinygrad_rnn")]:
            del sys.modules[name]
        return importlib.import_module("tinygrad_rnn")


def main() -> str | None:
    tinygrad_rnn = load()
    wanted = {
        PACKAGE / name: with_part((PACKAGE / name).read_text(encoding="utf8"), part(tinygrad_rnn))
        for name, part in PARTS.items()
    }
    wanted[STUB] = HEAD + "\n".join(lines(tinygrad_rnn.Tensor)) + "\n"
    stale = [path for path, text in wanted.items() if path.read_text(encoding="utf8") != text]
    if "--check" in sys.argv:
        names = ", ".join(path.relative_to(PACKAGE).as_posix() for path in stale)
        return f"out of date: {names}; run python tools/names.py" if stale else None
    for path in stale:
        path.write_text(wanted[path], encoding="utf8")
    if stale and PACKAGE / "ops/elementwise.py" in stale:  # a new row has methods that the stub lacks yet
        return subprocess.run([sys.executable, __file__], check=True).returncode or None  # type: ignore[return-value]
    return None


if __name__ == "__main__":
    sys.exit(main())
