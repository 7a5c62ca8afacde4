"""A naive reference for the engine: true shared memory, dense Jacobians carried forwards.

A tensor is a few places in a storage, which holds the numbers and, for each family of views that one graph
goes through, the Jacobian of all of them by each leaf. A write changes both, so every view sees it.
Nothing runs backwards, nothing is moved, and no operation keeps anything.
"""

from __future__ import annotations

from itertools import count
from weakref import WeakSet

import numpy as np

number = count(1)  # of operations, and of writes


class Storage:
    """A flat array of numbers. A recorded write, which spoils no old values, gives it another `state`."""

    def __init__(self, numbers):
        self.numbers, self.state, self.viewers = numbers, object(), WeakSet()


class Naive:
    """A tensor. `history`: the recorded operations behind it; `family`: {leaf: Jacobian}, or None."""

    def __init__(self, storage, places, family):
        self.storage, self.places, self.family = storage, places, family
        self.history, self.requires_grad, self.is_leaf_with_gradient = frozenset(), False, False
        self.read_only = self.repeats  # or a view of something that repeats
        storage.viewers.add(self)

    @classmethod
    def new(cls, array):
        return cls(Storage(array.flatten()), np.arange(array.size).reshape(array.shape), {})

    def becomes_a_leaf(self):
        """Ask for the gradient of a tensor that has a family of its own."""
        self.family[self] = np.zeros((self.storage.numbers.size, self.places.size))
        self.family[self][self.places.ravel()] = np.eye(self.places.size)
        self.requires_grad = self.is_leaf_with_gradient = True

    @property
    def array(self):
        return np.asarray(self.storage.numbers[self.places])

    @property
    def jacobian(self):
        """By each leaf, as a matrix (numbers of the tensor, numbers of the leaf)."""
        return {leaf: J[self.places.ravel()] for leaf, J in self.family.items()} if self.requires_grad else {}

    @property
    def repeats(self):
        """True if it shows a number several times."""
        return np.unique(self.places).size < self.places.size


class World:
    """What operations have done to tensors, to memory and to graphs."""

    def __init__(self):
        self.needs = {}  # operation: the states of its inputs' and its output's memory
        self.leaves = {}  # operation: the leaves among its inputs
        self.written = {}  # state of memory: the last write into it
        self.freed = set()  # operations whose graph is gone
        self.spoiled = set()  # operations that a backward has met which then refused to go on

    def operation(self, output, inputs):
        """The history of what is made now from `inputs`."""
        own = next(number)
        self.needs[own] = {x.storage.state for x in (output, *inputs)}
        self.leaves[own] = {x for x in inputs if x.is_leaf_with_gradient}
        return frozenset({own}).union(*(x.history for x in inputs if x.requires_grad))

    def result(self, array, inputs, shares, recording):
        """A tensor made from `inputs`; shares[k](J) is the Jacobian's share that comes through input k."""
        y = Naive.new(array)
        if recording and any(x.requires_grad for x in inputs):
            y.requires_grad = True
            for x, share in zip(inputs, shares):
                for leaf, J in x.jacobian.items():
                    y.family[leaf] = y.family.get(leaf, 0) + share(J)
            y.history = self.operation(y, inputs)
        return y

    # --- operations

    def elementwise(self, array, inputs, slopes, recording):
        """y = f(inputs) with broadcasting, slopes[k] being ∂y/∂input k, elementwise."""

        def share(x, slope):
            rows = np.broadcast_to(np.arange(x.places.size).reshape(x.places.shape), array.shape).ravel()
            by = np.broadcast_to(slope, array.shape).ravel()[:, None]
            return lambda J: by * J[rows]

        return self.result(array, inputs, [share(x, s) for x, s in zip(inputs, slopes)], recording)

    def rearranged(self, x, arrange, is_view, recording):
        """A tensor with some of x's numbers, in any arrangement."""
        if not is_view:
            rows = arrange(np.arange(x.places.size).reshape(x.places.shape)).ravel()
            return self.result(arrange(x.array), [x], [lambda J: J[rows]], recording)
        family = x.family if recording or not x.requires_grad else None
        y = Naive(x.storage, arrange(x.places), family)
        y.read_only |= x.read_only
        if recording and x.requires_grad:
            y.requires_grad, y.history = True, self.operation(y, [x])
        return y

    def matmul(self, a, b, recording):
        n, k = a.places.shape
        m = b.places.shape[1]
        before, after = a.array, b.array

        def from_a(J):
            return np.einsum("ikL,kj->ijL", J.reshape(n, k, J.shape[1]), after).reshape(n * m, J.shape[1])

        def from_b(J):
            return np.einsum("ik,kjL->ijL", before, J.reshape(k, m, J.shape[1])).reshape(n * m, J.shape[1])

        return self.result(before @ after, [a, b], [from_a, from_b], recording)

    def sum(self, x, axis, recording):
        array, shape = np.asarray(x.array.sum(axis)), x.places.shape
        axes = tuple(range(len(shape))) if axis is None else axis % len(shape)

        def share(J):
            return J.reshape(*shape, J.shape[1]).sum(axes).reshape(array.size, J.shape[1])

        return self.result(array, [x], [share], recording)

    def cat(self, a, b, recording):
        n, m = a.places.size, b.places.size
        shares = [lambda J: np.pad(J, ((0, m), (0, 0))), lambda J: np.pad(J, ((n, 0), (0, 0)))]
        return self.result(np.concatenate([a.array, b.array]), [a, b], shares, recording)

    def detached(self, x):
        y = Naive(x.storage, x.places, {})
        y.read_only = x.read_only
        return y

    # --- writing

    def put(self, x, index, v):
        """x with x[index] = v, as a new tensor."""
        array, writer = x.array, np.full(x.places.shape, -1)
        store(array, index, v.array)
        store(writer, index, np.arange(v.places.size).reshape(v.places.shape))
        writer = writer.ravel()
        stays = writer[:, None] < 0

        def written(J):
            share = np.zeros((writer.size, J.shape[1]))
            share[writer >= 0] = J[writer[writer >= 0]]
            return share

        return self.result(array, [x, v], [lambda J: np.where(stays, J, 0), written], True)

    def write(self, x, index, numbers):
        """x[index] = numbers, which no graph goes through."""
        places = at(x.places, index)
        x.storage.numbers[places] = np.broadcast_to(numbers, places.shape)
        self.written[x.storage.state] = next(number)

    def relatives(self, x):
        """The views that a recorded write into x reaches, and whether each of them shows nothing else."""
        family = [t for t in x.storage.viewers if t.family is x.family and t is not x]
        seen = [(t, np.isin(t.places, x.places)) for t in family]
        return [(t, hit.all()) for t, hit in seen if hit.any()]

    def refuses(self, x):
        """True if a recorded write into x is an error."""
        return (
            x.family is None
            or x.repeats
            or any(t.is_leaf_with_gradient for t in (x, *dict(self.relatives(x))))
        )

    def is_part(self, x, index, v):
        """True if v is x[index] already."""
        if x.storage is not v.storage or x.family is not v.family or not v.history:
            return False
        basic = not any(isinstance(i, np.ndarray) for i in parts_of(index))
        return basic and np.array_equal(at(x.places, index), v.places)

    def change(self, x, result):
        """x takes on a recorded result."""
        relatives = self.relatives(x)
        x.storage.numbers[x.places.ravel()] = result.array.ravel()
        x.storage.state = object()
        for leaf in {*x.family, *result.family}:
            J = x.family.setdefault(leaf, np.zeros((x.storage.numbers.size, leaf.places.size)))
            J[x.places.ravel()] = result.jacobian.get(leaf, 0)
        x.requires_grad, x.history = True, result.history
        for t, covered in relatives:
            t.history = self.operation(t, [x] if covered else [x, t])
            t.requires_grad = True

    # --- gradients

    def gradients(self, y, seed):
        """seedᵀ J for every leaf that y comes from."""
        leaves = {y} if y.is_leaf_with_gradient else {leaf for op in y.history for leaf in self.leaves[op]}
        return {leaf: (seed.ravel() @ y.jacobian[leaf]).reshape(leaf.places.shape) for leaf in leaves}

    def is_stale(self, y):
        """True if something that an operation behind y may need was written since it ran."""
        return any(self.written.get(state, 0) > op for op in y.history for state in self.needs[op])


def parts_of(index):
    """What stands between the brackets."""
    return index if isinstance(index, tuple) else (index,)


def stages(index):
    """An index as PyTorch reads it: first the integers, then the rest. (NumPy takes integers with arrays.)"""
    first, rest = [], []
    for part in parts_of(index):
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
