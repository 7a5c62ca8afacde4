"""Write tinygrad_rnn/engine/_methods.pyi: the methods that operations attach to Tensor, for type checkers.

python tools/stub.py            writes the file
python tools/stub.py --check    fails if it is not up to date
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "tinygrad_rnn"
FILE = PACKAGE / "engine" / "_methods.pyi"
HEAD = '''"""The methods that operations attach to Tensor; made by tools/stub.py."""

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
    tree = ast.parse((FILE.parent / "tensor.py").read_text(encoding="utf8"))
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


def main() -> str | None:
    sys.path.insert(0, str(PACKAGE.parent))
    from tinygrad_rnn import Tensor

    text = HEAD + "\n".join(lines(Tensor)) + "\n"
    if "--check" in sys.argv:
        return None if FILE.read_text() == text else f"{FILE.name} is out of date: run python tools/stub.py"
    FILE.write_text(text)
    return None


if __name__ == "__main__":
    sys.exit(main())
