"""Programs written against PyTorch, run with nothing changed but the imports."""

import ast
from pathlib import Path
from types import ModuleType

PROGRAMS = {path.stem: path for path in sorted((Path(__file__).parent / "programs").glob("*.py"))}


class Ported(ast.NodeTransformer):
    """`import torch.nn as nn` becomes `import tinygrad_rnn.nn as nn`, and so on; nothing else is touched."""

    def visit_Import(self, node: ast.Import) -> ast.Import:
        names = []
        for alias in node.names:
            root, dot, rest = alias.name.partition(".")
            if root != "torch":
                names.append(alias)
                continue
            names.append(ast.alias("tinygrad_rnn" + dot + rest, alias.asname))
            if alias.asname is None:
                names.append(ast.alias("tinygrad_rnn", "torch"))
        node.names = names
        return ast.fix_missing_locations(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        root, dot, rest = (node.module or "").partition(".")
        if root == "torch":
            node.module = "tinygrad_rnn" + dot + rest
        return node


def load(name: str, ported: bool = True) -> ModuleType:
    """The program as a fresh module, on tinygrad_rnn (`ported`) or on PyTorch."""
    path = PROGRAMS[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = ModuleType(name)
    exec(compile(Ported().visit(tree) if ported else tree, str(path), "exec"), module.__dict__)
    return module
