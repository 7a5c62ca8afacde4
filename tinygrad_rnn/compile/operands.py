"""Operands: the names and places of values, as source.

    a row value, in the loop      d_a_o                    a view of this step
    the same, over all steps      w.d_a[:, 18:24]          a slice of the whole buffer
    a weight                      weight_hh.T              computed once, where it is first used
    a sum over all rows           np.matmul(d_a_columns, x)

Next: emit.py.
"""

from __future__ import annotations

import keyword
import math
from typing import Any

from .fission import Plan
from .lines import External
from .numpy_text import COLUMNS, NAMES, call, number
from .spots import Spot, fresh, index_text
from .storage import Storage
from .symbols import Value


class Operands:
    """Names and places in the source of one plan."""

    def __init__(self, plan: Plan, storage: Storage, reverse: bool, title: str) -> None:
        self.plan, self.storage, self.reverse, self.title = plan, storage, reverse, title
        self.last = storage.last
        self.names: dict[int, str] = {}
        self.taken: set[str] = {"w", "t", "T", "B", "n", "s", "e", "np", "math", *NAMES}
        self.helpers: dict[str, str] = {}
        self.arrays: list[Any] = []  # constants that the step brought along: passed as arguments
        self.external_names: dict[int, str] = {}  # of what the caller gives: x, and gradients of outputs
        self.gradient_names: dict[int, str] = {}
        self.flats: dict[str, str] = {}  # arrays of columns that were made, by the array they are made of
        self.wide: dict[str, tuple[int, Any]] = {}  # their widths and dtypes
        self.loop_views: dict[str, Any] = {}  # the names in each loop, and what they look at
        self.most_ones = 0  # rows of ones that the loops want
        self.name_inputs()

    # --- names

    def unique(self, name: str) -> str:
        """A name that nothing has yet."""
        return fresh(name if name.isidentifier() and not keyword.iskeyword(name) else "v", self.taken)

    def name_inputs(self) -> None:
        """Names of the arguments."""
        step = self.plan.step
        self.x = self.names[id(step.x)] = self.unique("x")
        state_names = [s.name or f"s{k}" for k, s in enumerate(step.states)]
        self.initial = [self.unique(f"{name}0") for name in state_names]
        self.names_of_params: list[str] = []
        for path, v in step.params.items():
            if id(v) not in self.names:
                self.names[id(v)] = self.unique(path.replace(".", "_"))
                self.names_of_params.append(path)
        for k, v in enumerate(v for v in step.values if v.op is None and v.data is not None):
            self.names[id(v)] = self.unique(v.name or f"constant{k}")
            self.arrays.append(v)
        n = len(step.ys)
        self.d_y = [self.unique("d_y" + (str(k) if n > 1 else "")) for k in range(n)]
        self.d_last = [self.unique(f"d_{name}_last") for name in state_names]
        self.constants = [
            self.names[i] for i in dict.fromkeys(id(v) for v in [*step.params.values(), *self.arrays])
        ]
        self.taken |= {f"{name}_columns" for name in (self.x, *self.d_y)}
        self.arguments = set(self.taken)

    # --- the text of operands

    def const(self, v: Value, lines: list[str]) -> str:
        """The name of a constant; the statement that computes it is added to `lines` at its first use."""
        if id(v) not in self.names:
            if v.op == "permute" and v.static["axes"] == (1, 0):
                text = f"{self.operand(v.args[0], lines)}.T"
            else:
                text = call(str(v.op), [self.operand(a, lines) for a in v.args], v.static, "")[0]
            name = self.unique(v.name or "k")
            self.names[id(v)] = name
            lines.append(f"{name} = {text}")
        return self.names[id(v)]

    def operand(self, a: Any, lines: list[str]) -> str:
        """A number or a constant."""
        return self.const(a, lines) if isinstance(a, Value) else number(a)

    def column(self, v: Value, lines: list[str]) -> str:
        """A constant vector as a column, for arrays whose rows are features."""
        if not v.shape or (math.prod(v.shape) == 1 and len(v.shape) == 2):
            return self.const(v, lines)
        key = -id(v)
        if key not in self.names:
            base = self.const(v, lines)
            self.names[key] = self.unique(f"{base}_column")
            lines.append(f"{self.names[key]} = {base}{'.T' if len(v.shape) == 2 else '[:, None]'}")
        return self.names[key]

    def transposed(self, v: Value, lines: list[str]) -> str:
        """The transpose of a constant matrix: of a transpose, the matrix itself."""
        if v.op == "permute":
            return self.const(v.args[0], lines)
        return f"{self.const(v, lines)}.T"

    def whole(self, s: Spot) -> str:
        """A spot over all steps."""
        name = f"w.{s.buffer.name}"
        if s.buffer.scope == "history":
            first = (s.which == "in") != self.reverse
            name += "[:-1]" if first else "[1:]"
        return name + (f"[:, {s.lo}:{s.hi}]" if s.lo is not None else "") + s.chain

    def at_step(self, s: Spot) -> str:
        """A spot at one step, as `workspace` writes it."""
        b, cut = s.buffer, "" if s.lo is None else f"{s.lo}:{s.hi}"
        if self.last:
            if b.scope == "history":
                return f"w.{b.name}[{'t' if (s.which == 'in') != self.reverse else 't + 1'}" + (
                    f", {cut}]" if cut else "]"
                )
            if b.scope == "all":
                return f"w.{b.name}[t" + (f", {cut}]" if cut else "]")
            return f"w.{b.name}" + (f"[{cut}]" if cut else "")
        rows = "s:e" if b.scope == "all" else ":n"
        return f"w.{b.name}[{rows}" + (f", {cut}]" if cut else "]") + s.chain

    def arg(self, a: Any, consts: list[str], reader: Value) -> Any:
        """A spot, a number, or the name of a constant."""
        if not isinstance(a, Value):
            return number(a)
        if a.kind == "const":
            if self.last and reader.op == "matmul":
                return ""
            return self.column(a, consts) if self.last else self.const(a, consts)
        r = self.storage.region(a)
        if id(r.base) in self.storage.spots:
            return self.storage.spot(a)
        return External(id(r.base), r.lo, r.hi, r.chain)

    def all_text(self, a: Any) -> str:
        """An operand over all steps."""
        if isinstance(a, Spot):
            return self.whole(a)
        name: str = self.external_names[a.base]
        cut = f"[:, {a.lo}:{a.hi}]" if a.lo is not None else ""
        return f"{name}{'_columns' if self.last else ''}{cut}{a.chain}"

    # --- results that are sums over rows

    def reduce(self, v: Value, consts: list[str], out: list[str]) -> str:
        """The name of a reduced value; statements are added to `out`."""
        if id(v) in self.names:
            return self.names[id(v)]
        if v.kind != "reduced":
            return self.rows(v, consts, out) if v.kind in ("row", "fold", "turned") else self.const(v, consts)
        rows = [a for a in v.args if isinstance(a, Value) and a.kind in ("row", "fold", "turned")]
        if v.op == "matmul" and rows:
            left, right = v.args[0].args[0], v.args[1]
            a, b = (self.rows(f, consts, out, True) for f in (left, right))
            straight = [
                self.last != self.is_given(f) for f in (left, right)
            ]  # (K, N), as the left factor has to be
            text = f"np.matmul({a}{'' if straight[0] else '.T'}, {b}{'.T' if straight[1] else ''})"
        elif self.last and summed_rows(v.args[0] if v.op == "reshape" else v):
            text = self.total(v.args[0] if v.op == "reshape" else v, v.shape, consts, out)
        elif v.op == "place":
            name = self.unique(v.name or "p")
            first = self.reduce(v.args[0], consts, out)
            out.append(f"{name} = np.zeros({v.shape}, {first}.dtype)")
            for part, index in zip(v.args, v.static["indices"]):
                out.append(
                    f"np.add.at({name}, np.index_exp[{index_text(index)}], {self.reduce(part, consts, out)})"
                )
            self.names[id(v)] = name
            return name
        else:
            args = [self.reduce(a, consts, out) if isinstance(a, Value) else number(a) for a in v.args]
            text = call(str(v.op), args, v.static, "")[0]
        name = self.names[id(v)] = self.unique(v.name or self.gradient_names.get(id(v), "g"))
        out.append(f"{name} = {text}")
        return name

    def total(self, v: Value, shape: tuple[int, ...], consts: list[str], out: list[str]) -> str:
        """Source of a sum over all rows (and features, if it is one number) in a given shape."""
        of, axes = v.args[0], axes_of(v)
        rows = self.rows(of, consts, out, True)
        found = of.shape[1:] if len(axes) == 1 else ()
        if self.is_given(of):
            text = f"np.add.reduce({rows}, axis={axes})"
        else:
            text = f"{rows}.sum({1 if len(axes) == 1 else ''})"
        return text if found == shape else f"{text}.reshape({shape})"

    def is_given(self, v: Value) -> bool:
        """True if `v` is (some columns of) x or the gradient of an output: rows (N, K) in both layouts."""
        return self.last and id(self.storage.region(v).base) not in self.storage.spots

    def rows(self, v: Value, consts: list[str], out: list[str], flat: bool = False) -> str:
        """Rows of all steps, as an operand of a sum over them; in the features-first layout as (K, T B)."""
        if v.kind == "fold":
            return f"{self.rows(v.args[0], consts, out)}.reshape(-1, {', '.join(map(str, v.shape[1:]))})"
        if v.kind == "turned":
            return f"{self.rows(v.args[0], consts, out)}.T"
        r = self.storage.region(v)
        if id(r.base) not in self.storage.spots:
            if self.last:
                cut = f"[:, {r.lo}:{r.hi}]" if r.lo is not None else ""
                return self.external_names[id(r.base)] + cut
            a = External(id(r.base), r.lo, r.hi, r.chain)
            text = self.all_text(a)
        else:
            text = self.whole(self.storage.spot(v))
        if not (self.last and flat):
            return text
        self.helpers["columns"] = COLUMNS
        if text not in self.flats:
            name = self.flats[text] = self.unique(text.split("[")[0].replace("w.", "") + "_columns")
            self.wide[name] = (v.shape[1], v.dtype)
            out.append(f"{name} = columns({text}, out=w.{name})")
        return self.flats[text]


def summed_rows(v: Value) -> bool:
    """True for a sum over rows."""
    return v.op == "sum" and isinstance(v.args[0], Value) and v.args[0].kind in ("row", "fold", "turned")


def axes_of(v: Value) -> tuple[int, ...]:
    """The dimensions that a sum sums over."""
    axis = v.static["axis"]
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
