"""Operands: the names and places of values, as source.

    a row value, in the loop      d_a_o                    a view of this step
    the same, over all steps      w.d_a[:, 18:24]          a slice of the whole buffer
    a weight                      weight_hh.T              computed once, where it is first used
    a sum over all rows           np.matmul(d_a_columns, x)

Next: statements.py.
"""

from __future__ import annotations

import builtins
import keyword
import math
import unicodedata
from typing import Any

from .fission import Plan
from .kinds import axes_in
from .numpy_text import COLUMNS, ERF, NAMES, SCATTER, SIGMOID, additions, call, number
from .spots import Spot, fresh, index_text, is_view
from .storage import Storage
from .symbols import Value

START, LOOP = "", "the loop"  # the sections of a function
BEFORE, AFTER = "before the loop, for all steps at once", "after the loop, for all steps at once"
RESERVED = set(dir(builtins)) | set(
    "w t T B n s e N np math ends time SimpleNamespace DTYPE workspace forward backward check "
    "sigmoid erf scatter columns rows products".split()
)
HELPERS = {"sigmoid": SIGMOID, "erf": ERF, "scatter": SCATTER}
SUMMED = ("row", "fold")  # kinds that a sum over rows can be taken of


class Operands:
    """Names and places in the source of one plan."""

    def __init__(self, plan: Plan, storage: Storage, reverse: bool) -> None:
        self.plan, self.storage, self.reverse = plan, storage, reverse
        self.last = storage.last
        self.names: dict[int, str] = {}
        self.taken: set[str] = {*RESERVED, *NAMES}
        self.helpers: dict[str, str] = {}
        self.sections: dict[str, list[str]] = {}  # the statements of the function that is being written
        self.flats: dict[str, str] = {}  # arrays of columns that were made, by the array they are made of
        self.wide: dict[str, tuple[int, Any]] = {}  # their widths and dtypes
        self.loop_views: dict[str, list[str]] = {}  # what the names in each loop look at
        self.most_ones = 0  # rows of ones that the loops want
        self.name_inputs()
        self.begin()
        self.looks = {
            storage.spot(v): v.name
            for v in plan.step.values
            if v.name and v.kind == "row" and is_view(v) and storage.is_placed(v)
        }

    # --- names

    def unique(self, name: str) -> str:
        """A name that nothing has yet."""
        name = unicodedata.normalize("NFKC", name)  # as Python reads it
        return fresh(name if name.isidentifier() and not keyword.iskeyword(name) else "v", self.taken)

    def name_inputs(self) -> None:
        """Names of the arguments."""
        step = self.plan.step
        self.x = self.names[id(step.x)] = self.unique("x")
        self.xs = [self.x, *(self.unique(f"noise{k}") for k in range(len(step.noise)))]
        self.names.update((id(v), name) for v, name in zip(step.noise, self.xs[1:]))
        states = [s.name for s in step.states]
        self.initial = [self.unique(f"{name}0") for name in states]
        self.paths: list[str] = []  # one for each different parameter
        for path, v in step.params.items():
            if id(v) not in self.names:
                self.names[id(v)] = self.unique(v.name)
                self.paths.append(path)
        self.arrays = [v for v in step.values if v.op is None and v.data is not None]  # also arguments
        for k, v in enumerate(self.arrays):
            self.names[id(v)] = self.unique(v.name or f"constant{k}")
        self.constants = [*(step.params[path] for path in self.paths), *self.arrays]
        n = len(step.ys)
        self.d_y = [self.unique("d_y" + (str(k) if n > 1 else "")) for k in range(n)]
        self.d_last = [self.unique(f"d_{name}_last") for name in states]
        for v, name in zip((step.x, *step.noise, *step.d_ys), (*self.xs, *self.d_y)):
            self.taken.add(f"{name}_columns")
            if v is not None:
                self.storage.spots[id(v)].buffer.name = name
        self.arguments = dict(self.names), set(self.taken)

    def begin(self) -> None:
        """Begin a function: what is known are its arguments."""
        self.names, self.taken = dict(self.arguments[0]), set(self.arguments[1])
        self.sections = {title: [] for title in (START, BEFORE, LOOP, AFTER)}

    # --- the text of operands

    def const(self, v: Value) -> str:
        """The name of a constant; at its first use, the statement that computes it is written."""
        if id(v) not in self.names:
            if v.op in ("place", "put"):
                return self.filled(v)
            if v.op == "permute" and v.static["axes"] == (1, 0):
                text = f"{self.const(v.args[0])}.T"
            else:
                args = [self.const(a) if isinstance(a, Value) else number(a) for a in v.args]
                text = self.call(str(v.op), args, v.static, "")[0]
            self.names[id(v)] = self.unique(v.name or "k")
            self.sections[START].append(f"{self.names[id(v)]} = {text}")
        return self.names[id(v)]

    def filled(self, v: Value) -> str:
        """The name of a constant that is filled place by place."""
        parts = [self.const(a) if isinstance(a, Value) else number(a) for a in v.args]
        name = self.names[id(v)] = self.unique(v.name or "k")
        if v.op == "place":
            lines = [f"{name} = np.zeros({v.shape}, {self.dtype(v.dtype)})"]
            lines += additions(name, parts, v.static["indices"])
        else:
            lines = [f"{name} = {parts[0]}.copy()", f"{name}[{index_text(v.static['index'])}] = {parts[1]}"]
        self.sections[START] += lines
        return name

    def dtype(self, dtype: Any) -> str:
        """A dtype as source; the program's own has a name, so that a reader can change it."""
        return "DTYPE" if dtype == self.plan.step.dtype else repr(str(dtype))

    def call(
        self, op: str, args: list[str], static: dict[str, Any], out: str, last: bool = False
    ) -> list[str]:
        """Source of an operation; the function that it calls, if NumPy has none, is written once."""
        if op in HELPERS:
            self.helpers[op] = HELPERS[op]
        return call(op, args, static, out, last)

    def column(self, v: Value) -> str:
        """A constant vector as a column, for arrays whose rows are features."""
        if not v.shape or (math.prod(v.shape) == 1 and len(v.shape) == 2):
            return self.const(v)
        key = -id(v)
        if key not in self.names:
            base = self.const(v)
            self.names[key] = self.unique(f"{base}_column")
            self.sections[START].append(
                f"{self.names[key]} = {base}{'.T' if len(v.shape) == 2 else '[:, None]'}"
            )
        return self.names[key]

    def transposed(self, v: Value) -> str:
        """The transpose of a constant matrix: of a transpose, the matrix itself."""
        return self.const(v.args[0]) if v.op == "permute" else f"{self.const(v)}.T"

    def arg(self, a: Any) -> Spot | str:
        """A spot, a number, or the name of a constant."""
        if not isinstance(a, Value):
            return number(a)
        if a.kind == "const":
            return self.column(a) if self.last else self.const(a)
        return self.storage.spot(a)

    def whole(self, s: Spot) -> str:
        """A spot over all steps."""
        name = f"w.{s.buffer.name}"
        if s.buffer.scope == "given":
            name = f"{s.buffer.name}_columns" if self.last else s.buffer.name
        elif s.buffer.scope == "history":
            name += "[:-1]" if (s.which == "in") != self.reverse else "[1:]"
        return name + tail(s)

    def at_step(self, s: Spot) -> str:
        """A spot at one step, as `workspace` writes it (or, of what the caller gave, the loop)."""
        name, scope = s.buffer.name, s.buffer.scope
        cut = [] if s.lo is None else [f"{s.lo}:{s.hi}"]
        if scope == "given":
            place, index = f"{name}_t", cut if self.last or not cut else [":", *cut]
        elif not self.last:
            place, index = f"w.{name}", ["s:e" if scope == "all" else ":n", *cut]
        elif scope == "history":
            place, index = f"w.{name}", ["t" if (s.which == "in") != self.reverse else "t + 1", *cut]
        else:
            place, index = f"w.{name}", ["t", *cut] if scope == "all" else cut
        return place + (f"[{', '.join(index)}]" if index else "") + s.chain

    # --- results that are sums over rows

    def reduce(self, v: Value) -> str:
        """The name of a value that is made of sums over rows; what computes it is written after the loop."""
        if v.kind == "const" or id(v) in self.names:
            return self.const(v)
        if v.kind in SUMMED:
            return self.rows(v)
        summed = v.args[0] if v.op == "reshape" else v
        if v.op == "place":
            return self.scattered(v)
        if v.op == "matmul" and v.args[1].kind in SUMMED:
            left, right = v.args[0].args[0], v.args[1]
            a = self.columns(left) + ("" if self.last != self.is_given(left) else ".T")  # (K, N)
            b = self.columns(right) + (".T" if self.last != self.is_given(right) else "")  # (N, K)
            text = f"np.matmul({a}, {b})"
        elif self.last and summed.op == "sum" and summed.args[0].kind in SUMMED:
            text = self.total(summed, v.shape)
        else:
            args = [self.reduce(a) if isinstance(a, Value) else number(a) for a in v.args]
            text = self.call(str(v.op), args, v.static, "")[0]
        return self.noted(v, text)

    def noted(self, v: Value, text: str) -> str:
        """The name of a value that `text` computes after the loop."""
        step = self.plan.step
        of = {id(g): step.params[path].name for path, g in step.d_params.items()} | {id(step.d_x): "x"}
        name = v.name or (f"d_{of[id(v)]}" if id(v) in of else "g")
        self.names[id(v)] = self.unique(name)
        self.sections[AFTER].append(f"{self.names[id(v)]} = {text}")
        return self.names[id(v)]

    def scattered(self, v: Value) -> str:
        """The name of zeros to which the parts of `v` are added, each where it belongs."""
        parts = [self.reduce(part) for part in v.args]
        name = self.noted(v, f"np.zeros({v.shape}, {parts[0]}.dtype)")
        self.sections[AFTER] += additions(name, parts, v.static["indices"])
        return name

    def total(self, v: Value, shape: tuple[int, ...]) -> str:
        """Source of a sum over all rows (and features, if it is one number) in a given shape."""
        of, axes = v.args[0], axes_in(v.static, v.args)
        found = of.shape[1:] if len(axes) == 1 else ()
        if self.is_given(of):
            text = f"np.add.reduce({self.columns(of)}, axis={axes})"
        else:
            text = f"{self.columns(of)}.sum({1 if len(axes) == 1 else ''})"
        return text if found == shape else f"{text}.reshape({shape})"

    def is_given(self, v: Value) -> bool:
        """True if `v` is (some columns of) x or the gradient of an output: rows (N, K) in both layouts."""
        return self.last and self.storage.spot(v).buffer.scope == "given"

    def rows(self, v: Value) -> str:
        """Rows of all steps."""
        if v.kind == "fold":
            return f"{self.rows(v.args[0])}.reshape(-1, {', '.join(map(str, v.shape[1:]))})"
        s = self.storage.spot(v)
        return s.buffer.name + tail(s) if s.buffer.scope == "given" else self.whole(s)

    def columns(self, v: Value) -> str:
        """Rows of all steps, as a factor of a sum over them; in the features-first layout as (K, T B)."""
        text = self.rows(v)
        if not self.last or self.is_given(v):
            return text
        if text not in self.flats:
            self.helpers["columns"] = COLUMNS
            name = self.flats[text] = self.unique(text.split("[")[0].replace("w.", "") + "_columns")
            self.wide[name] = (v.shape[1], v.dtype)
            self.sections[AFTER].append(f"{name} = columns({text}, out=w.{name})")
        return self.flats[text]


def tail(s: Spot) -> str:
    """What to write behind an array of rows to see a spot of it."""
    return ("" if s.lo is None else f"[:, {s.lo}:{s.hi}]") + s.chain
