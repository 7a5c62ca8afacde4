"""Mutants: changes of one place of the source, each a mistake that a gradient or a time loop could hold.

`mutants_of(path, text, mistakes, scope)` reads the source with `ast` and gives every mutant of the chosen
functions. The text is edited exactly where the node stands, so that a mutant is seen as a difference of one
line. The mistakes themselves are the functions of mistakes.py. Messages, annotations, decorators and
docstrings are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

WHOLE = "whole"  # scope: every function and class of the file; other words: functions and methods by name
ROWS = "rows"  # scope: the forwards and rules handed to these, and the functions that they name
ROW_MAKERS = ("primitive", "unary", "binary", "truth")
SILENT = ("extra_repr", "__repr__", "__slots__", "__doc__")
UNREAD = {"annotation", "returns", "decorator_list", "bases", "type_params"}

Edit = tuple[int, int, str]  # from and to byte number, and what stands there now
Mistakes = dict[str, Callable[..., Iterator[Edit]]]  # by kind: (node, place) -> edits; see mistakes.py


class Mutant(NamedTuple):
    """One mutant: where it is, what kind of mistake, the lines that differ, and the whole new text.

    `primitives` are those whose forward or rules hold the place, in a file of rows.
    """

    path: str
    function: str
    line: int
    kind: str
    before: str
    after: str
    text: str
    primitives: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """A name that stays the same if lines move."""
        return self.path, self.function, self.before, self.after


class Source:
    """A file's tree, and the text that belongs to each node."""

    def __init__(self, text: str) -> None:
        self.text, self.data, self.tree = text, text.encode(), ast.parse(text)
        self.starts = [0, *accumulate(len(line) for line in self.data.splitlines(keepends=True))]
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def start(self, node: ast.AST) -> int:
        """The number of the node's first byte."""
        return self.starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        """The number of the byte after the node's last."""
        return self.starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def of(self, node: ast.AST) -> str:
        """The node's text."""
        return self.data[self.start(node) : self.end(node)].decode()

    def closed(self, node: ast.AST) -> str:
        """The node's text, in parentheses unless it is one thing."""
        alone = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Tuple)
        return self.of(node) if isinstance(node, alone) else f"({self.of(node)})"

    def put(self, node: ast.AST, text: str) -> Edit:
        """The edit that replaces a node."""
        return self.start(node), self.end(node), text

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Edit:
        """The edit that replaces an operator between two nodes."""
        a, b = self.end(left), self.start(right)
        return a, b, self.data[a:b].decode().replace(old, new, 1)

    def edited(self, edit: Edit) -> str:
        """The whole text with an edit made."""
        start, end, text = edit
        return (self.data[:start] + text.encode() + self.data[end:]).decode()


class Place(NamedTuple):
    """The surroundings of a mistake: the file and the functions around a node, innermost last."""

    source: Source
    path: str
    around: tuple[ast.AST, ...]

    @property
    def function(self) -> ast.FunctionDef | ast.Lambda | None:
        """The innermost function."""
        found = [f for f in self.around if isinstance(f, ast.FunctionDef | ast.Lambda)]
        return found[-1] if found else None

    @property
    def name(self) -> str:
        """The qualified name, of functions and classes with a name."""
        return ".".join(f.name for f in self.around if getattr(f, "name", ""))  # type: ignore[attr-defined]

    @property
    def positional(self) -> list[str]:
        """The positional parameters of the innermost function."""
        return [a.arg for a in self.function.args.args] if self.function else []

    @property
    def is_rule(self) -> bool:
        """True in what takes a gradient first: a rule, or a part of one."""
        return self.positional[:1] == ["g"]


def visited(source: Source, path: str, scope: str) -> Iterator[tuple[ast.AST, Place]]:
    """All nodes in scope, each with its place."""
    roots = row_parts(source.tree) if scope == ROWS else ((node, ()) for node in source.tree.body)
    stack = list(roots)[::-1]
    wanted = None if scope in (ROWS, WHOLE) else scope.split()
    while stack:
        node, around = stack.pop()
        if is_silent(node):
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            around = (*around, node)
        if wanted is None or any(getattr(f, "name", "") in wanted for f in around):
            yield node, Place(source, path, around)
        children = [
            child
            for field, value in ast.iter_fields(node)
            if field not in UNREAD
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]
        stack += [(child, around) for child in reversed(children)]


def is_silent(node: ast.AST) -> bool:
    """True for what is said, not computed."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) == "warnings.warn"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in SILENT
    return isinstance(node, ast.FunctionDef) and node.name in SILENT


def row_parts(tree: ast.Module) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """The forwards and rules of all primitives of a file, and the functions of the file that these name."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    users: dict[str, dict[str, None]] = {}  # of each function: the primitives that need it
    for row in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) in ROW_MAKERS):
        if not isinstance(row.args[0], ast.Constant):
            continue
        label = str(row.args[0].value)
        passed_on = [keyword.value for keyword in row.keywords if keyword.arg == "hand_on"]
        for k, part in enumerate([*row.args[1:], *passed_on]):
            if isinstance(part, ast.Lambda) or (k == 0 and isinstance(part, ast.Attribute)):
                yield part, (Row(label, (label,)),)
            waiting = free_names_in(part)
            while waiting:
                name = waiting.pop(0)
                if name in functions and label not in users.setdefault(name, {}):
                    users[name][label] = None
                    waiting += free_names_in(functions[name])
    for name, labels in users.items():
        if name in functions:
            yield functions[name], (Row("", tuple(labels)),)


class Row(ast.AST):
    """Stands around the parts of primitives: the name of the row, and the primitives."""

    def __init__(self, name: str, primitives: tuple[str, ...]) -> None:
        super().__init__()
        self.name, self.primitives = name, primitives


def called(node: ast.Call) -> str:
    """The text of the function in a call."""
    return ast.unparse(node.func)


def names_in(node: ast.AST) -> list[str]:
    """The names that stand in a node."""
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]


def free_names_in(node: ast.AST) -> list[str]:
    """The names that are read in a node and not its own."""
    own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return [name for name in names_in(node) if name not in own]


def mutants_of(path: str, text: str, mistakes: Mistakes, scope: str = WHOLE) -> list[Mutant]:
    """All mutants of a file by some kinds of mistakes, in the order of its lines, no two alike."""
    source, seen, found = Source(text), {text}, []
    for node, place in visited(source, path, scope):
        for kind, mistake in mistakes.items():
            for edit in mistake(node, place):
                new = source.edited(edit)
                if new in seen:
                    continue
                seen.add(new)
                before, after = changed_lines(source, edit)
                line = text[: len(source.data[: edit[0]].decode())].count("\n") + 1
                primitives = getattr(place.around[0], "primitives", ()) if place.around else ()
                found.append(Mutant(path, place.name, line, kind, before, after, new, primitives))
    return sorted(found, key=lambda m: m.line)


def changed_lines(source: Source, edit: Edit) -> tuple[str, str]:
    """The lines that an edit changes, before and after, without indentation."""
    start, end, text = edit
    first = source.data.rfind(b"\n", 0, start) + 1
    last = source.data.find(b"\n", end)
    head, tail = source.data[first:start].decode(), source.data[end:last].decode()
    old = source.data[first:last].decode()
    before, after = (" ".join(lines.split()) for lines in (old, head + text + tail))
    return before, after
