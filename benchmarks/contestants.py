"""Who takes part: each makes, for a cell and a size, a forward pass alone and a whole training step.

A training step is forward, the sum of all outputs, and backward to every weight. Libraries that are
not installed are passed over by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from cells import CELLS, GATES, arrays

Run = Callable[[], Any]
WEIGHTS = ("W", "U", "b", "b_h")


class Pair(NamedTuple):
    forward: Run
    step: Run


class Library:
    """A library's names for what the cells need."""

    def __init__(self, sigmoid: Any, tanh: Any, stack: Any, split: Any) -> None:
        self.sigmoid, self.tanh, self.stack, self.split = sigmoid, tanh, stack, split


def _by_hand(lib: Any, cell: str, size: tuple[int, ...]) -> Pair:
    """The cell written in the operations of PyTorch, or of ours: the same code."""
    data = {name: lib.tensor(array) for name, array in arrays(cell, *size).items()}
    weights = [data[name].requires_grad_() for name in WEIGHTS]
    names = Library(lib.sigmoid, lib.tanh, lib.stack, lambda x, n: x.chunk(n, -1))

    def forward() -> Any:
        with lib.no_grad():
            return CELLS[cell](names, data["xs"], data["h"], *weights)

    def step() -> Any:
        for w in weights:
            w.grad = None
        CELLS[cell](names, data["xs"], data["h"], *weights).sum().backward()
        return weights[1].grad

    return Pair(forward, step)


def _layer(lib: Any, layer: Any, cell: str, size: tuple[int, ...]) -> Pair:
    """A recurrent layer, PyTorch's or ours."""
    data = arrays(cell, *size)
    with lib.no_grad():
        for name, key in (
            ("weight_ih_l0", "W"),
            ("weight_hh_l0", "U"),
            ("bias_ih_l0", "b"),
            ("bias_hh_l0", "b_h"),
        ):
            getattr(layer, name).copy_(lib.tensor(data[key]))
        if cell != "gru":
            layer.bias_hh_l0.zero_()
    xs = lib.tensor(data["xs"])

    def forward() -> Any:
        with lib.no_grad():
            return layer(xs)[0]

    def step() -> Any:
        layer.zero_grad()
        layer(xs)[0].sum().backward()
        return layer.weight_hh_l0.grad

    return Pair(forward, step)


def ours_by_hand(cell: str, size: tuple[int, ...]) -> Pair:
    return _by_hand(importlib.import_module("tinygrad_rnn"), cell, size)


def ours_eager(cell: str, size: tuple[int, ...]) -> Pair:
    tg = importlib.import_module("tinygrad_rnn")
    return _layer(tg, getattr(tg.nn, cell.upper())(*size[2:]), cell, size)


def ours_compiled(cell: str, size: tuple[int, ...]) -> Pair:
    tg = importlib.import_module("tinygrad_rnn")
    layer = getattr(tg.nn, cell.upper())(*size[2:])
    return _layer(tg, tg.compile(layer, fullgraph=True), cell, size)


def torch_by_hand(cell: str, size: tuple[int, ...]) -> Pair:
    return _by_hand(importlib.import_module("torch"), cell, size)


def torch_layer(cell: str, size: tuple[int, ...]) -> Pair:
    torch = importlib.import_module("torch")
    return _layer(torch, getattr(torch.nn, cell.upper())(*size[2:]), cell, size)


def hips_autograd(cell: str, size: tuple[int, ...]) -> Pair:
    autograd, np_ = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")
    data = arrays(cell, *size)
    names = Library(lambda x: 1 / (1 + np_.exp(-x)), np_.tanh, np_.stack, lambda x, n: np_.split(x, n, -1))
    weights = tuple(data[name] for name in WEIGHTS)

    def loss(weights: Any) -> Any:
        return np_.sum(CELLS[cell](names, data["xs"], data["h"], *weights))

    slope = autograd.grad(loss)
    return Pair(lambda: CELLS[cell](names, data["xs"], data["h"], *weights), lambda: slope(weights)[1])


def mygrad(cell: str, size: tuple[int, ...]) -> Pair:
    mg, sigmoid = importlib.import_module("mygrad"), importlib.import_module("mygrad.nnet").sigmoid
    data = arrays(cell, *size)
    weights = [mg.tensor(data[name]) for name in WEIGHTS]
    H = size[-1]
    names = Library(sigmoid, mg.tanh, mg.stack, lambda x, n: [x[:, k * H : (k + 1) * H] for k in range(n)])

    def forward() -> Any:
        with mg.no_autodiff:
            return CELLS[cell](names, data["xs"], mg.tensor(data["h"], constant=True), *weights)

    def step() -> Any:
        for w in weights:
            w.null_grad()
        CELLS[cell](names, data["xs"], mg.tensor(data["h"], constant=True), *weights).sum().backward()
        return weights[1].grad

    return Pair(forward, step)


def jax_scan(cell: str, size: tuple[int, ...]) -> Pair:
    jax = importlib.import_module("jax")
    jnp = jax.numpy
    data = {name: jnp.asarray(array) for name, array in arrays(cell, *size).items()}
    names = Library(jax.nn.sigmoid, jnp.tanh, lambda ys: ys[0], lambda x, n: jnp.split(x, n, -1))

    def outputs(W: Any, U: Any, b: Any, b_h: Any) -> Any:
        def one(state: Any, x: Any) -> Any:
            h, c = state
            if cell != "lstm":
                y = CELLS[cell](names, x[None], h, W, U, b, b_h)
                return (y, c), y
            i, f, g, o = names.split(x @ W.T + h @ U.T + b, 4)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            y = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (y, c), y

        return jax.lax.scan(one, (data["h"], data["h"]), data["xs"])[1]

    weights = tuple(data[name] for name in WEIGHTS)
    forward = jax.jit(lambda w: outputs(*w))
    step = jax.jit(jax.grad(lambda w: outputs(*w).sum()))
    return Pair(lambda: forward(weights).block_until_ready(), lambda: step(weights)[1].block_until_ready())


def products_alone(cell: str, size: tuple[int, ...]) -> Pair:
    """The bound: only the matrix products that the cell cannot do without, into memory that is there."""
    T, B, D, H = size
    G = GATES[cell] * H
    data = arrays(cell, *size)
    W, U, x = data["W"], data["U"], data["xs"].reshape(T * B, D)
    h, g = np.zeros((H, B), np.float32), np.zeros((G, B), np.float32)
    all_h, all_g = np.zeros((T * B, H), np.float32), np.zeros((T * B, G), np.float32)
    a, u, d_h = np.empty((T * B, G), np.float32), np.empty((G, B), np.float32), np.empty((H, B), np.float32)
    d_W, d_U = np.empty_like(W), np.empty_like(U)

    def forward() -> Any:
        np.matmul(x, W.T, out=a)
        for _ in range(T):
            np.matmul(U, h, out=u)

    def step() -> Any:
        forward()
        for _ in range(T):
            np.matmul(U.T, g, out=d_h)
        np.matmul(all_g.T, x, out=d_W)
        np.matmul(all_g.T, all_h, out=d_U)

    return Pair(forward, step)


CONTESTANTS: dict[str, tuple[str, Callable[[str, tuple[int, ...]], Pair]]] = {
    "compiled": ("tinygrad_rnn.compile", ours_compiled),
    "eager layer": ("tinygrad_rnn", ours_eager),
    "eager cell": ("tinygrad_rnn", ours_by_hand),
    "products alone": ("numpy", products_alone),
    "torch layer": ("torch", torch_layer),
    "torch cell": ("torch", torch_by_hand),
    "jax.jit of scan": ("jax", jax_scan),
    "HIPS autograd": ("autograd", hips_autograd),
    "MyGrad": ("mygrad", mygrad),
}
