"""Write tinygrad_rnn/_methods.pyi: the methods that operations attach to Tensor, for type checkers.

python .ci/stub.py            writes the file
python .ci/stub.py --check    fails if it is not up to date
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
FILE = PACKAGE / "_methods.pyi"
HEAD = '''"""The methods that operations attach to Tensor; made by .ci/stub.py."""

import builtins
from collections.abc import Sequence
from typing import Any

from .autograd.hooks import RemovableHandle
from .ops.reduce import Extremes
from .tensor import Tensor

Dim = builtins.int | Sequence[builtins.int] | None

class TensorMethods:
'''
TRUTH_VALUES = ("__eq__", "__ne__")  # what these of object return


def own_names() -> set[str]:
    """The names that the class itself defines."""
    tree = ast.parse((PACKAGE / "tensor.py").read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    named = {getattr(node, "name", None) for node in body}
    targets = [t for node in body for t in getattr(node, "targets", [getattr(node, "target", None)])]
    return {*named, *(getattr(t, "id", None) for t in targets)} - {None}


def written(annotation: Any, default: str) -> str:
    """An annotation as text. Tensor has methods int, bool and float, which hide Python's types there."""
    text = default if annotation is inspect.Parameter.empty else str(annotation)
    return re.sub(r"\b(int|bool|float)\b", r"builtins.\1", text)


def parameters(name: str, function: Any) -> Iterator[str]:
    """The parameters after the first as text, with their annotations, and `= ...` for a default."""
    if re.fullmatch("__[a-z]+__", name) and name != "__setitem__":  # an operator
        alone = ("__abs__", "__copy__", "__invert__", "__neg__", "__pos__")
        yield from [] if name in alone else ["other: Any"]
        return
    starred = False
    for p in list(inspect.signature(function).parameters.values())[1:]:
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or p.kind in (p.VAR_POSITIONAL, p.KEYWORD_ONLY)
        yield f"{star}{p.name}: {written(p.annotation, 'Any')}" + ("" if p.default is p.empty else " = ...")


def lines(tensor: type) -> Iterator[str]:
    """A line for each attached method and property."""
    own = own_names()
    for name, value in sorted(vars(tensor).items()):
        if name in own or value is vars(object).get(name) or not isinstance(value, (FunctionType, property)):
            continue
        function: Any = value.fget if isinstance(value, property) else value
        result = written(inspect.signature(function).return_annotation, "Tensor")
        line = f"    def {name}({', '.join(['self', *parameters(name, function)])}) -> {result}: ..."
        line += "  # type: ignore[override]" if name in TRUTH_VALUES else ""
        yield "    @property\n" + line if isinstance(value, property) else line


def main() -> str | None:
    sys.path.insert(0, str(PACKAGE.parent))
    from tinygrad_rnn import Tensor

    text = HEAD + "\n".join(lines(Tensor)) + "\n"
    if "--check" in sys.argv:
        return None if FILE.read_text() == text else f"{FILE.name} is out of date: run python .ci/stub.py"
    FILE.write_text(text)
    return None


if __name__ == "__main__":
    sys.exit(main())
