"""NumPy text: each operation as the call that writes its result to a given place.

    mul(d_h, s) at d_a      becomes     np.multiply(d_h, s, out=d_a)
    where(m, a, b) at y     becomes     np.copyto(y, b); np.copyto(y, a, where=m)

An operation that has no text here makes a cell run eagerly. Next: lines.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from .kinds import UFUNCS
from .spots import index_text
from .symbols import Untraceable

NAMES = {*UFUNCS.values(), "dot"}  # functions that sources import by name
REDUCTIONS = {"sum": "add", "amax": "maximum", "prod": "multiply"}
CALLS = {  # that can write their result to a given place
    **{op: f"np.{name}({{all}}{{end}})" for op, name in UFUNCS.items()},
    **{
        op: f"np.{f}.reduce({{0}}, axis={{axis}}, keepdims={{keepdims}}{{end}})"
        for op, f in REDUCTIONS.items()
    },
    **{name: f"{name}({{all}}{{end}})" for name in ("sigmoid", "erf")},
    **{name: f"np.{name}({{all}}{{end}})" for name in ("matmul", "dot")},
    "argmax": "np.argmax({0}, axis={axis}, keepdims={keepdims}{end})",
    "argmin": "np.argmin({0}, axis={axis}, keepdims={keepdims}{end})",
    "monomial": "np.power({0}, {n}{end})",
    "relu": "np.maximum({0}, 0{end})",
    "cumsum": "np.cumsum({0}, axis={axis}{end})",
    "cumprod": "np.cumprod({0}, axis={axis}{end})",
    "cat": "np.concatenate(({all},), {axis}{end})",
    "stack": "np.stack(({all},), {axis}{end})",
}
VIEWS = {  # whose result is copied to a given place
    "copy": "{0}",
    "argsort": "np.argsort({0}, axis={axis}, kind='stable')",
    "gather": "np.take_along_axis({0}, {1}, {axis})",
    "expand": "np.broadcast_to({0}, {shape})",
    "reshape": "{0}.reshape({shape})",
    "permute": "{0}.transpose({axes})",
    "getitem": "{0}[{index}]",
}

SIGMOID = '''
def sigmoid(x, out=None, one=1):
    """1 / (1 + exp(-x)); of a small x it is done sooner with an array of ones than with the number"""
    y = np.empty_like(x) if out is None else out
    if y.flags.c_contiguous:
        np.negative(x, out=y)
    else:  # which NumPy 2.4 negates wrongly in place, for some strides
        np.multiply(x, -1, out=y)
    np.exp(y, out=y)
    np.add(y, one, out=y)
    return np.divide(one, y, out=y)
'''
ERF = '''
def erf(x, out=None):
    """The error function, number by number."""
    y = np.empty_like(x) if out is None else out
    y[...] = np.frompyfunc(math.erf, 1, 1)(x)
    return y
'''
SCATTER = '''
def scatter(g, index, axis, out):
    """out[i, index[i, k]] is the sum of all g[i, k]; zero elsewhere"""
    out[...] = 0
    for k in range(index.shape[axis]):
        place = np.take(index, [k], axis)
        np.put_along_axis(out, place, np.take_along_axis(out, place, axis) + np.take(g, [k], axis), axis)
'''
COLUMNS = '''
def columns(x, out):
    """(T, K, B) -> (K, T B): the columns of all steps side by side, for one product over all of them"""
    T, K, B = x.shape
    if B == 1:
        return x[:, :, 0].T
    out.reshape(K, T, B)[...] = x.transpose(1, 0, 2)
    return out
'''
PRODUCTS = '''
def products(W, x, out):
    """W @ x[t] for every t; of single columns it is one product of matrices."""
    if x.shape[2] == 1:
        np.matmul(x[:, :, 0], W.T, out=out[:, :, 0])
    else:
        np.matmul(W, x, out=out)
'''

ROWS = '''
def rows(x):
    """(T, K, B) -> (T B, K), in memory of its own"""
    T, K, B = x.shape
    out = np.empty((T, B, K), x.dtype)
    out[...] = x.transpose(0, 2, 1)
    return out.reshape(T * B, K)
'''


def number(x: Any) -> str:
    """A number as source."""
    if isinstance(x, float) and math.isinf(x):
        return "np.inf" if x > 0 else "-np.inf"
    return repr(x)


def items(texts: Iterable[str]) -> str:
    """What stands between the brackets of a tuple."""
    texts = list(texts)
    return ", ".join(texts) + ("," if len(texts) == 1 else "")


def call(op: str, args: list[str], static: dict[str, Any], out: str, last: bool = False) -> list[str]:
    """Source that writes an operation's result to `out` (or, if that is "", an expression).

    `last`: rows are the last dimension there, and what is summed over the one before it.
    """
    fields = {**static, "all": ", ".join(args), "end": f", out={out}" if out else ""}
    if "index" in static:
        fields["index"] = index_text(static["index"])
    if op in REDUCTIONS and last and out:
        fields["axis"] = -2
    if op in CALLS:
        return [CALLS[op].format(*args, **fields)]
    if op in VIEWS:
        fields["shape"] = f"{out}.shape" if out else fields.get("shape")
        text = VIEWS["copy" if out and op == "expand" else op].format(*args, **fields)
        return [f"np.copyto({out}, {text})" if out else text]
    if op == "cast" and not out:
        return [f"{args[0]}.astype('{static['dtype']}')"]
    if op == "cast":
        return [f"np.copyto({out}, {args[0]}, casting='unsafe')"]
    if op == "where" and not out:
        return [f"np.where({fields['all']})"]
    if op == "where":
        return [f"np.copyto({out}, {args[2]})", f"np.copyto({out}, {args[1]}, where={args[0]})"]
    if op == "scatter":
        return [f"scatter({args[0]}, {args[1]}, {static['axis']}, out={out})"]
    if op == "put" and out:
        return [f"np.copyto({out}, {args[0]})", f"{out}[{fields['index']}] = {args[1]}"]
    if op == "place" and out:
        return [f"{out}[...] = 0", *additions(out, args, static["indices"])]
    raise Untraceable(f"{op} has no form in compiled source yet")


def additions(out: str, parts: list[str], indices: list[Any]) -> list[str]:
    """Statements that add parts to their places; those of an index of arrays may be named twice."""
    texts = [index_text(index) for index in indices]
    add = "{0}[{1}] += {2}"
    if any("np.array" in text for text in texts):
        add = "np.add.at({0}, np.index_exp[{1}], {2})"
    return [add.format(out, text, part) for text, part in zip(texts, parts)]


def wrapped(text: str, width: int = 120) -> list[str]:
    """A long line broken between its items (not between the numbers of an index)."""
    indent = " " * (len(text) - len(text.lstrip()) + 8)
    lines = []
    while len(text) > width and (
        cuts := [m.end() for m in re.finditer(r", (?!\d)", text[:width]) if m.end() > len(indent)]
    ):
        lines.append(text[: cuts[-1]].rstrip())
        text = indent + text[cuts[-1] :]
    return [*lines, text]
