"""NumPy text: each operation as the call that writes its result to a given place.

    mul(d_h, s) at d_a      becomes     np.multiply(d_h, s, out=d_a)
    where(m, a, b) at y     becomes     np.copyto(y, b); np.copyto(y, a, where=m)

An operation that has no text here makes a cell run eagerly. Next: emit.py.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .kinds import UFUNCS
from .spots import index_text
from .symbols import Untraceable

NAMES = {*UFUNCS.values(), "dot"}  # functions that sources import by name
REDUCTIONS = {"sum": "np.add.reduce", "amax": "np.maximum.reduce", "prod": "np.multiply.reduce"}

SIGMOID = '''
def sigmoid(x, out=None, one=1):
    """1 / (1 + exp(-x)); of a small x it is done sooner with an array of ones than with the number"""
    y = np.negative(x, out=out)
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


def call(op: str, args: list[str], static: dict[str, Any], out: str, last: bool = False) -> list[str]:
    """Source that writes an operation's result to `out` (or, if that is "", an expression)."""
    end = f", out={out}" if out else ""
    put = f"np.copyto({out}, {{}})" if out else "{}"
    joined = ", ".join(args)
    if op in UFUNCS:
        return [f"np.{UFUNCS[op]}({joined}{end})"]
    if op in ("sigmoid", "erf"):
        return [f"{op}({joined}{end})"]
    if op == "monomial":
        return [f"np.power({args[0]}, {number(static['n'])}{end})"]
    if op == "relu":
        return [f"np.maximum({args[0]}, 0{end})"]
    if op in ("matmul", "dot"):
        return [f"np.{op}({joined}{end})"]
    if op in REDUCTIONS:
        axis = (-2 if last else static["axis"]) if out else static["axis"]
        return [f"{REDUCTIONS[op]}({args[0]}, axis={axis}, keepdims={static['keepdims']}{end})"]
    if op == "cumsum":
        return [f"np.cumsum({args[0]}, axis={static['axis']}{end})"]
    if op == "where" and out:
        return [f"np.copyto({out}, {args[2]})", f"np.copyto({out}, {args[1]}, where={args[0]})"]
    if op == "where":
        return [f"np.where({joined})"]
    if op == "cast":
        return [
            f"np.copyto({out}, {args[0]}, casting='unsafe')"
            if out
            else f"{args[0]}.astype('{static['dtype']}')"
        ]
    if op in ("copy", "expand"):
        return [put.format(args[0] if out else f"np.broadcast_to({args[0]}, {static['shape']})")]
    if op == "reshape":
        return [put.format(f"{args[0]}.reshape({f'{out}.shape' if out else static['shape']})")]
    if op == "permute":
        return [put.format(f"{args[0]}.transpose({tuple(static['axes'])})")]
    if op == "getitem":
        return [put.format(f"{args[0]}[{index_text(static['index'])}]")]
    if op == "cat":
        return [f"np.concatenate(({joined},), {static['axis']}{end})"]
    if op == "stack":
        return [f"np.stack(({joined},), {static['axis']}{end})"]
    if op == "place" and out:
        texts = [index_text(i) for i in static["indices"]]
        if any("np.array" in text for text in texts):  # a place may be named twice
            add = [f"np.add.at({out}, np.index_exp[{text}], {a})" for text, a in zip(texts, args)]
        else:
            add = [f"{out}[{text}] += {a}" for text, a in zip(texts, args)]
        return [f"{out}[...] = 0", *add]
    if op == "put" and out:
        return [f"np.copyto({out}, {args[0]})", f"{out}[{index_text(static['index'])}] = {args[1]}"]
    raise Untraceable(f"{op} has no form in compiled source yet")


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
