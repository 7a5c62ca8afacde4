"""Initial values, written in place and without a graph. All draw from `generator`, by default the package's.

fan_in and fan_out are the numbers of inputs and outputs of one unit: for a weight (K, D), D and K; further
dimensions multiply both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..random import Generator, default_generator


def write(tensor: Tensor, values: Any) -> Tensor:
    """Copy `values` into `tensor`, without a graph; returns it."""
    np.copyto(tensor.array, values, casting="same_kind")
    tensor.bump_version()
    return tensor


def _rng(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).rng


# --- one distribution for all numbers


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [a, b)."""
    return write(tensor, _rng(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with `mean` and standard deviation `std`."""
    return write(tensor, _rng(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, drawn again until it lies in [a, b]."""
    inside = (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2)))) / 2
    if inside < 0.01:
        raise NotImplementedError(
            f"trunc_normal_: a={a}, b={b} hold only {inside:.2g} of the distribution; 0.01 is the least"
        )
    values = np.full(tensor.shape, np.inf)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = _rng(generator).normal(mean, std, int(outside.sum()))
    return write(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All numbers `val`."""
    return write(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """All numbers 1."""
    return write(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """All numbers 0."""
    return write(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: tensor must be a matrix, got shape {tensor.shape}")
    return write(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal, but in each column the fraction `sparsity` of the entries (rounded up) is 0 (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: tensor must be a matrix, got shape {tensor.shape}")
    rows, columns = tensor.shape
    values = _rng(generator).normal(0, std, tensor.shape)
    for column in range(columns):
        values[_rng(generator).permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return write(tensor, values)


# --- a spread that keeps the size of activations or gradients


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must be larger because `nonlinearity` makes activations smaller.

    linear, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + param²)), param its slope (0.01); selu 3/4.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope must be a number, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    linear = ("linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4} | dict.fromkeys(linear, 1.0)
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: nonlinearity {nonlinearity!r} is none of {sorted(gains)} or 'leaky_relu'"
        )
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out)"""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least two dimensions, got shape {tensor.shape}")
    rest = math.prod(tensor.shape[2:])
    return tensor.shape[1] * rest, tensor.shape[0] * rest


_calculate_fan_in_and_fan_out = fans  # as layers that people write call it


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform within ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform within ±gain √(3 / fan), `a` being the slope of a leaky relu (He et al., 2015)."""
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan, `a` being the slope of a leaky relu (He et al., 2015)."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., 2013).

    It is uniform among those (Mezzadri, How to generate random matrices from the classical compact groups,
    2007); dimensions after the first are taken as one.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: at least two dimensions are needed, got shape {tensor.shape}")
    if 0 in tensor.shape:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_rng(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1, 1)  # without this, qr prefers some signs
    return write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


# --- recurrent layers and cells, gate by gate


def _cells(name: str, module: Any) -> list[tuple[Any, int, dict[str, Any]]]:
    """Of each cell in a module: its class, H, and its parameters by the names that they have in a cell."""
    found = []
    for m in module.modules():
        for key, weight in m._parameters.items():
            if key.startswith("weight_ih") and hasattr(kind := getattr(m, "cell", type(m)), "keep_gate"):
                suffix = key.removeprefix("weight_ih")
                names = ("weight_hh", "bias_ih", "bias_hh")
                own = {"weight_ih": weight} | {n: m._parameters.get(n + suffix) for n in names}
                found.append((kind, m.hidden_size, own))
    if not found:
        raise TypeError(f"{name}: {type(module).__name__} holds no RNN, LSTM, GRU or gated cell")
    return found


def _set_bias(name: str, kind: Any, own: dict[str, Any], gate: int, H: int, values: Any) -> None:
    """Make the biases of a gate sum to `values`: bias_ih holds them, bias_hh, if there is one, 0."""
    if own["bias_ih"] is None:
        raise ValueError(f"{name}: {kind.__name__} has no bias; make it with bias=True")
    for bias, part in ((own["bias_ih"], values), (own["bias_hh"], 0.0)):
        if bias is not None:
            whole = bias.array.copy()
            whole[gate * H : (gate + 1) * H] = part
            write(bias, whole)


def unit_forget_bias_(module: Any, value: float = 1.0) -> Any:
    """b_f = 1: forget gates begin open, so that gradients reach far back (Jozefowicz et al. 2015; Keras).

    Args:
        module: an LSTM, a cell with a forget gate, or whatever holds such. Other biases stay as they are.
        value: of the sum of the forget gate's two biases: bias_ih is set to it, bias_hh to 0.

    Returns:
        The module.

    Raises:
        TypeError: a module without recurrent layers.
        ValueError: a cell without a gate that keeps its state, or without biases.

    >>> import tinygrad_rnn as tg
    >>> unit_forget_bias_(tg.nn.LSTM(2, 3)).bias_ih_l0[3:6]
    tensor([1., 1., 1.], grad_fn=<getitem>)
    """
    cells = _cells("unit_forget_bias_", module)
    if lacking := [kind.__name__ for kind, *_ in cells if kind.keep_gate is None]:
        raise ValueError(f"unit_forget_bias_: {lacking[0]} has no gate that keeps its state")
    for kind, H, own in cells:
        _set_bias("unit_forget_bias_", kind, own, kind.keep_gate, H, value)
    return module


def chrono_(module: Any, T_max: int, generator: Generator | None = None) -> Any:
    """b_f = ln u, b_i = -b_f, u uniform in [1, T_max - 1] (Tallec & Ollivier 2018, "Can RNNs warp time?").

    With f = σ(b_f), a unit forgets within 1 / (1 - f) = 1 + u steps: memories of all lengths up to T_max. One
    gate for both gets b_f if 1 keeps the state (a GRU's z), and -b_f if 1 replaces it (minGRU's z).

    Args:
        module: an LSTM, a GRU, a gated cell, or whatever holds such. Other biases stay as they are.
        T_max: the longest dependence expected, in steps, at least 2.
        generator: where numbers come from; default: the package's.

    Returns:
        The module.

    Raises:
        TypeError: a module without recurrent layers.
        ValueError: a T_max below 2, a cell without gates, or without biases.

    >>> import tinygrad_rnn as tg
    >>> lstm = chrono_(tg.nn.LSTM(2, 3), T_max=2)
    >>> abs(lstm.bias_ih_l0[:6]).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if T_max < 2:
        raise ValueError(f"chrono_: T_max must be at least 2 steps, got {T_max}")
    cells = _cells("chrono_", module)
    if lacking := [kind.__name__ for kind, *_ in cells if kind.keep_gate is kind.write_gate is None]:
        raise ValueError(f"chrono_: {lacking[0]} has no gate that keeps its state or writes to it")
    for kind, H, own in cells:
        b_f = np.log(_rng(generator).uniform(1, T_max - 1, H))
        for gate, values in ((kind.keep_gate, b_f), (kind.write_gate, -b_f)):
            if gate is not None:
                _set_bias("chrono_", kind, own, gate, H, values)
    return module


def orthogonal_gates_(module: Any, gain: float = 1, generator: Generator | None = None) -> Any:
    """W_hg = gain times a random orthogonal matrix, for each gate g: every block (H, H) of weight_hh.

    `orthogonal_(weight_hh)` would make the blocks parts of one such matrix, and none of them orthogonal. With
    `proj_size` P the blocks (H, P) have orthonormal columns (Saxe et al. 2013).

    Args:
        module: an RNN, LSTM, GRU, a gated cell, or whatever holds such.
        gain: the factor.
        generator: where numbers come from; default: the package's.

    Returns:
        The module.

    Raises:
        TypeError: a module without recurrent layers.
        ValueError: a cell whose weight_hh is no matrix, or that has none.

    >>> import tinygrad_rnn as tg
    >>> W = orthogonal_gates_(tg.nn.GRU(2, 3)).weight_hh_l0[3:6]
    >>> tg.allclose(W @ W.T, tg.eye(3), atol=1e-6)
    True
    """
    cells = _cells("orthogonal_gates_", module)
    for kind, _, own in cells:
        W = own["weight_hh"]
        if W is None or W.ndim != 2:
            raise ValueError(f"orthogonal_gates_: {kind.__name__} has no matrix weight_hh")
    for _, H, own in cells:
        W = own["weight_hh"]
        blocks = [
            orthogonal_(Tensor(block.copy()), gain, generator) for block in np.split(W.array, len(W) // H)
        ]
        write(W, np.concatenate([block.array for block in blocks]))
    return module


# --- before PyTorch 0.4 these names had no underscore

constant, eye, normal, orthogonal, sparse, uniform = constant_, eye_, normal_, orthogonal_, sparse_, uniform_
kaiming_normal, kaiming_uniform = kaiming_normal_, kaiming_uniform_
xavier_normal, xavier_uniform = xavier_normal_, xavier_uniform_
