"""A naive reference for the engine: NumPy memory for values, dense Jacobians carried forwards for gradients.

Every tensor has its array (a view where NumPy gives one) and, if it requires a gradient, its Jacobian by
each leaf it comes from, as a matrix (numbers of the tensor, numbers of the leaf). Nothing runs backwards.
"""

from __future__ import annotations

from itertools import count

import numpy as np

number = count(1)  # of operations, and of writes into memory


class Naive:
    """A tensor. `history`: the recorded operations behind it; `source`: the tensor of which it is a view."""

    def __init__(self, array, jacobian=None, history=frozenset(), source=None):
        self.array, self.jacobian, self.history, self.source = array, jacobian, history, source
        self.is_leaf_with_gradient = False

    @classmethod
    def leaf(cls, array):
        x = cls(array)
        x.jacobian = {x: np.eye(array.size)}
        x.is_leaf_with_gradient = True
        return x

    @property
    def requires_grad(self):
        return self.jacobian is not None


class World:
    """What happened to memory: which operation needs what, and what was written when."""

    def __init__(self):
        self.needs = {}  # operation: the memories of its inputs and its output
        self.written = {}  # memory: the last write
        self.freed = set()  # operations whose graph is gone
        self.spoiled = set()  # operations that a backward has met which then refused to go on
        self.kept = []  # arrays whose id stands for a memory

    def memory(self, array):
        """What an array is a view of, by number."""
        while array.base is not None:
            array = array.base
        self.kept.append(array)
        return id(array)

    def result(self, array, inputs, shares, recording, source=None):
        """A tensor made from `inputs`; shares[k](J) is the Jacobian's share that comes through input k."""
        y = Naive(array, source=source)
        live = [(x, share) for x, share in zip(inputs, shares) if x.requires_grad]
        if not recording or not live:
            return y
        y.jacobian = {}
        for x, share in live:
            for leaf, J in x.jacobian.items():
                y.jacobian[leaf] = y.jacobian.get(leaf, 0) + share(J)
        own = next(number)
        self.needs[own] = {self.memory(array), *(self.memory(x.array) for x in inputs)}
        y.history = frozenset({own}).union(*(x.history for x, _ in live))
        return y

    # --- operations

    def elementwise(self, array, inputs, slopes, recording):
        """y = f(inputs) with broadcasting, slopes[k] being ∂y/∂input k, elementwise."""

        def share(x, slope):
            rows = np.broadcast_to(np.arange(x.array.size).reshape(x.array.shape), array.shape).ravel()
            by = np.broadcast_to(slope, array.shape).ravel()[:, None]
            return lambda J: by * J[rows]

        return self.result(array, inputs, [share(x, s) for x, s in zip(inputs, slopes)], recording)

    def rearranged(self, x, arrange, recording):
        """A tensor with some of x's numbers, in any arrangement; a view where NumPy gives one."""
        array = arrange(x.array)
        rows = np.asarray(arrange(np.arange(x.array.size).reshape(x.array.shape))).ravel()
        is_view = np.may_share_memory(array, x.array) and array.base is not None
        return self.result(array, [x], [lambda J: J[rows]], recording, source=x if is_view else None)

    def matmul(self, a, b, recording):
        n, k = a.array.shape
        m = b.array.shape[1]

        def from_a(J):
            return np.einsum("ikL,kj->ijL", J.reshape(n, k, J.shape[1]), b_then).reshape(n * m, J.shape[1])

        def from_b(J):
            return np.einsum("ik,kjL->ijL", a_then, J.reshape(k, m, J.shape[1])).reshape(n * m, J.shape[1])

        a_then, b_then = a.array.copy(), b.array.copy()
        return self.result(a_then @ b_then, [a, b], [from_a, from_b], recording)

    def sum(self, x, axis, recording):
        array, shape = np.asarray(x.array.sum(axis)), x.array.shape
        axes = tuple(range(len(shape))) if axis is None else axis % len(shape)

        def share(J):
            return J.reshape(*shape, J.shape[1]).sum(axes).reshape(array.size, J.shape[1])

        return self.result(array, [x], [share], recording)

    def cat(self, a, b, recording):
        n, m = a.array.size, b.array.size

        def share(before, after):
            return lambda J: np.concatenate(
                [np.zeros((before, J.shape[1])), J, np.zeros((after, J.shape[1]))]
            )

        return self.result(np.concatenate([a.array, b.array]), [a, b], [share(0, m), share(n, 0)], recording)

    def detached(self, x):
        return Naive(x.array, source=x)

    # --- writing

    def put(self, x, index, v, recording):
        """x with x[index] = v, as a new tensor."""
        array, writer = x.array.copy(order="K"), np.full(x.array.shape, -1)
        store(array, index, v.array)
        store(writer, index, np.arange(v.array.size).reshape(v.array.shape))
        writer = writer.ravel()
        stays = writer[:, None] < 0

        def written(J):
            share = np.zeros((array.size, J.shape[1]))
            share[writer >= 0] = J[writer[writer >= 0]]
            return share

        shares = [lambda J: np.where(stays, J, 0), written]
        return self.result(array, [x, v], shares, recording)

    def write(self, x, index, numbers):
        """x[index] = numbers in memory, seen by every view."""
        store(x.array, index, numbers.copy())
        self.written[self.memory(x.array)] = next(number)

    def shown(self, x):
        """What x is a view of, unless that has moved to new memory since."""
        whole = x.source
        return whole if whole is not None and self.memory(whole.array) == self.memory(x.array) else None

    def change(self, x, result):
        """x takes on a recorded result, and so does, in its place, what x is a view of."""
        whole = self.shown(x)
        if whole is None:
            x.array, x.jacobian, x.history = result.array, result.jacobian, result.history
            return
        places = positions(x.array, whole.array)
        flat = Naive(whole.array.reshape(-1), whole.jacobian, whole.history)
        numbers = Naive(result.array.reshape(-1), result.jacobian, result.history)
        changed = self.put(flat, places.ravel(), numbers, True)
        before = whole.array
        self.change(whole, Naive(changed.array.reshape(before.shape), changed.jacobian, changed.history))
        offset = x.array.ctypes.data - before.ctypes.data
        x.array = np.ndarray(x.array.shape, float, whole.array, offset, x.array.strides)
        x.jacobian, x.history = result.jacobian, result.history

    # --- gradients

    def gradients(self, y, seed):
        """seedᵀ J for every leaf that y comes from."""
        return {leaf: (seed.ravel() @ J).reshape(leaf.array.shape) for leaf, J in y.jacobian.items()}

    def is_stale(self, y):
        """True if something that an operation behind y may need was written since it ran."""
        return any(self.written.get(m, 0) > op for op in y.history for m in self.needs[op])


def stages(index):
    """An index as PyTorch reads it: first the integers, then the rest. (NumPy takes integers with arrays.)"""
    parts = index if isinstance(index, tuple) else (index,)
    first, rest = [], []
    for part in parts:
        if isinstance(part, int) or part is Ellipsis:
            first.append(part)
        elif part is not None:
            first += [slice(None)] * (part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1)
        if not isinstance(part, int):
            rest.append(part)
    return tuple(first) if Ellipsis in first else (*first, ...), tuple(rest)


def at(array, index):
    """array[index] as an array, 0-d ones too."""
    first, rest = stages(index)
    found = array[first][rest]
    return found if isinstance(found, np.ndarray) else array[first][(*rest, ...)]


def store(array, index, numbers):
    """array[index] = numbers."""
    first, rest = stages(index)
    array[first][rest] = numbers


def positions(view, whole):
    """Where the elements of a view stand among those of the contiguous array `whole`."""
    start = (view.ctypes.data - whole.ctypes.data) // 8
    places = np.asarray(start)
    for n, stride in zip(view.shape, view.strides):
        places = np.add.outer(places, np.arange(n) * (stride // 8))
    return places
