"""Trace: run one step of a cell on symbols, and write down what it did.

A `Symbol` is an array of which only shape and dtype are known. The cell's own code runs on tensors
made of symbols; every primitive it calls is noted as a `Value`. Then the engine's own backward runs on
the result: its rules are the same primitives, so they are noted in the same way. For `h = tanh(a + h @ W.T)`:

    forward                            backward, from d_h (what arrives from the output and the next step)
      v1 = permute(W)  (1, 0)            v5 = mul(h, h)
      v2 = matmul(h, v1)                 v6 = sub(1, v5)
      v3 = add(a, v2)                    d_a = mul(d_h, v6)
      h  = tanh(v3)                      d_h = matmul(d_a, W), d_W = matmul(permute(d_a), h)

There is no second table of derivatives. The step is run on ROWS sequences, a prime that no weight has as
a size, so that a shape tells which values have a row for each sequence. Of every value we note its `kind`:

    const     from parameters and numbers only
    row       a row for each sequence, each computed from that row alone
    fold      a row made into several (R n, k): only a sum over all rows may follow
    turned    rows as columns (k, R): likewise
    stacked   several rows below each other: likewise
    reduced   a sum over rows, such as the gradient of a weight, and what is linear in it

Whatever mixes rows otherwise is `Untraceable`. Next: fission.py.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.engine import run
from ..autograd.gradmode import enable_grad, mode, no_grad
from ..autograd.primitive import REGISTRY, record, user_line
from ..nn.cells import Cell
from ..nn.module import Module
from ..nn.loop import advance
from ..ops.protocol import FUNCTIONS
from ..random import default_generator
from ..tensor import Memory, Tensor

PRIMES = (13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)
ELEMENTWISE = set(
    "neg abs exp expm1 log log1p log2 sqrt sin cos tanh sigmoid erf sign floor ceil round add sub mul div remainder pow "
    "maximum minimum logaddexp relu floor_divide where monomial cast negative absolute subtract multiply divide power equal not_equal less "
    "less_equal greater greater_equal logical_and logical_or logical_xor logical_not isnan isinf isfinite invert "
    "bitwise_and bitwise_or bitwise_xor".split()
)
LINEAR = set("permute reshape add sub neg mul div cast sum expand getitem place matmul".split())


OF_VALUES = {np.all, np.any, np.argmax, np.argmin, np.argsort, np.sort, np.allclose, np.array_equal}


class Untraceable(Exception):
    """This cell cannot be compiled; the message names the operation, and the line where there is one."""


class Value:
    """One array of the program: an input (`op` is None), or what operation `op` makes of `args`."""

    def __init__(self, op: str | None, args: tuple[Any, ...], static: dict[str, Any], shape: Any, dtype: Any, kind: str) -> None:
        self.op, self.args, self.static, self.shape, self.dtype, self.kind = op, args, static, shape, dtype, kind
        self.name = ""
        self.data: Any = None  # the tensor, of a constant that the step brought along

    def __repr__(self) -> str:
        return f"{self.name or '·'}{self.shape} = {self.op}({', '.join(getattr(a, 'name', '') or str(a) for a in self.args)})"


class Symbol(np.ndarray[Any, Any]):
    """An array without values. Asking for one is an error; NumPy's functions note themselves."""

    value: Any = None
    trace: Any = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        trace = next(x.trace for x in inputs if isinstance(x, Symbol) and x.trace is not None)
        if method != "__call__" or kwargs:
            raise Untraceable(f"np.{ufunc.__name__}.{method} on values, at {user_line()}")
        return trace.symbol(trace.note(ufunc.__name__, ufunc, inputs, {}))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        def as_tensors(x: Any) -> Any:
            if isinstance(x, Symbol):
                return x.trace.tensor(x.trace.value_of(x))
            return type(x)(as_tensors(i) for i in x) if isinstance(x, (list, tuple)) else x

        if function not in FUNCTIONS or function in OF_VALUES:
            raise Untraceable(f"np.{function.__name__} on values, at {user_line()}")
        return FUNCTIONS[function](*as_tensors(args), **{k: as_tensors(v) for k, v in kwargs.items()})

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """The symbol in another dtype."""
        if np.dtype(dtype) == self.dtype:
            return self
        cast = lambda x, dtype, was: x.astype(dtype)  # noqa: E731
        return self.trace.symbol(self.trace.note("cast", cast, (self,), {"dtype": np.dtype(dtype), "was": self.dtype}))


def _no_value(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Untraceable(f"{name} asks for a value (a branch or number that depends on data), at {user_line()}")

    return refuse


def _as_tensor(name: str) -> Callable[..., Any]:
    def method(self: Symbol, *args: Any) -> Any:
        return getattr(self.trace.tensor(self.trace.value_of(self)), name)(*args)

    return method


for _name in "item tolist all any copy argsort nonzero max min __bool__ __float__ __int__ __index__ __setitem__".split():
    setattr(Symbol, _name, _no_value(_name.strip("_")))
for _name in "swapaxes reshape transpose squeeze sum __getitem__".split():  # rules call them on values without a gradient
    setattr(Symbol, _name, _as_tensor(_name))


class Trace:
    """Notes what is done to symbols. While it is the watch of this thread, `apply` calls it instead of NumPy."""

    def __init__(self, rows: int, codes: set[Any], real: bool) -> None:
        self.rows, self.codes, self.real = rows, codes, real
        self.values: list[Value] = []
        self.known: dict[Any, Value] = {}  # an operation done twice on the same values is done once
        self.kept: dict[int, tuple[Any, Value]] = {}  # arrays that the step brought along
        self.frames: dict[int, Any] = {}

    # --- symbols

    def input(self, name: str, shape: tuple[int, ...], dtype: Any, requires_grad: bool) -> Tensor:
        """A new input of the program, as a tensor."""
        value = Value(None, (), {}, shape, np.dtype(dtype), "row" if shape[:1] == (self.rows,) else "const")
        value.name = name
        self.values.append(value)
        tensor = self.tensor(value)
        tensor.requires_grad = requires_grad
        return tensor

    def symbol(self, value: Value) -> Symbol:
        """The symbol of a value."""
        numbers = mixture(value.shape, value.dtype) if self.real else dummy(value)
        symbol: Symbol = numbers.view(Symbol)
        symbol.value, symbol.trace = value, self
        return symbol

    def tensor(self, value: Value) -> Tensor:
        """A tensor around a symbol."""
        tensor: Tensor = object.__new__(Tensor)
        tensor.array, tensor.memory = self.symbol(value), Memory()
        return tensor

    # --- notes

    def __call__(self, primitive: Any, inputs: Any, static: dict[str, Any]) -> Tensor:
        """In the place of `apply`: note the operation."""
        self.look_at_names()
        arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
        out = self.tensor(self.note(primitive.name, primitive.forward, arrays, static))
        if mode.enabled and any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
            record(primitive, inputs, arrays, static, out)
        return out

    def note(self, op: str, forward: Callable[..., Any], inputs: Any, static: dict[str, Any]) -> Value:
        """The value of an operation."""
        if any(isinstance(i, Symbol) for s in static.values() for i in (s if isinstance(s, tuple) else (s,))):
            raise Untraceable(f"{op}: an index depends on data, at {user_line()}")
        args = tuple(self.value_of(x) for x in inputs)
        key = (op, *(id(a) if isinstance(a, Value) else (type(a), a) for a in args), repr(static))
        if key in self.known and "array" not in key[-1]:
            return self.known[key]
        with np.errstate(all="ignore"):
            y = forward(*[dummy(a) if isinstance(a, Value) else a for a in args], **static)
        value = self.known[key] = self.made(op, args, static, np.shape(y), np.asarray(y).dtype)
        return value

    def made(self, op: str, args: tuple[Any, ...], static: dict[str, Any], shape: tuple[int, ...], dtype: Any) -> Value:
        """A value that is neither trivial nor mixes rows."""
        values = [a for a in args if isinstance(a, Value)]
        first = values[0] if values else None
        if op == "permute" and first is not None:
            if first.op == "permute":
                inner = first.static["axes"]
                return self.made(op, first.args, {"axes": tuple(inner[i] for i in static["axes"])}, shape, dtype)
            if tuple(static["axes"]) == tuple(range(len(shape))):
                return first
        if op in ("reshape", "expand") and first is not None and first.shape == shape:
            return first
        if op == "cat" and axes_in(static, values) == (0,) and all(v.op == "permute" and v.kind == "turned" for v in values):
            return self.turned_cat([v.args[0] for v in values], shape, dtype)
        kind = kind_of(self.rows, op, values, static, shape)
        if kind == "split":  # [a₁; a₂]ᵀ [g₁; g₂] = a₁ᵀ g₁ + a₂ᵀ g₂
            return self.split(values, dtype)
        value = Value(op, args, static, shape, dtype, kind)
        self.values.append(value)
        return value

    def turned_cat(self, values: list[Value], shape: tuple[int, ...], dtype: Any) -> Value:
        """[aᵀ; bᵀ] = [a b]ᵀ"""
        static = {"axis": 1, "sizes": [v.shape[1] for v in values]}
        wide = self.made("cat", tuple(values), static, shape[::-1], dtype)
        return self.made("permute", (wide,), {"axes": (1, 0)}, shape, dtype)

    def split(self, values: list[Value], dtype: Any) -> Value:
        """The product of two stacks as a sum of products."""
        total: Any = None
        for a, g in zip(values[0].args[0].args, values[1].args):
            turned = self.made("permute", (a,), {"axes": (1, 0)}, a.shape[::-1], dtype)
            shape = (a.shape[1], g.shape[1])
            part = self.made("matmul", (turned, g), {}, shape, dtype)
            total = part if total is None else self.made("add", (total, part), {}, shape, dtype)
        return total  # type: ignore[no-any-return]

    def value_of(self, x: Any) -> Any:
        """A value for an argument; numbers stand for themselves."""
        if isinstance(x, Symbol):
            if x.value is None:
                raise Untraceable(f"a view of a value was taken outside the operations that can be traced, at {user_line()}")
            return x.value
        if isinstance(x, np.generic):
            x = x.item()
        if isinstance(x, np.ndarray):
            return self.brought(x)
        if isinstance(x, float) and math.isnan(x):
            raise Untraceable(f"a number was computed from values that are not known yet, at {user_line()}")
        return x

    def brought(self, array: Any) -> Any:
        """A constant that the step brought along: a number, or the same number in every row, or a small array."""
        if id(array) in self.kept:
            return self.kept[id(array)][1]
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise Untraceable(f"an array was computed from values that are not known yet, at {user_line()}")
        if array.shape == ():
            return array.item()
        if self.rows in array.shape:
            first = array.reshape(-1)[0]
            if array.shape[0] != self.rows or self.rows in array.shape[1:] or (array != first).any():
                raise Untraceable(
                    f"an array {array.shape} with a row for each sequence that comes from no input (random numbers?), at {user_line()}"
                )
            one = Value(None, (), {}, (1,) * array.ndim, array.dtype, "const")
            one.data = np.full((1,) * array.ndim, first)
            self.values.append(one)
            return self.made("expand", (one,), {"shape": array.shape}, array.shape, array.dtype)
        value = Value(None, (), {}, array.shape, array.dtype, "const")
        value.data = array
        self.values.append(value)
        self.kept[id(array)] = (array, value)
        return value

    # --- names

    def look_at_names(self) -> None:
        """Name values after the variables of `project` and `step` that hold them."""
        frame = sys._getframe(2)
        for _ in range(12):
            if frame is None:
                break
            if frame.f_code in self.codes:
                self.frames[id(frame)] = frame
                self.name_locals(frame)
                break
            frame = frame.f_back  # type: ignore[assignment]

    def name_locals(self, frame: Any) -> None:
        """Give the variables of a frame to the values they hold."""
        for name, x in frame.f_locals.items():
            array = getattr(x, "array", None)
            if isinstance(array, Symbol) and array.value is not None and not array.value.name:
                array.value.name = name
                if x.node is not None and x.requires_grad:
                    x.register_hook(lambda g, value=array.value: name_gradient(g, value))


def name_gradient(g: Tensor, of: Value) -> None:
    """The gradient of a value called x is d_x."""
    value = g.array.value if isinstance(g.array, Symbol) else None
    if value is not None and not value.name and of.name:
        value.name = f"d_{of.name}"


def dummy(value: Value) -> Any:
    """An array of the value's shape and dtype, in the memory of one number: NaN, which no one takes for a result."""
    filler = np.nan if value.dtype.kind == "f" else 0x5EA1 if value.dtype.itemsize > 1 else 1
    return np.broadcast_to(np.asarray(filler, value.dtype), value.shape)


def mixture(shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers of both signs, no two rows alike: whatever code takes for a result of its own will not be the same twice."""
    numbers = np.sin(np.arange(1, 1 + math.prod(shape)) * 1.7)
    return ((numbers > 0.1) if dtype.kind == "b" else numbers * (1 if dtype.kind == "f" else 100)).astype(dtype).reshape(shape)


# --- kinds


def kind_of(rows: int, op: str, values: list[Value], static: dict[str, Any], shape: tuple[int, ...]) -> str:
    """The kind of a new value; Untraceable if the operation mixes rows."""
    kinds = {v.kind for v in values}
    leads = shape[:1] == (rows,) and rows not in shape[1:]
    if kinds <= {"const"}:
        if rows in shape and not (op == "expand" and leads):
            raise mixes(op, values)
        return "row" if rows in shape else "const"
    if "reduced" in kinds:
        factors = [v.kind for v in values] if op in ("mul", "div", "matmul") else []
        if op not in LINEAR or not kinds <= {"const", "reduced"} or rows in shape or factors.count("reduced") > 1:
            raise mixes(op, values)
        return "reduced"
    if op == "matmul":
        return product_kind(values, leads)
    if op == "einsum":
        return einsum_kind(values, static, leads)
    if op == "sum" and 0 in axes_in(static, values) and kinds <= {"row", "fold"}:
        return "reduced"
    if op == "cat" and axes_in(static, values) == (0,) and kinds == {"row"}:
        return "stacked"
    if op == "permute" and len(shape) == 2 and kinds <= {"row", "fold", "stacked"}:
        return "turned"
    if op == "reshape" and kinds == {"row"} and not leads and fold_of(values[0], rows, shape):
        return "fold"
    if kinds <= {"row", "const"} and leads and keeps_rows(op, values, static, shape):
        return "row"
    raise mixes(op, values)


def product_kind(values: list[Value], leads: bool) -> str:
    """The kind of a product."""
    a, b = values
    if a.kind == "turned" and b.kind in ("row", "fold", "stacked") and len(b.shape) == 2:
        stacks = (a.args[0].kind == "stacked") + (b.kind == "stacked")
        if stacks == 1 or (stacks and [x.shape[0] for x in a.args[0].args] != [x.shape[0] for x in b.args]):
            raise mixes("matmul", values)
        return "split" if stacks else "reduced"
    batched = len(a.shape) >= 3 and len(a.shape) == len(b.shape)
    if leads and a.kind == "row" and (b.kind == "const" and len(b.shape) <= 2 and len(a.shape) > 1 or b.kind == "row" and batched):
        return "row"
    raise mixes("matmul", values)


def einsum_kind(values: list[Value], static: dict[str, Any], leads: bool) -> str:
    """The kind of an einsum: the letter of the rows must be one, and must stand first."""
    letters = {t[:1] for t, v in zip(static["terms"], values) if v.kind == "row"}
    others = "".join(t[1:] if v.kind == "row" else t for t, v in zip(static["terms"], values))
    letter = next(iter(letters))
    if len(letters) == 1 and letter not in others and {v.kind for v in values} <= {"row", "const"}:
        if letter not in static["out"]:
            return "reduced"
        if static["out"][0] == letter and leads:
            return "row"
    raise mixes("einsum", values)


def keeps_rows(op: str, values: list[Value], static: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """True if row i of the result is made of row i of the inputs."""
    if op in ELEMENTWISE:
        return all(len(v.shape) == len(shape) if v.kind == "row" else len(v.shape) < len(shape) or v.shape[0] == 1 for v in values)
    if op in ("sum", "amax", "prod", "cumsum", "cat", "stack"):
        return 0 not in axes_in(static, values, op == "stack")
    if op in ("reshape", "expand"):
        return len(values[0].shape) == len(shape) or op == "reshape"
    if op == "permute":
        return bool(static["axes"][0] == 0)
    if op == "getitem":
        return whole_rows(static["index"], len(values[0].shape))
    if op == "place":
        return all(whole_rows(i, len(shape)) for i in static["indices"]) and all(v.kind == "row" for v in values)
    if op == "put":
        return whole_rows(static["index"], len(shape)) and values[0].kind == "row"
    return False


def whole_rows(index: Any, ndim: int) -> bool:
    """True if an index takes dimension 0 whole."""
    index = index if isinstance(index, tuple) else (index,)
    if index and index[0] is Ellipsis:
        return all(isinstance(i, (slice, int)) for i in index[1:]) and len(index) - 1 < ndim
    return bool(index) and is_whole(index[0])


def fold_of(value: Value, rows: int, shape: tuple[int, ...]) -> bool:
    """True if `shape` makes several rows of each."""
    return any(shape == (rows * math.prod(value.shape[1:j]), *value.shape[j:]) for j in range(1, len(value.shape)))


def mixes(op: str, values: list[Value]) -> Untraceable:
    """The error for an operation between rows, or one of which that is not known."""
    shapes = " and ".join(str(v.shape) for v in values)
    return Untraceable(f"{op} of {shapes} may mix rows (dimension 0 are the sequences, each on its own), at {user_line()}")


def axes_in(static: dict[str, Any], values: list[Value], more: int = 0) -> tuple[int, ...]:
    """The dimensions that an operation names, counted from the front (`more`: how many the result has in addition)."""
    axis, n = static["axis"], len(values[0].shape) + more
    return tuple(i % n for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def is_whole(index: Any) -> bool:
    """True for the slice that takes everything."""
    return isinstance(index, slice) and index.start in (None, 0) and index.stop is None and index.step in (None, 1)


# --- a whole step


class Step:
    """One step and its backward, as values. Trees of states are flat lists here."""

    def __init__(self) -> None:
        self.dtype: Any = None
        self.x: Any = None
        self.states: list[Value] = []
        self.params: dict[str, Value] = {}
        self.ys: list[Value] = []
        self.nexts: list[Value] = []
        self.d_ys: list[Any] = []  # None: no gradient passes there
        self.d_nexts: list[Any] = []
        self.d_x: Any = None
        self.d_states: list[Any] = []
        self.d_params: dict[str, Any] = {}
        self.values: list[Value] = []
        self.forward_count = 0
        self.y_tree: Any = None
        self.state_tree: Any = None
        self.rows = 0


def flat(tree: Any) -> list[Any]:
    """The leaves of a state."""
    return [leaf for part in tree for leaf in flat(part)] if isinstance(tree, tuple) else [tree]


def unflat(tree: Any, leaves: Any) -> Any:
    """A state of the form of `tree`, from an iterator over leaves."""
    if not isinstance(tree, tuple):
        return next(leaves)
    parts = [unflat(part, leaves) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def members(module: Module, prefix: str = "") -> dict[str, Tensor]:
    """All tensors that a cell has, by path: parameters, buffers and plain attributes."""
    found = {}
    for source in (vars(module), module._parameters, module._buffers):
        found.update({prefix + name: x for name, x in source.items() if isinstance(x, Tensor)})
    for name, child in module._modules.items():
        if child is not None:
            found.update(members(child, f"{prefix}{name}."))
    return found


def twin_of(module: Any, tensors: dict[int, Tensor], memo: dict[int, Any]) -> Any:
    """The same module over other tensors, so that nothing that `step` does is seen outside."""
    if isinstance(module, Tensor):
        return tensors.get(id(module), module)
    if isinstance(module, dict):
        return type(module)((k, twin_of(v, tensors, memo)) for k, v in module.items())
    if isinstance(module, (list, tuple)) and not hasattr(module, "_fields"):
        return type(module)(twin_of(v, tensors, memo) for v in module)
    if not isinstance(module, Module):
        return module
    if id(module) not in memo:
        memo[id(module)] = twin = type(module).__new__(type(module))
        vars(twin).update({k: twin_of(v, tensors, memo) for k, v in vars(module).items()})
    return memo[id(module)]


def trace(cell: Cell, x: Any, state: Any, wants: tuple[bool, ...], backward: bool) -> Step:
    """One step of `cell` on symbols shaped like x (N, ...) and `state`; wants[0]: the gradient of x, wants[1]: of any state."""
    tensors = members(cell)
    sizes = {n for t in [x, *flat(state), *tensors.values()] for n in t.shape[:1] + t.shape[1:]} | set(x.shape[1:])
    first, second = [r for r in PRIMES if not any(n % r == 0 for n in sizes if n)][:2]
    before = default_generator.get_state()
    try:
        step = run_step(cell, tensors, x, state, wants, backward, first, True)
        again = run_step(cell, tensors, x, state, wants, False, second, False)
    finally:
        drawn = default_generator.get_state().array.tobytes() != before.array.tobytes()
        if drawn:
            default_generator.set_state(before)
    if drawn:
        raise Untraceable("step draws random numbers")
    if not same(step, again):
        raise Untraceable("step does something else when it is run again, or with another number of sequences")
    return step


def run_step(cell: Cell, tensors: dict[str, Tensor], x: Any, state: Any, wants: Any, backward: bool, rows: int, first: bool) -> Step:
    """Trace the step, and its backward."""
    step = Step()
    codes = {getattr(type(cell), name).__code__ for name in ("step", "project")}
    trace = Trace(rows, codes, not first)
    inputs: dict[int, Tensor] = {}
    for path, t in tensors.items():
        if id(t) not in inputs:
            if t.node is not None:
                raise Untraceable(f"{path} is the result of an operation, not a parameter or a constant")
            inputs[id(t)] = trace.input(path.replace(".", "_"), t.shape, t.dtype, backward and bool(t.requires_grad))
        step.params[path] = inputs[id(t)].array.value  # type: ignore[attr-defined]
    twin = twin_of(cell, inputs, {})
    data = trace.input("x", (rows, *x.shape[1:]), x.dtype, backward and wants[0])
    if rows in data.shape[1:]:
        raise Untraceable("sizes too unlucky to trace")
    live = [trace.input("", (rows, *s.shape[1:]), s.dtype, backward and s.dtype.kind == "f") for s in flat(state)]
    step.x, step.states, step.rows = value_in(data), [value_in(s) for s in live], rows
    step.dtype = next((s.dtype for s in flat(state) if s.dtype.kind == "f"), x.dtype)
    before = mode.anomaly
    mode.anomaly = trace
    try:
        with enable_grad():
            y, following = advance(twin, twin.project(data), unflat(state, iter(live)))
        for frame in trace.frames.values():
            trace.name_locals(frame)
        if shape_of(following) != shape_of(state):
            raise Untraceable(f"step makes a state of the form {shape_of(following)} from one of {shape_of(state)}")
        step.state_tree, step.y_tree = each_none(state), each_none(y)
        step.ys = [as_row(trace, t, "output") for t in flat(y)]
        step.nexts = [as_row(trace, t, "state") for t in flat(following)]
        for s, n in zip(step.states, step.nexts):
            if s.shape != n.shape or s.dtype != n.dtype:
                raise Untraceable(f"step makes a state {n.shape[1:]} {n.dtype} from one of {s.shape[1:]} {s.dtype}")
        step.forward_count = len(trace.values)
        if backward:
            with no_grad():
                run_backward(trace, step, flat(y), flat(following), data, live, inputs, tensors)
    finally:
        mode.anomaly = before
    step.values = trace.values
    return step


def run_backward(trace: Trace, step: Step, ys: Any, nexts: Any, data: Any, live: Any, inputs: Any, tensors: Any) -> None:
    """The engine's backward, on symbols."""
    roots, seeds = [], []
    for group, found, prefix in ((ys, step.d_ys, "d_y"), (nexts, step.d_nexts, "d_next")):
        for k, t in enumerate(group):
            if t.requires_grad:
                seed = trace.input(prefix, t.shape, t.dtype, False)
                found.append(value_in(seed))
                roots.append(t if t.node is None else t.node)
                seeds.append(seed)
            else:
                found.append(None)
    wanted = [t for t in (data, *live, *inputs.values()) if t.requires_grad]
    gradients = run(roots, seeds, set(wanted), True, True)

    def gradient(t: Tensor) -> Any:
        g = gradients.get(t)
        g = g.total() if hasattr(g, "total") else g
        return None if g is None else value_in(g, trace)

    step.d_x = gradient(data)
    step.d_states = [gradient(s) for s in live]
    step.d_params = {path: gradient(inputs[id(t)]) for path, t in tensors.items() if inputs[id(t)].requires_grad}


def value_in(tensor: Any, trace: Any = None) -> Value:
    """The value of a tensor of a symbol."""
    if isinstance(tensor.array, Symbol) and tensor.array.value is not None:
        return tensor.array.value  # type: ignore[no-any-return]
    return trace.value_of(tensor.array)  # type: ignore[no-any-return]


def as_row(trace: Trace, tensor: Any, what: str) -> Value:
    """The value of an output or a state, which must have a row for each sequence."""
    if not isinstance(tensor, Tensor):
        raise Untraceable(f"step returns {type(tensor).__name__} as {what}, not a tensor")
    value = value_in(tensor, trace)
    if not isinstance(value, Value) or value.kind != "row":
        raise Untraceable(f"step returns {what} of shape {tensor.shape}, which has no row for each sequence")
    return value


def each_none(tree: Any) -> Any:
    """The form of a state, without its tensors."""
    return unflat(tree, iter([None] * len(flat(tree))))


def shape_of(tree: Any) -> str:
    """The form of a state, in words."""
    return repr(each_none(tree)).replace("None", "tensor")


def same(a: Step, b: Step) -> bool:
    """True if two traces, of different numbers of rows, are the same program."""
    place_a, place_b = ({id(v): i for i, v in enumerate(s.values)} for s in (a, b))

    def described(step: Step, place: Any, v: Value) -> Any:
        args = [place[id(x)] if isinstance(x, Value) else x for x in v.args]
        static = {k: rowless(s, step.rows) for k, s in v.static.items()}
        data = None if v.data is None else v.data.tolist()
        return repr((v.op, args, static, v.kind, rowless(v.shape, step.rows), data))

    seen_a, seen_b = a.values[: a.forward_count], b.values[: b.forward_count]
    return len(seen_a) == len(seen_b) and all(
        described(a, place_a, v) == described(b, place_b, w) for v, w in zip(seen_a, seen_b)
    )


def rowless(x: Any, rows: int) -> Any:
    """A static argument with the number of rows, and its multiples, taken out."""
    if isinstance(x, (tuple, list)):
        return [rowless(i, rows) for i in x]
    if isinstance(x, int) and not isinstance(x, bool) and x and x % rows == 0:
        return f"{x // rows} rows"
    return x
