"""The engine against the naive reference, on random programs.

Views, slices, x[i] = v, operations in place, reuse, no_grad, detach, backward again and again.
"""

from __future__ import annotations

import contextlib
import functools

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from naive_reference import Naive, World, at, parts_of

import tinygrad_rnn as tg
from tinygrad_rnn.testing import strategies as some

UNARY = {  # name: (on tensors, on arrays, slope from x and y)
    "tanh": (tg.tanh, np.tanh, lambda x, y: 1 - y * y),
    "sin": (tg.sin, np.sin, lambda x, y: np.cos(x)),
    "negative": (lambda t: -t, np.negative, lambda x, y: -np.ones_like(x)),
    "bell": (lambda t: tg.exp(-(t * t)), lambda x: np.exp(-x * x), lambda x, y: -2 * x * y),
    "clone": (lambda t: t.clone(), np.copy, lambda x, y: np.ones_like(x)),
}
BINARY = {  # name: (on tensors and arrays alike, slope by a, slope by b)
    "add": (lambda a, b: a + b, lambda a, b: 1.0, lambda a, b: 1.0),
    "sub": (lambda a, b: a - b, lambda a, b: 1.0, lambda a, b: -1.0),
    "mul": (lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
    "div": (
        lambda a, b: a / (b * b + 1),
        lambda a, b: 1 / (b * b + 1),
        lambda a, b: -2 * a * b / (b * b + 1) ** 2,
    ),
}
IN_PLACE = {"add": tg.Tensor.add_, "sub": tg.Tensor.sub_, "mul": tg.Tensor.mul_}
LOOKS = {  # name: (on tensors, on arrays)
    "transposed": (lambda t: t.T, lambda a: a.T),
    "flat": (lambda t: t.reshape(-1), lambda a: a.reshape(-1)),
    "wide": (lambda t: t.expand(2, *t.shape), lambda a: np.broadcast_to(a, (2, *a.shape))),
    "turned": (lambda t: t.permute(turned(t.ndim)), lambda a: a.transpose(turned(a.ndim))),
}
SHAPES = st.sampled_from([(2, 3), (3,), (2, 2), (3, 2), (1, 3), (), (1,), (0, 3)])
QUIET = st.sampled_from([False, False, False, False, True])  # whether under no_grad


class Impossible(Exception):
    """There is nothing to do a step with."""


def skip_unless(condition):
    if not condition:
        raise Impossible


def possibly(step):
    """A step that does nothing if it is impossible."""

    @functools.wraps(step)
    def taken(self, **drawn):
        with contextlib.suppress(Impossible):
            step(self, **drawn)

    return taken


def mode(quiet):
    return tg.no_grad() if quiet else contextlib.nullcontext()


class Engine(RuleBasedStateMachine):
    """Tensors, each beside its reference."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.all = []  # (tensor, reference)
        self.grads = {}  # what `.grad` of a leaf should hold

    def pair(self, tensor, naive):
        """Keep a new pair, unless its numbers have grown out of hand."""
        if not naive.array.size or np.abs(naive.array).max() < 1e3:
            self.all.append((tensor, naive))

    def one(self, data, wanted=lambda naive: True):
        """A pair whose reference is as wanted; the latest ones first among equals."""
        found = [k for k, (_, naive) in enumerate(self.all) if wanted(naive)]
        skip_unless(found)
        return self.all[data.draw(st.sampled_from(found[::-1]))]

    def target(self, data):
        """What may be written: often something recorded with views beside it, or made unrecorded."""
        kinds = {
            "any": lambda x: True,
            "beside others": lambda x: x.requires_grad and self.world.relatives(x),
            "unrecorded": lambda x: x.family is None,
        }
        kind = data.draw(st.sampled_from(["any", "any", "beside others", "beside others", "unrecorded"]))
        written = lambda x: x.places.size and (not x.read_only or x.requires_grad)  # noqa: E731
        return self.one(data, lambda x: written(x) and kinds[kind](x))

    @property
    def room(self):
        return len(self.all) < 30

    # --- making

    @initialize(arrays=st.tuples(*(some.arrays((2, 3)) for _ in range(3))))
    def begin(self, arrays):
        """Two leaves and a constant, their product, and a view of it."""
        for array, requires_grad in zip(arrays, (True, True, False)):
            self.make(array=array, requires_grad=requires_grad)
        (s, x), (t, z), _ = self.all
        self.pair(s * t, self.world.elementwise(x.array * z.array, [x, z], [z.array, x.array], True))
        tensor, product = self.all[-1]
        self.pair(tensor[0], self.world.rearranged(product, lambda a: a[0], True, True))

    @precondition(lambda self: self.room)
    @rule(array=some.arrays(SHAPES), requires_grad=st.booleans())
    @possibly
    def make(self, array, requires_grad):
        tensor = tg.tensor(array, requires_grad=requires_grad)
        naive = Naive.new(array)
        if requires_grad:
            naive.becomes_a_leaf()
        self.pair(tensor, naive)

    @precondition(lambda self: self.room)
    @rule(data=st.data(), kind=st.sampled_from([*UNARY, *BINARY, "matmul", "sum", "cat"]), quiet=QUIET)
    @possibly
    def compute(self, data, kind, quiet):
        if kind in UNARY:
            self.unary(data, kind, quiet)
        elif kind in BINARY:
            self.binary(data, kind, quiet)
        else:
            getattr(self, kind)(data, quiet)

    def unary(self, data, name, quiet):
        (tensor, x), (on_tensors, on_arrays, slope) = self.one(data), UNARY[name]
        with mode(quiet):
            t = on_tensors(tensor)
        y = np.asarray(on_arrays(x.array))
        self.pair(t, self.world.elementwise(y, [x], [slope(x.array, y)], not quiet))

    def binary(self, data, name, quiet):
        operation, by_a, by_b = BINARY[name]
        s, x = self.one(data)
        t, z = self.one(data, lambda z: broadcasts(x.array, z.array))
        a, b = x.array, z.array
        with mode(quiet):
            result = operation(s, t)
        y = np.asarray(operation(a, b))
        self.pair(result, self.world.elementwise(y, [x, z], [by_a(a, b), by_b(a, b)], not quiet))

    def matmul(self, data, quiet):
        s, x = self.one(data, lambda x: x.places.ndim == 2)
        t, z = self.one(data, lambda z: z.places.ndim == 2 and len(z.array) == x.places.shape[1])
        with mode(quiet):
            result = s @ t
        self.pair(result, self.world.matmul(x, z, not quiet))

    def sum(self, data, quiet):
        tensor, x = self.one(data)
        axis = data.draw(some.axes(x.places.ndim, several=False) | st.none())
        with mode(quiet):
            t = tensor.sum(axis)
        self.pair(t, self.world.sum(x, axis, not quiet))

    def cat(self, data, quiet):
        # cat passes over empty vectors
        s, x = self.one(data, lambda x: x.places.ndim and x.places.shape != (0,))
        rest = x.places.shape[1:]
        t, z = self.one(data, lambda z: z.places.size and z.places.ndim and z.places.shape[1:] == rest)
        with mode(quiet):
            result = tg.cat([s, t])
        self.pair(result, self.world.cat(x, z, not quiet))

    # --- looking

    @precondition(lambda self: self.room)
    @rule(data=st.data(), kind=st.sampled_from(["index", "index", *LOOKS]), quiet=QUIET)
    @possibly
    def look(self, data, kind, quiet):
        tensor, x = self.one(data, lambda x: 0 < x.places.size < 20 and x.places.ndim < 3)
        index = data.draw(some.indices(x.places.shape)) if kind == "index" else ()
        index_both = (lambda t: t[index]), (lambda a: at(a, index))
        on_tensors, on_arrays = LOOKS.get(kind, index_both)
        with mode(quiet):
            t = on_tensors(tensor)
        is_view = np.may_share_memory(t.array, tensor.array)
        assert (
            is_view
            or kind == "flat"
            or not t.array.size
            or any(isinstance(i, np.ndarray) for i in parts_of(index))
        )
        self.pair(t, self.world.rearranged(x, on_arrays, is_view, not quiet))

    @precondition(lambda self: self.room)
    @rule(data=st.data(), requires_grad=st.booleans())
    @possibly
    def detach(self, data, requires_grad):
        tensor, x = self.one(data)
        t, naive = tensor.detach(), self.world.detached(x)
        if requires_grad and not naive.repeats:
            t.requires_grad_()
            naive.becomes_a_leaf()
        self.pair(t, naive)

    @rule(data=st.data())
    @possibly
    def forget(self, data):
        _, x = self.one(data, lambda x: not x.is_leaf_with_gradient)
        self.all = [(tensor, naive) for tensor, naive in self.all if naive is not x]

    # --- writing

    @rule(data=st.data(), kind=st.sampled_from(["assign", "assign", "assign", *IN_PLACE]), quiet=QUIET)
    @possibly
    def write(self, data, kind, quiet):
        s, x = self.target(data)
        index = data.draw(some.indices(x.places.shape)) if kind == "assign" else ()
        place = at(x.places, index).shape
        t, v = self.one(data, lambda v: v.places.ndim <= len(place) and broadcasts_to(v.array, place))
        recording = not quiet and (x.requires_grad or v.requires_grad)
        skip_unless(recording or not x.read_only)
        a, b = x.array, v.array
        new, by_x, by_v = b, None, None
        if kind != "assign":
            operation, by_x, by_v = BINARY[kind]
            new = np.asarray(operation(a, b))
            skip_unless(np.abs(new).max() < 1e3)
        change = (lambda: s.__setitem__(index, t)) if kind == "assign" else (lambda: IN_PLACE[kind](s, t))
        already = recording and kind == "assign" and self.world.is_part(x, index, v)
        if already and not x.is_leaf_with_gradient:
            change()
        elif recording and self.world.refuses(x):
            with pytest.raises(RuntimeError, match="in place: "):
                change()
        else:
            with mode(quiet):
                change()
            if not recording:
                self.world.write(x, index, new)
            elif kind == "assign":
                self.world.change(x, self.world.put(x, index, v))
            else:
                self.world.change(x, self.world.elementwise(new, [x, v], [by_x(a, b), by_v(a, b)], True))
            if recording:
                self.look_around(x)

    # --- gradients

    @rule(data=st.data(), again=st.booleans())
    @possibly
    def backward(self, data, again):
        tensor, y = self.one(data, lambda y: y.requires_grad)
        seed = data.draw(some.arrays(y.array.shape))
        if y.history & self.world.freed:
            with pytest.raises(RuntimeError, match="freed by an earlier backward"):
                tensor.backward(tg.tensor(seed))
            return
        try:
            tensor.backward(tg.tensor(seed), retain_graph=again)
        except RuntimeError as error:
            spoiled = y.history & self.world.spoiled
            assert "overwritten" in str(error) or ("freed" in str(error) and spoiled), error
            assert self.world.is_stale(y), "refused, though nothing was overwritten"
            self.world.spoiled |= y.history  # it may have let go of a part before it refused
            return
        for leaf, g in self.world.gradients(y, seed).items():
            self.grads[leaf] = self.grads.get(leaf, 0) + g
        if not again:
            self.world.freed |= y.history

    @rule(data=st.data())
    @possibly
    def grad(self, data):
        """grad() finds the same, and changes no `.grad`."""
        tensor, y = self.one(data, self.usable)
        self.check(tensor, y, data.draw(some.arrays(y.places.shape)))
        leaves = [(t, n) for t, n in self.all if n.is_leaf_with_gradient]
        for t, leaf in leaves[:1]:
            t.grad = None
            self.grads.pop(leaf, None)

    def usable(self, y):
        return y.requires_grad and not y.history & self.world.freed and not self.world.is_stale(y)

    def check(self, tensor, y, seed):
        """The gradients of `tensor`."""
        leaves = [(t, n) for t, n in self.all if n.is_leaf_with_gradient]
        inputs = [t for t, _ in leaves]
        found = tg.autograd.grad(tensor, inputs, tg.tensor(seed), retain_graph=True, allow_unused=True)
        wanted = self.world.gradients(y, seed)
        for (_, leaf), g in zip(leaves, found):
            assert (g is None) == (leaf not in wanted)
            if g is not None:
                close(g.array, wanted[leaf])

    def look_around(self, x):
        """The gradients of those through which a write into x was seen."""
        seen = dict(self.world.relatives(x))
        for tensor, y in self.all:
            if y in seen and self.usable(y):
                self.check(tensor, y, np.arange(1.0, 1 + y.places.size).reshape(y.places.shape))

    # --- what holds after every step

    @invariant()
    def values_are_the_references(self):
        for tensor, naive in self.all:
            close(tensor.array, naive.array)
            assert tensor.requires_grad == naive.requires_grad

    @invariant()
    def gradients_are_the_references(self):
        for tensor, naive in self.all:
            wanted = self.grads.get(naive)
            assert (tensor.grad is None) == (wanted is None)
            if wanted is not None:
                close(tensor.grad.array, wanted)
                for other, _ in self.all:
                    assert not np.shares_memory(tensor.grad.array, other.array)


def turned(n):
    """The dimensions 0 … n - 1, the first one last."""
    return (*range(1, n), 0)[:n]


def broadcasts(a, b):
    try:
        return np.broadcast_shapes(a.shape, b.shape) is not None
    except ValueError:
        return False


def broadcasts_to(a, shape):
    return broadcasts(a, np.empty(shape)) and np.broadcast_shapes(a.shape, shape) == shape


def close(got, want):
    assert got.shape == want.shape
    assert (np.abs(got - want) <= 1e-9 * (1 + np.abs(want))).all(), f"{got} is not {want}"


TestEngine = Engine.TestCase
TestEngine.settings = settings(
    max_examples=settings.default.max_examples * 2,
    stateful_step_count=40,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
