"""The mistakes that mutants are made of: each a function (node, place) -> edits, listed in MISTAKES.

Those at the end know what they are in: a rule (a function whose first parameter is `g`, the gradient), a
cell's equations, a loop over time.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from mutants import Edit, Place, called, names_in

Edits = Iterator[Edit]

ARITHMETIC = {
    ast.Add: "+-", ast.Sub: "-+", ast.Mult: "*/", ast.Div: "/*", ast.BitAnd: "&|", ast.BitOr: "|&",
}  # fmt: skip
BOTH_SIDES = (ast.Add, ast.Sub, ast.Mult, ast.BitAnd, ast.BitOr)  # else the left alone is like the whole
COMPARED = {
    ast.Eq: [("==", "!=")], ast.NotEq: [("!=", "==")], ast.Is: [("is", "is not")],
    ast.IsNot: [("is not", "is")], ast.In: [("in", "not in")], ast.NotIn: [("not in", "in")],
    ast.Lt: [("<", "<="), ("<", ">")], ast.LtE: [("<=", "<"), ("<=", ">=")],
    ast.Gt: [(">", ">="), (">", "<")], ast.GtE: [(">=", ">"), (">=", "<=")],
}  # fmt: skip
PAIRS = """
    np.sin np.cos, np.exp np.expm1, np.log np.log1p, np.sqrt np.square, np.tanh np.arctan, np.floor np.ceil,
    np.maximum np.minimum, np.add np.subtract, np.multiply np.divide, np.log2 np.log, np.equal np.not_equal,
    np.zeros_like np.ones_like, np.cumsum np.cumprod, np.less np.less_equal, np.greater np.greater_equal,
    np.logical_and np.logical_or, np.logical_xor np.logical_or, np.max np.min, np.isnan np.isinf,
    np.isfinite np.isnan, np.negative np.positive, np.abs np.positive, np.round np.floor, np.prod np.sum,
    np.power np.multiply, np.logaddexp np.maximum, np.remainder np.fmod, np.all np.any, np.invert np.positive,
    np.bitwise_and np.bitwise_or, np.bitwise_xor np.bitwise_or, np.floor_divide np.divide, sigmoid tanh,
    relu tanh, self.weight_ih self.weight_hh, self.bias_ih self.bias_hh, p.g p.a, d.g d.a, rows.t rows.b,
    there back, self.hidden_size self.input_size
"""
PARTNERS: dict[str, str] = {}
for one, other in (pair.split() for pair in PAIRS.split(",")):
    PARTNERS.setdefault(one, other)
    PARTNERS.setdefault(other, one)
NEUTRAL = set(  # calls whose first argument, or whose object, is a value of the same sort
    """np.flip np.transpose np.expand_dims np.cumsum np.cumprod np.add.reduce np.broadcast_to np.moveaxis
    np.argsort np.sign np.floor np.exp np.log np.reshape np.asarray np.diff np.concatenate np.sort sorted
    reversed unbroadcast tanh sigmoid phi each joined rows cat stack dropout owned_value t swapaxes squeeze
    unsqueeze reshape copy transpose expand astype clone detach value sum""".split()
)
FLAT = set(  # functions of their arguments (but for g) whose derivative is 0
    "np.zeros_like np.ones_like np.equal np.sign np.floor len isinstance size_of _if_larger".split()
)
SYMMETRIC = {"np.add", "np.equal", "np.logical_and", "np.multiply", "isinstance", "each"}


# --- in any expression


def wrong_operator(node: ast.AST, place: Place) -> Edits:
    """a - b for a + b, a / b for a b; += too."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not is_joining(node):
        yield place.source.between(node.left, node.right, *ARITHMETIC[type(node.op)])
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        sign, other = ARITHMETIC[type(node.op)]
        yield place.source.between(node.target, node.value, sign, other)
        yield place.source.between(node.target, node.value, sign, "")


def is_joining(node: ast.BinOp) -> bool:
    """True for lists and tuples in a row."""
    return any(isinstance(side, ast.List | ast.Tuple) for side in (node.left, node.right))


def dropped_term(node: ast.AST, place: Place) -> Edits:
    """a, or b, for a + b, a b, a and b."""
    if isinstance(node, ast.BinOp):
        yield place.source.put(node, place.source.closed(node.left))
        if isinstance(node.op, BOTH_SIDES):
            yield place.source.put(node, place.source.closed(node.right))
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield place.source.put(node, place.source.closed(value))


def dropped_sign(node: ast.AST, place: Place) -> Edits:
    """x for -x, not x, ~x."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield place.source.put(node, place.source.closed(node.operand))


def wrong_comparison(node: ast.AST, place: Place) -> Edits:
    """a <= b and a > b for a < b; a != b for a == b."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:]):
            for old, new in COMPARED[type(op)]:
                yield place.source.between(left, right, old, new)


def wrong_connective(node: ast.AST, place: Place) -> Edits:
    """a or b for a and b."""
    if isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            yield place.source.between(left, right, old, new)


def settled_condition(node: ast.AST, place: Place) -> Edits:
    """Always, and never, what depends on a condition."""
    if isinstance(node, ast.IfExp):
        yield place.source.put(node, place.source.closed(node.body))
        yield place.source.put(node, place.source.closed(node.orelse))
    if isinstance(node, ast.If):
        if not isinstance(node.body[0], ast.Raise):
            yield place.source.put(node.test, "True")
        yield place.source.put(node.test, "False")
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield place.source.put(test, "True")


def wrong_constant(node: ast.AST, place: Place) -> Edits:
    """One more, one less; the other truth value."""
    parent = place.source.parents.get(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and is_number(node.operand):
        for step in (1, -1):
            yield place.source.put(node, str(ast.literal_eval(node) + step))
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.UnaryOp):
        if isinstance(node.value, bool):
            yield place.source.put(node, str(not node.value))
        elif isinstance(node.value, int | float):
            yield place.source.put(node, str(node.value + 1))
            yield place.source.put(node, str(node.value - 1))


def off_by_one(node: ast.AST, place: Place) -> Edits:
    """A slice that starts or ends one off, a step less of a range, the step before or the row before."""
    source = place.source
    if isinstance(node, ast.Slice):
        for bound in (node.lower, node.upper):
            if bound is not None and not is_number(bound):
                yield source.put(bound, f"{source.closed(bound)} + 1")
                yield source.put(bound, f"{source.closed(bound)} - 1")
    if isinstance(node, ast.Call) and called(node) in ("range", "np.arange") and len(node.args) == 1:
        yield source.put(node.args[0], f"{source.closed(node.args[0])} - 1")
    if isinstance(node, ast.Call) and called(node) in ("len", "size_of"):
        yield source.put(node, f"{source.of(node)} - 1")
    if isinstance(node, ast.Subscript) and source.of(node.slice) in ("t", "n", "k"):
        yield source.put(node.slice, f"{source.of(node.slice)} - 1")


def is_number(node: ast.AST) -> bool:
    """True for 1 and -1."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and is_number(node.operand))


def wrong_name(node: ast.AST, place: Place) -> Edits:
    """cos for sin, minimum for maximum, W_ih for W_hh."""
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        other = PARTNERS.get(ast.unparse(node))
        if other:
            yield place.source.put(node, other)


def dropped_call(node: ast.AST, place: Place) -> Edits:
    """x for np.flip(x, axis), for x.t(): a function left out that gives the same sort of value."""
    if isinstance(node, ast.Call):
        function = node.func
        if called(node) in NEUTRAL and node.args:
            first = node.args[1] if called(node) == "each" and len(node.args) > 1 else node.args[0]
            if not isinstance(first, ast.Starred):
                yield place.source.put(node, place.source.closed(first))
        elif isinstance(function, ast.Attribute) and function.attr in NEUTRAL and not of_numpy(node):
            yield place.source.put(node, place.source.closed(function.value))


def of_numpy(node: ast.Call) -> bool:
    """True for a function of a module rather than a method."""
    return called(node).startswith(("np.", "math."))


def dropped_argument(node: ast.AST, place: Place) -> Edits:
    """f(x) for f(x, axis=1); linear(x, W) for linear(x, W, b)."""
    if not isinstance(node, ast.Call):
        return
    parts = sorted([*node.args, *node.keywords], key=place.source.start)
    for k, part in enumerate(parts):
        last = k == len(parts) - 1 and k >= 2 and not node.keywords and not isinstance(part, ast.Starred)
        if (isinstance(part, ast.keyword) and part.arg) or last:
            if k:
                yield place.source.end(parts[k - 1]), place.source.end(part), ""
            elif len(parts) > 1:
                yield place.source.start(part), place.source.start(parts[1]), ""


def swapped_arguments(node: ast.AST, place: Place) -> Edits:
    """f(b, a) for f(a, b), f(c, b, a) for f(c, a, b); [b, a] for [a, b]; a, b = y for b, a = y."""
    if isinstance(node, ast.Call) and len(node.args) > 1 and called(node) not in SYMMETRIC:
        pair = node.args[-2:]
    elif isinstance(node, ast.List | ast.Tuple) and not isinstance(place.source.parents[node], ast.Compare):
        for pair in zip(node.elts, node.elts[1:]):
            yield swapped(pair[0], pair[1], place)
        return
    else:
        return
    if not any(isinstance(x, ast.Starred | ast.Constant) for x in pair):
        yield swapped(pair[0], pair[1], place)


def swapped(a: ast.AST, b: ast.AST, place: Place) -> Edit:
    """The edit that makes two nodes, or statements, change places."""
    source = place.source
    middle = source.data[source.end(a) : source.start(b)].decode()
    return source.start(a), source.end(b), source.of(b) + middle + source.of(a)


def dropped_statement(node: ast.AST, place: Place) -> Edits:
    """Nothing, for an action; the old value, for a name that has one."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield place.source.put(node, "pass")
    if isinstance(node, ast.AugAssign):
        yield place.source.put(node, "pass")
    if isinstance(node, ast.Assign):
        targets = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        stored = all(isinstance(t, ast.Subscript | ast.Attribute) for t in node.targets)
        if stored or (place.function and targets <= {*bound_before(node, place)}):
            yield place.source.put(node, "pass")


def bound_before(node: ast.AST, place: Place) -> list[str]:
    """The local names that have a value before a statement, in the order in which they got it."""
    made = [n for n in ast.walk(place.function or node) if isinstance(n, ast.Name)]
    mine = place.source.start(node)
    before = [n for n in made if isinstance(n.ctx, ast.Store) and place.source.start(n) < mine]
    return list(dict.fromkeys([*place.positional, *(n.id for n in sorted(before, key=place.source.start))]))


# --- in rules


def wrong_gradient(node: ast.AST, place: Place) -> Edits:
    """Minus, twice, or no gradient."""
    if not place.is_rule:
        return
    if isinstance(node, ast.Lambda):
        value: ast.AST = node.body
    elif isinstance(node, ast.Return) and node.value is not None:
        value = node.value
    else:
        return
    if isinstance(value, ast.ListComp):
        value = value.elt
    if isinstance(value, ast.Call) and called(value) in ("Placed", "Product"):
        value = value.args[0]
    if "zeros_like" not in place.source.of(value):
        for form in ("-{}", "2 * {}", "0 * {}"):
            yield place.source.put(value, form.format(place.source.closed(value)))


def cut_second_order(node: ast.AST, place: Place) -> Edits:
    """A value through which gradients of gradients do not pass."""
    if place.is_rule and isinstance(node, ast.Name) and node.id in place.positional and carries(node, place):
        yield place.source.put(node, f'getattr({node.id}, "array", {node.id})')


def carries(node: ast.Name | ast.Attribute, place: Place) -> bool:
    """True unless the value is made here, called, or only asked for its shape, compared, or rounded."""
    if not isinstance(node.ctx, ast.Load):
        return False
    child: ast.AST = node
    parent = place.source.parents[node]
    if isinstance(parent, ast.Attribute) and parent.attr in ("shape", "dtype", "ndim"):
        return False
    while isinstance(parent, ast.expr):
        if isinstance(parent, ast.Compare) or (isinstance(parent, ast.Call) and child is parent.func is node):
            return False
        if isinstance(parent, ast.Call) and called(parent) in FLAT and place.source.of(node) != "g":
            return False
        if isinstance(parent, ast.Call) and called(parent) == "np.where" and child is parent.args[0]:
            return False
        child, parent = parent, place.source.parents[parent]
    return True


def wrong_operand(node: ast.AST, place: Place) -> Edits:
    """Another of the inputs, or the input for the output."""
    if isinstance(node, ast.Lambda) and place.is_rule:
        for a, b in zip(node.args.args[1:], node.args.args[2:]):
            if not (a.arg.startswith("_") and b.arg.startswith("_")):
                yield swapped(a, b, place)
    if place.is_rule and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        inputs = [p for p in place.positional[1:] if not p.startswith("_")]
        if node.id in inputs:
            for other in inputs:
                if other != node.id:
                    yield place.source.put(node, other)


# --- in cells


def in_equations(place: Place) -> bool:
    """True in the methods of a cell that compute."""
    return place.path.endswith("cells.py") and place.name.rpartition(".")[2] in ("step", "project", "recur")


def cut_path(node: ast.AST, place: Place) -> Edits:
    """A value of a cell, or a state or sequence in a loop, without its gradient."""
    if not (isinstance(node, ast.Name) and carries(node, place)):
        return
    if in_equations(place) and node.id not in ("self", "state", "phi", "LSTMState"):
        yield place.source.put(node, f"{node.id}.detach()")
    elif place.path.endswith("nn/loop.py") and node.id in ("live", "state", "whole", "a"):
        yield place.source.put(node, f"each(lambda s: s.detach(), {node.id})")
    elif "nn/" in place.path and node.id in ("data", "xs", "x", "s", "ys", "y", "padded", "fill", "h", "c"):
        yield place.source.put(node, f"{node.id}.detach()")


def wrong_value(node: ast.AST, place: Place) -> Edits:
    """The value that a cell has before or after this one: another gate, the state for a gate."""
    if in_equations(place) and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        names = [
            n for n in bound_before(statement_of(node, place), place) if n not in ("self", "state", "phi")
        ]
        if node.id in names:
            k = names.index(node.id)
            for other in sorted({names[k - 1], names[(k + 1) % len(names)]} - {node.id}):
                yield place.source.put(node, other)


def statement_of(node: ast.AST, place: Place) -> ast.AST:
    """The statement that a node stands in."""
    while not isinstance(node, ast.stmt):
        node = place.source.parents[node]
    return node


def wrong_order(node: ast.AST, place: Place) -> Edits:
    """Two steps of an equation in the other order: what needs the new state gets the old one."""
    if in_equations(place) and isinstance(node, ast.FunctionDef):
        for one, two in zip(node.body, node.body[1:]):
            if isinstance(one, ast.Assign) and isinstance(two, ast.Assign):
                made = set(names_in(one.targets[0]))
                if made & set(names_in(two.value)) and made <= {*bound_before(one, place)}:
                    yield swapped(one, two, place)


def transposed_weight(node: ast.AST, place: Place) -> Edits:
    """Wᵀ for W."""
    weight = isinstance(node, ast.Attribute) and node.attr.startswith("weight_")
    if weight and place.path.endswith("cells.py") and carries(node, place):
        yield place.source.put(node, f"{place.source.of(node)}.t()")


MISTAKES: dict[str, Callable[[ast.AST, Place], Edits]] = {
    mistake.__name__.replace("_", " "): mistake
    for mistake in (
        wrong_gradient, cut_second_order, wrong_operand,
        cut_path, wrong_value, wrong_order, transposed_weight,
        wrong_operator, dropped_term, dropped_sign, wrong_comparison, wrong_connective, settled_condition,
        wrong_constant, off_by_one, wrong_name, dropped_call, dropped_argument, swapped_arguments,
        dropped_statement,
    )
}  # fmt: skip
