"""Emit: a plan, and where its values live, as NumPy source.

    row v = mul(d_h, s), v at d_a[t]      becomes      np.multiply(d_h, s, out=d_a)

The program has three functions: `workspace` allocates the buffers and makes, once for a shape, the views that the
loop uses at each step; `forward` and `backward` fill them. In the loop a name stands for the view of this step.
"""

from __future__ import annotations

import keyword
import math
import re
from typing import Any, NamedTuple

from .fission import Plan
from .storage import IN_PLACE, NEVER, Buffer, Spot, Storage, fresh, index_text, slices_of
from .trace import Untraceable, Value

NUMPY = {
    "neg": "negative", "abs": "absolute", "round": "rint", "sub": "subtract", "mul": "multiply", "div": "divide", "pow": "power",
}  # fmt: skip
PLAIN = set(
    "add floor_divide exp expm1 log log1p log2 sqrt sin cos tanh sign floor ceil remainder maximum minimum logaddexp negative absolute subtract "
    "multiply divide power equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
    "isnan isinf isfinite invert bitwise_and bitwise_or bitwise_xor".split()
)
REDUCTIONS = {"sum": "np.add.reduce", "amax": "np.maximum.reduce", "prod": "np.multiply.reduce"}

SIGMOID = '''
def sigmoid(x, out=None):
    """1 / (1 + exp(-x))"""
    y = np.negative(x, out=out)
    np.exp(y, out=y)
    np.add(y, 1, out=y)
    return np.divide(1, y, out=y)
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


class Line(NamedTuple):
    """One call: an operation, its operands (spots or source), and where the result goes."""

    op: str
    args: tuple[Any, ...]
    out: Spot
    static: dict[str, Any]
    value: Value | None


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
    if op in PLAIN or op in NUMPY:
        return [f"np.{NUMPY.get(op, op)}({joined}{end})"]
    if op in ("sigmoid", "erf"):
        return [f"{op}({joined}{end})"]
    if op == "monomial":
        return [f"np.power({args[0]}, {number(static['n'])}{end})"]
    if op == "relu":
        return [f"np.maximum({args[0]}, 0{end})"]
    if op == "matmul":
        return [f"np.matmul({joined}{end})"]
    if op in REDUCTIONS:
        axis = (-2 if last else static["axis"]) if out else static["axis"]
        return [f"{REDUCTIONS[op]}({args[0]}, axis={axis}, keepdims={static['keepdims']}{end})"]
    if op == "cumsum":
        return [f"np.cumsum({args[0]}, axis={static['axis']}{end})"]
    if op == "einsum":
        return [f"np.einsum({','.join(static['terms']) + '->' + static['out']!r}, {joined}{end}, optimize={len(args) > 1})"]
    if op == "where" and out:
        return [f"np.copyto({out}, {args[2]})", f"np.copyto({out}, {args[1]}, where={args[0]})"]
    if op == "where":
        return [f"np.where({joined})"]
    if op == "cast":
        return [f"np.copyto({out}, {args[0]}, casting='unsafe')" if out else f"{args[0]}.astype('{static['dtype']}')"]
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
        basic = all("np.array" not in index_text(i) for i in static["indices"])
        add = [f"{out}[{index_text(i)}] += {a}" if basic else f"np.add.at({out}, np.index_exp[{index_text(i)}], {a})"
               for i, a in zip(static["indices"], args)]  # fmt: skip
        return [f"{out}[...] = 0", *add]
    if op == "put" and out:
        return [f"np.copyto({out}, {args[0]})", f"{out}[{index_text(static['index'])}] = {args[1]}"]
    raise Untraceable(f"{op} has no form in compiled source yet")


class Emitter:
    """The source of one plan."""

    def __init__(self, plan: Plan, storage: Storage, reverse: bool, title: str) -> None:
        self.plan, self.storage, self.reverse, self.title = plan, storage, reverse, title
        self.last = storage.last
        self.names: dict[int, str] = {}
        self.taken: set[str] = {"w", "t", "T", "B", "n", "s", "e", "np", "math"}
        self.helpers: dict[str, str] = {}
        self.arrays: list[Any] = []  # constants that the step brought along: passed as arguments
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
        self.constants = [self.names[i] for i in dict.fromkeys(id(v) for v in [*step.params.values(), *self.arrays])]
        self.taken |= {f"{name}_columns" for name in (self.x, *self.d_y)}
        self.arguments = set(self.taken)

    # --- the text of operands

    def const(self, v: Value, lines: list[str]) -> str:
        """The name of a constant; the statement that computes it is added to `lines` when it is first used."""
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
        if not v.shape or math.prod(v.shape) == 1 and len(v.shape) == 2:
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
                return f"w.{b.name}[{'t' if (s.which == 'in') != self.reverse else 't + 1'}" + (f", {cut}]" if cut else "]")
            if b.scope == "all":
                return f"w.{b.name}[t" + (f", {cut}]" if cut else "]")
            return f"w.{b.name}" + (f"[{cut}]" if cut else "")
        rows = "s:e" if b.scope == "all" else ":n"
        return f"w.{b.name}[{rows}" + (f", {cut}]" if cut else "]") + s.chain

    # --- one part

    def lines_of(self, values: list[Value], consts: list[str], fixed: bool) -> list[Line]:
        """The calls of a part of the program. `fixed`: also the copies at the end of a step."""
        found = []
        for v in values:
            if v.kind != "row" or self.storage.is_view(v):
                continue
            out = self.storage.spot(v)
            if v.op in ("place", "cat") and (cuts := slices_of(v)) and out.chain == "":
                for piece, (lo, hi) in zip(v.args, cuts):
                    start = out.lo or 0
                    target = Spot(out.buffer, out.which, start + lo, start + hi)
                    source = self.arg(piece, consts, v)
                    if source != target:
                        found.append(Line("copy", (source,), target, {}, v))
                continue
            args = [self.arg(a, consts, v) for a in v.args]
            if v.op == "matmul" and self.last:
                args = [self.transposed(v.args[1], consts), args[0]]
            found.append(Line(str(v.op), tuple(args), out, v.static, v))
        return found

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

    def merge(self, lines: list[Line]) -> list[Line]:
        """Make one call of two that do the same to neighbouring slices."""
        i = 0
        lines = list(lines)
        while i < len(lines):
            for j in range(i + 1, len(lines)):
                both = joined(lines[i], lines[j])
                if both is not None and all(independent(lines[j], between) for between in lines[i:j]):
                    lines[i] = both
                    del lines[j]
                    i -= 1
                    break
            i += 1
        return lines

    def part(self, parts: dict[str, list[Value]], name: str, consts: list[str]) -> list[str]:
        """The statements of a part that runs over all steps at once."""
        out = []
        for line in self.merge(self.lines_of(parts[name], consts, False)):
            args = [a if isinstance(a, str) else self.all_text(a) for a in line.args]
            if line.op == "matmul" and self.last:
                self.helpers["products"] = PRODUCTS
                out.append(f"products({args[0]}, {args[1]}, out={self.whole(line.out)})")
            else:
                out += self.say(line, args, self.whole(line.out))
        return out

    def say(self, line: Line, args: list[str], out: str) -> list[str]:
        """A line as source."""
        if line.op in ("sigmoid", "erf"):
            self.helpers[line.op] = SIGMOID if line.op == "sigmoid" else ERF
        return call(line.op, args, line.static, out, self.last)

    def all_text(self, a: Any) -> str:
        """An operand over all steps."""
        if isinstance(a, Spot):
            return self.whole(a)
        name = self.external_names[a.base]
        text = f"{name}_columns" if self.last else name
        return text + (f"[:, {a.lo}:{a.hi}]" if a.lo is not None else "") + a.chain

    # --- the loop

    def loop(self, way: str, consts: list[str]) -> tuple[list[str], list[str], list[str]]:
        """(views of each step, views that are the same at every step, the loop's source)."""
        parts = self.plan.forward if way == "forward" else self.plan.back
        lines = self.merge(self.lines_of(parts["loop"], consts, True))
        for after, target in self.storage.ends[way]:
            source = "0" if after is None else self.storage.spot(after)
            lines.append(Line("copy", (source,), target, {}, after))
        locals_: dict[Any, str] = {}
        views, fixed, externals = [], [], {}
        used = [s for line in lines for s in (*line.args, line.out) if isinstance(s, Spot)]
        for s in dict.fromkeys(used):
            locals_[s] = name = self.unique(self.local_name(s, way))
            if self.last and s.buffer.scope in ("step", "live"):
                fixed.append((name, self.at_step(s)))
            else:
                views.append((name, self.at_step(s)))
        body = []
        for line in lines:
            args = []
            for a in line.args:
                if isinstance(a, External):
                    externals[a.base] = f"{self.external_names[a.base]}_t"
                    cut = "" if a.lo is None else f"[{a.lo}:{a.hi}]" if self.last else f"[:, {a.lo}:{a.hi}]"
                    args.append(externals[a.base] + cut + a.chain)
                else:
                    args.append(locals_[a] if isinstance(a, Spot) else a)
            body += self.say(line, args, locals_[line.out])
        self.loop_views[way] = views
        return self.loop_text(way, views, fixed, externals, body)

    def loop_text(self, way: str, views: Any, fixed: Any, externals: dict[int, str], body: list[str]) -> Any:
        """The loop's header and body."""
        before = [f"{name} = {text}" for name, text in fixed]
        backwards = (way == "back") != self.reverse
        targets, sources = [], []
        for base, name in externals.items():
            outer = self.external_names[base]
            if self.last:
                source = f"{outer}_columns[::-1]" if backwards else f"{outer}_columns"
            else:
                source = f"[{outer}[s:e] for s, e in w.blocks{'[::-1]' if way == 'back' else ''}]"
            targets.append(name)
            sources.append(source)
        names = ", ".join(name for name, _ in views) + ("," if len(views) == 1 else "")
        steps = f"w.{way}_steps"
        if externals:
            head = f"for (({names}), {', '.join(targets)}) in zip({steps}, {', '.join(sources)}):" if views else f"for _, {', '.join(targets)} in zip({steps}, {', '.join(sources)}):"
        else:
            head = f"for {f'({names})' if len(names) > 90 else names or '_'} in {steps}:"
        if not body:
            return before, [], []
        return before, [], wrapped(head) + ["    " + text for text in body]

    def local_name(self, s: Spot, way: str) -> str:
        """The name of what is written last to a spot."""
        held = [v.name for v, where in s.buffer.holds if (where.lo, where.hi, where.which) == (s.lo, s.hi, s.which) and v.name and not s.chain]
        name = held[-1] if held else s.buffer.name
        if s.buffer.scope == "history" and s.which == "next" and s.lo is None and not s.chain:
            return f"{s.buffer.name}_next"
        if s.buffer.scope in ("history", "live") and s.lo is None and not s.chain:
            return s.buffer.name
        if not held and s.lo is not None:
            parts = [v.name for v, where in s.buffer.holds if v.name and where.lo is not None and s.lo <= where.lo and (where.hi or 0) <= (s.hi or 0)]
            views = [n for n in dict.fromkeys(parts)][-3:]
            return "_".join(views) if views else f"{name}_{s.lo}"
        return name

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
            straight = [self.last != self.is_given(f) for f in (left, right)]  # (K, N), as the left factor has to be
            text = f"np.matmul({a}{'' if straight[0] else '.T'}, {b}{'.T' if straight[1] else ''})"
        elif v.op == "sum" and rows and self.last:
            text = f"{self.rows(v.args[0], consts, out, True)}.sum({1 if len(_axes(v)) == 1 else None}).reshape({v.shape})"
            if self.is_given(v.args[0]):
                text = f"np.add.reduce({self.rows(v.args[0], consts, out, True)}, axis={_axes(v)}).reshape({v.shape})"
        elif v.op == "place":
            name = self.unique(v.name or "p")
            first = self.reduce(v.args[0], consts, out)
            out.append(f"{name} = np.zeros({v.shape}, {first}.dtype)")
            for part, index in zip(v.args, v.static["indices"]):
                out.append(f"np.add.at({name}, np.index_exp[{index_text(index)}], {self.reduce(part, consts, out)})")
            self.names[id(v)] = name
            return name
        else:
            args = [self.reduce(a, consts, out) if isinstance(a, Value) else number(a) for a in v.args]
            text = call(str(v.op), args, v.static, "")[0]
        name = self.names[id(v)] = self.unique(v.name or self.gradient_names.get(id(v), "g"))
        out.append(f"{name} = {text}")
        return name

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

    # --- functions

    def forward(self) -> list[str]:
        """The function `forward`."""
        step = self.plan.step
        consts: list[str] = []
        self.external_names = {id(step.x): self.x}
        before = self.part(self.plan.forward, "before", consts)
        fixed, _, loop = self.loop("forward", consts)
        after = self.part(self.plan.forward, "after", consts)
        start = [self.set_state(state, name) for (state, _), name in zip(self.storage.carry["forward"], self.initial)]
        results = [self.output(y) for y in step.ys] + [self.final(state) for state, _ in self.storage.carry["forward"]]
        head = ["def forward(" + ", ".join(["w", self.x, *self.initial, *self.constants]) + "):"]
        text = "\n".join(before + loop + after)
        view = [self.columns_of(self.x)] if self.last and f"{self.x}_columns" in text else []
        return self.function(head, [("", consts + view + start), ("before the loop, for all steps at once", before), ("the loop", fixed + loop),
                                    ("after the loop, for all steps at once", after)], results)  # fmt: skip

    def backward(self) -> list[str]:
        """The function `backward`."""
        step = self.plan.step
        self.names = {k: v for k, v in self.names.items() if v in self.constants or k == id(step.x)}
        self.taken = set(self.arguments)
        self.gradient_names = {id(g): f"d_{path}".replace(".", "_") for path, g in step.d_params.items() if g is not None}
        consts: list[str] = []
        self.external_names = {id(step.x): self.x, **{id(d): n for d, n in zip(step.d_ys, self.d_y) if d is not None}}
        before = self.part(self.plan.back, "before", consts)
        fixed, _, loop = self.loop("back", consts)
        after, results = [], []
        product = step.d_x is not None and self.storage.direct(step.d_x)
        rest = {"after": [v for v in self.plan.back["after"] if not (product and v is step.d_x)]}
        after += self.part(rest, "after", consts)
        if step.d_x is not None:
            results.append(self.gradient_of_x(step.d_x, product, consts, after))
        for d, _ in self.storage.carry["back"]:
            results.append(self.final(d))
        for g in step.d_params.values():
            if g is not None:
                results.append(self.reduce(g, consts, after) if g.kind != "const" else self.const(g, consts))
        start = [self.set_state(d, n) for d, n in zip((d for d, _ in self.storage.carry["back"]), (n for d, n in zip(step.d_nexts, self.d_last) if d is not None))]
        head = ["def backward(" + ", ".join(["w", *self.d_y, *self.d_last, self.x, *self.constants]) + "):"]
        text = "\n".join(before + loop + after)
        views = [self.columns_of(n) for n in (self.x, *self.d_y) if self.last and f"{n}_columns" in text]
        return self.function(head, [("", consts + views + start), ("before the loop, for all steps at once", before), ("the loop", fixed + loop),
                                    ("after the loop, one product for all steps", after)], results)  # fmt: skip

    def gradient_of_x(self, d_x: Value, product: bool, consts: list[str], after: list[str]) -> str:
        """Source of the gradient of x, (N, D)."""
        if product:
            name = self.unique("d_x")
            rows = self.rows(d_x.args[0], consts, after, True)
            after.append(f"{name} = np.matmul({rows}.T, {self.const(d_x.args[1], consts)})")
            return name
        return self.output(d_x)

    def set_state(self, state: Value, name: str) -> str:
        """The statement that puts an initial state in its place."""
        b = self.storage.spots[id(state)].buffer
        place = f"w.{b.name}[{'-1' if self.reverse else '0'}]" if b.scope == "history" else f"w.{b.name}[...]"
        return f"{place} = {name}{'.T' if self.last else ''}"

    def final(self, state: Value) -> str:
        """Source of a last state."""
        b = self.storage.spots[id(state)].buffer
        text = f"w.{b.name}[{'0' if self.reverse else '-1'}]" if b.scope == "history" else f"w.{b.name}"
        return f"{text}.T.copy()" if self.last else f"{text}.copy()"

    def output(self, y: Value) -> str:
        """Source of an output: rows (N, …), in memory of their own."""
        r = self.storage.region(y)
        if id(r.base) not in self.storage.spots:
            a = External(id(r.base), r.lo, r.hi, r.chain)
            name = self.external_names[a.base]
            return f"{name}{f'[:, {a.lo}:{a.hi}]' if a.lo is not None else ''}{a.chain}.copy()"
        text = self.whole(self.storage.spot(y))
        if not self.last:
            return f"{text}.copy()"
        self.helpers["rows"] = ROWS
        return f"rows({text})"

    def columns_of(self, name: str) -> str:
        """The statement that looks at rows (N, K) as (T, K, B)."""
        return f"{name}_columns = {name}.reshape(w.T, w.B, -1).transpose(0, 2, 1)"

    def function(self, head: list[str], sections: list[tuple[str, list[str]]], results: list[str]) -> list[str]:
        """A function of sections, each under its comment."""
        out = wrapped(head[0])
        for title, lines in sections:
            if lines:
                out += ([f"    # --- {title}"] if title else []) + [f"    {text}" for text in lines]
        return [*out, f"    return {', '.join(results)}{',' if len(results) == 1 else ''}"]

    def workspace(self) -> list[str]:
        """The function `workspace`."""
        out = ["def workspace(T, B):" if self.last else "def workspace(sizes, B):", '    """The memory of one run: buffers, and the views of them that each step uses."""']
        out.append("    w = SimpleNamespace(T=T, B=B)" if self.last else "    w = SimpleNamespace(sizes=sizes, B=B)")
        if not self.last:
            out.append("    ends = np.cumsum(sizes).tolist()")
            out.append("    N = sum(sizes)")
            out.append("    w.blocks = [(e - n, e) for n, e in zip(sizes, ends)]" + ("[::-1]" if self.reverse else ""))
        for b in self.storage.buffers:
            if b.holds:
                out.append(f"    w.{b.name} = {self.allocation(b)}  # {self.comment(b)}")
        for name, (width, dtype) in self.wide.items():
            out.append(f"    w.{name} = np.empty(({width}, T * B), {self.dtype(dtype)})")
        for way in ("forward", "back"):
            views = self.loop_views.get(way)
            if views is None:
                continue
            names = ", ".join(text for _, text in views) + ("," if len(views) == 1 else "")
            if self.last:
                order = "reversed(range(T))" if (way == "back") != self.reverse else "range(T)"
                text = f"    w.{way}_steps = [({names}) for t in {order}]"
            else:
                text = f"    w.{way}_steps = [({names}) for s, e in w.blocks{'[::-1]' if way == 'back' else ''} for n in (e - s,)]"
            out += wrapped(text)
        return [*out, "    return w"]

    def allocation(self, b: Buffer) -> str:
        """The call that makes a buffer."""
        tail = ", ".join(map(str, b.tail))
        if self.last:
            shape = {"all": f"T, {tail}, B", "history": f"T + 1, {tail}, B"}.get(b.scope, f"{tail}, B")
        else:
            shape = ", ".join(filter(None, ["N" if b.scope == "all" else "B", tail]))
        comma = "," if shape in ("N", "B") else ""
        return f"np.{'zeros' if b.zeros else 'empty'}(({shape}{comma}), {self.dtype(b.dtype)})"

    def dtype(self, dtype: Any) -> str:
        """A dtype as source; the program's own has a name, so that a reader can change it."""
        return "DTYPE" if dtype == self.plan.step.dtype else repr(str(dtype))

    def comment(self, b: Buffer) -> str:
        """What a buffer holds."""
        names = list(dict.fromkeys(v.name for v, _ in b.holds if v.name))
        kind = {"step": "scratch of one step", "live": "one state", "history": "of every step, the first included", "all": "of every step"}[b.scope]
        if b.way == "back" and b.scope == "live":
            kind = "the gradient that is carried back"
        return (", then ".join(names) + ": " if names else "") + kind

    def source(self) -> str:
        """The whole module."""
        self.loop_views: dict[str, Any] = {}
        self.flats: dict[str, str] = {}
        self.wide: dict[str, tuple[int, Any]] = {}  # arrays of columns, for the products after the loop
        functions = [self.forward()]
        if self.plan.backward:
            functions.append(self.backward())
        functions.insert(0, self.workspace())
        head = [f'"""{self.title}\n"""', "", "import math" if "erf" in self.helpers else "", "from types import SimpleNamespace", "", "import numpy as np", "", f"DTYPE = np.{self.plan.step.dtype}", ""]
        parts = ["\n".join(line for k, line in enumerate(head) if line or head[k - 1])]
        parts += [text.strip("\n") + "\n" for text in self.helpers.values()]
        parts += ["\n".join(f) + "\n" for f in functions]
        return "\n\n".join(parts)


ROWS = '''
def rows(x):
    """(T, K, B) -> (T B, K), in memory of its own"""
    T, K, B = x.shape
    out = np.empty((T, B, K), x.dtype)
    out[...] = x.transpose(0, 2, 1)
    return out.reshape(T * B, K)
'''


class External(NamedTuple):
    """An operand that the caller gave: x, or the gradient of an output."""

    base: int
    lo: int | None
    hi: int | None
    chain: str


def _axes(v: Value) -> tuple[int, ...]:
    axis = v.static["axis"]
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)


def neighbours(a: Any, b: Any) -> Any:
    """Two adjacent slices as one, equal source as itself, else None."""
    if isinstance(a, Spot) and isinstance(b, Spot):
        if a.buffer is b.buffer and a.which == b.which and a.hi is not None and a.hi == b.lo and not a.chain and not b.chain:
            return Spot(a.buffer, a.which, a.lo, b.hi)
        return None
    if isinstance(a, str) and isinstance(b, str):
        return a if a == b and a.replace(".", "").replace("-", "").isdigit() else None
    return None


def joined(a: Line, b: Line) -> Line | None:
    """Two lines as one, if they do the same to neighbouring slices (in either order)."""
    if a.op != b.op or a.op not in IN_PLACE | {"copy"} or len(a.args) != len(b.args) or a.static != b.static:
        return None
    for x, y in ((a, b), (b, a)):
        parts = [neighbours(p, q) for p, q in zip((*x.args, x.out), (*y.args, y.out))]
        if all(p is not None for p in parts):
            return Line(a.op, tuple(parts[:-1]), parts[-1], a.static, a.value)
    return None


def independent(later: Line, earlier: Line) -> bool:
    """True if two lines may change places."""
    reads = [s for s in later.args if isinstance(s, Spot)]
    others = [s for s in earlier.args if isinstance(s, Spot)]
    return not (
        any(s.overlaps(earlier.out) for s in reads) or any(s.overlaps(later.out) for s in others) or later.out.overlaps(earlier.out)
    )


def wrapped(text: str, width: int = 120) -> list[str]:
    """A long line broken between its items (not between the numbers of an index)."""
    indent = " " * (len(text) - len(text.lstrip()) + 8)
    lines = []
    while len(text) > width and (cuts := [m.end() for m in re.finditer(r", (?!\d)", text[:width]) if m.end() > len(indent)]):
        lines.append(text[: cuts[-1]].rstrip())
        text = indent + text[cuts[-1] :]
    return [*lines, text]


def demo(emitter: Emitter, x: Any, states: list[Any], tensors: dict[str, Any], T: int, B: int) -> str:
    """The part of a program that runs when it is started by itself: a check by finite differences, and the time."""
    e = emitter
    if not e.plan.backward or any(t.dtype.kind != "f" for t in (x, *states, *tensors.values())) or e.arrays:
        return ""
    tail = lambda t: "".join(f", {n}" for n in t.shape[1:])  # noqa: E731
    shapes = [f"(T * B{tail(x)})", *(f"(B{tail(s)})" for s in states)]
    shapes += [str(tuple(tensors[path].shape)) for path in e.names_of_params]
    names = [e.x, *e.initial, *(e.names[id(e.plan.step.params[path])] for path in e.names_of_params)]
    step = e.plan.step
    wanted = ([e.x] if step.d_x is not None else []) + [n for n, d in zip(e.initial, step.d_nexts) if d is not None]
    wanted += [e.names[id(step.params[path])] for path, g in step.d_params.items() if g is not None]
    space = "workspace(T, B)" if e.last else "workspace([B] * T, B)"
    after = len(e.initial) + 1
    return DEMO.format(
        T=T, B=B, shapes=", ".join(shapes), names=", ".join(names), wanted=wanted, space=space,
        arguments=f"*gradients, inputs[0], *inputs[{after}:]", seeds=len(step.ys) + len(states), order=names,
    )  # fmt: skip


DEMO = '''
def check(T={T}, B={B}):
    """Compare backward with finite differences along one random direction, in float64; print both, and the time."""
    global DTYPE
    was, DTYPE = DTYPE, np.float64
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) * 0.3 for shape in ({shapes},)]
    w = {space}
    outputs = forward(w, *inputs)
    gradients = [rng.standard_normal(y.shape) for y in outputs]
    found = dict(zip({wanted}, backward(w, {arguments})))
    step = {{name: rng.standard_normal(np.shape(x)) for name, x in zip({order}, inputs)}}

    def loss(size):
        moved = [x + size * step[name] if name in found else x for name, x in zip({order}, inputs)]
        return sum((g * y).sum() for g, y in zip(gradients, forward(w, *moved)))

    by_backward = sum((found[name] * step[name]).sum() for name in found)
    by_differences = (loss(1e-6) - loss(-1e-6)) / 2e-6
    DTYPE = was
    inputs, gradients = [x.astype(DTYPE) for x in inputs], [g.astype(DTYPE) for g in gradients]
    w, best = {space}, float("inf")
    for _ in range(10):
        start = time.perf_counter()
        forward(w, *inputs)
        backward(w, {arguments})
        best = min(best, time.perf_counter() - start)
    print(f"backward {{by_backward:.8g}}, finite differences {{by_differences:.8g}}; forward and backward {{best * 1000:.2f}} ms")


if __name__ == "__main__":
    import time

    check()
'''.lstrip("\n")
